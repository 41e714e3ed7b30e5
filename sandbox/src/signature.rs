//! A signature proves to an endpoint that an event comes from us, as Stripe documents it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write;

/// The value of `Stripe-Signature`: the time, and the HMAC-SHA256 of the time, a dot and the body.
pub(crate) fn header(secret: &str, at: i64, body: &[u8]) -> String {
    let mut header = format!("t={at},v1=");
    // HMAC takes keys of any length.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) {
        mac.update(format!("{at}.").as_bytes());
        mac.update(body);
        for byte in mac.finalize().into_bytes() {
            // Writing to a text cannot fail.
            let _written = write!(header, "{byte:02x}");
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_a_verifier_computes() {
        // By `printf '1492774577.{}' | openssl dgst -sha256 -hmac whsec_test`.
        let expected = "0d0602f6611bd2252dd4b74b58a4528355a7380639a15e6cc21e3059d56d5b8b";

        assert_eq!(header("whsec_test", 1_492_774_577, b"{}"), format!("t=1492774577,v1={expected}"));
    }
}

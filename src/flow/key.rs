//! Idempotency keys as callers send them, and what they stand for.

use crate::domain::{card::looks_like_card_number, event::API_VERSION};
use dunlin_jobs::read_identifier;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The operation of every key under which a payment is made, by whichever way it came in (S2.2).
pub const PAYMENT_CREATE: &str = "payment.create";

/// How long a key may be, in bytes.
const MAX_KEY: usize = 255;

/// A key as it is compared (S2.14), or what is wrong with it: it has 1 to 255 bytes of text; 128 random bits are good. A
/// header's text is ASCII, others' need not be.
pub fn read(key: &str) -> Result<String, String> {
    const PRINTABLE: &str = "the key must be a printable text of 1 to 255 bytes";
    if key.trim().is_empty() || key.len() > MAX_KEY || key.chars().any(char::is_control) {
        return Err(PRINTABLE.to_owned());
    }
    if looks_like_card_number(key) {
        return Err("the key looks like a card number: use random text".to_owned());
    }
    match read_identifier(key) {
        Ok(key) if key.len() > MAX_KEY => Err(PRINTABLE.to_owned()),
        Ok(key) => Ok(key.into_owned()),
        Err(error) => Err(format!("the key is not taken: {error}")),
    }
}

/// What a key stands for: the operation and all that was asked, whatever its spacing and order (S2.2).
pub fn fingerprint<T: Serialize>(operation: &str, asked: &T) -> String {
    let mut hasher = Sha256::new();
    hasher.update(operation);
    hasher.update([0]);
    hasher.update(serde_json::to_vec(asked).unwrap_or_default());
    hasher.update([0]);
    hasher.update(API_VERSION);
    hex::encode(hasher.finalize())
}

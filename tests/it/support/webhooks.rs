//! Webhooks as the gateway would send them: the body and the signature over it.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use std::collections::BTreeMap;

/// What the tests' gateway accounts have for a webhook secret.
pub(crate) const SECRET: &str = "whsec_test";

/// An event about a payment.
pub(crate) fn event(id: &str, kind: &str, payment: &str) -> String {
    let object = json!({ "object": "payment_intent", "metadata": { "dunlin_payment": payment } });
    json!({ "id": id, "type": kind, "livemode": false, "data": { "object": object } }).to_string()
}

/// An event about a payment's intent, which it names.
pub(crate) fn intent_event(id: &str, kind: &str, payment: &str, intent: &str) -> String {
    let metadata = json!({ "dunlin_payment": payment });
    let object = json!({ "object": "payment_intent", "id": intent, "metadata": metadata });
    json!({ "id": id, "type": kind, "livemode": false, "data": { "object": object } }).to_string()
}

/// The header that proves a body.
pub(crate) fn signature(secret: &str, at: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{at}.{body}").as_bytes());
    format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()))
}

pub(crate) fn headers(at: i64, body: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("stripe-signature".to_owned(), signature(SECRET, at, body))])
}

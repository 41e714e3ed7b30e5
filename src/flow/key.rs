//! Idempotency keys as callers send them, and what they stand for.

use crate::domain::{card::looks_like_card_number, event::API_VERSION};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// How long a key may be, in bytes.
const MAX_KEY: usize = 255;

/// What is wrong with a key, if anything is: it has 1 to 255 bytes of text; 128 random bits are good. A header's text is
/// ASCII, others' need not be.
pub fn mistake(key: &str) -> Option<&'static str> {
    if key.trim().is_empty() || key.len() > MAX_KEY || key.chars().any(char::is_control) {
        return Some("the key must be a printable text of 1 to 255 bytes");
    }
    looks_like_card_number(key).then_some("the key looks like a card number: use random text")
}

/// What a key stands for: the call and all that was asked, whatever its spacing and order (S2.2).
pub fn fingerprint<T: Serialize>(scope: &str, asked: &T) -> String {
    let mut hasher = Sha256::new();
    hasher.update(scope);
    hasher.update([0]);
    hasher.update(serde_json::to_vec(asked).unwrap_or_default());
    hasher.update([0]);
    hasher.update(API_VERSION);
    hex::encode(hasher.finalize())
}

//! The mint makes ids: each is a digest of what it stands for, so that a simulation repeats them.

use sha2::{Digest, Sha256};
use std::hash::{BuildHasher, RandomState};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ID_CHARS: usize = 24;

/// A number that no other process has, as far as luck goes.
pub(crate) fn salt() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

pub(crate) fn intent(salt: u64, number: usize) -> String {
    format!("pi_{}", digest(&format!("{salt} intent {number}")))
}

pub(crate) fn client_secret(salt: u64, intent: &str) -> String {
    format!("{intent}_secret_{}", digest(&format!("{salt} secret {intent}")))
}

pub(crate) fn charge(intent: &str, attempt: u32) -> String {
    format!("ch_{}", digest(&format!("{intent} charge {attempt}")))
}

pub(crate) fn request(salt: u64, number: u64) -> String {
    format!("req_{}", digest(&format!("{salt} request {number}")))
}

pub(crate) fn account(key: &str) -> String {
    format!("acct_{}", digest(key))
}

/// Two requests are the same when their fingerprints are.
pub(crate) fn fingerprint(method: &str, path: &str, params: &str) -> String {
    digest(&format!("{method} {path} {params}"))
}

fn digest(text: &str) -> String {
    let letter = |byte: u8| ALPHABET.get(usize::from(byte % 62)).map_or('0', |letter| char::from(*letter));
    Sha256::digest(text).iter().take(ID_CHARS).map(|byte| letter(*byte)).collect()
}

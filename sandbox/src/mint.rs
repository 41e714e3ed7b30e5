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

/// The id of an object that is neither an intent nor a charge; the number is that of its birth.
pub(crate) fn object(prefix: &str, salt: u64, number: usize) -> String {
    format!("{prefix}_{}", digest(&format!("{salt} {prefix} {number}")))
}

/// An endpoint's secret, that events are signed with.
pub(crate) fn signing_secret(salt: u64, endpoint: &str) -> String {
    format!("whsec_{}", digest(&format!("{salt} signing {endpoint}")))
}

/// An event's id holds its number, so that events need no index.
pub(crate) fn event(salt: u64, account: &str, number: usize) -> String {
    format!("evt_{number:010}{}", &digest(&format!("{salt} event {account} {number}"))[..14])
}

/// The number in an event's id, if it has one.
pub(crate) fn event_number(id: &str) -> Option<usize> {
    id.strip_prefix("evt_")?.get(..10)?.parse().ok()
}

/// The booking of a movement on Stripe's balance.
pub(crate) fn booking(moved: &str) -> String {
    format!("txn_{}", digest(moved))
}

/// What tells one card or account from another.
pub(crate) fn likeness(token: &str) -> String {
    digest(token).chars().take(16).collect()
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

//! The audit trail: what people did, each entry sealed by a hash over itself and the one before it, so that none is
//! changed or taken out unseen (S7).

use super::clock::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    pub at: Time,
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub reason: Option<String>,
    pub before: Option<String>,
    pub after: Option<String>,
    pub request_id: Option<String>,
}

/// A deed at its place in the trail of its tenant and environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditEntry")]
pub struct Entry {
    #[schemars(extend("const" = "audit_entry"))]
    pub object: String,
    /// From 1 on, without gaps.
    pub number: i64,
    /// Real time, in the test environment too.
    pub at: Time,
    /// The API key that it was done with, or `dunlin` for what its commands did in the database.
    pub actor: String,
    /// Such as `api_key.revoke`.
    pub action: String,
    /// The id of what it was done to.
    pub subject: String,
    /// Why, where it was said.
    pub reason: Option<String>,
    pub before: Option<String>,
    pub after: Option<String>,
    /// The request by which it was done.
    pub request_id: Option<String>,
    /// The hash of the entry before; empty for the first one.
    pub previous_hash: String,
    /// SHA-256 over the JSON array of the fields from `number` to `previous_hash`, in this order, with `at` in
    /// microseconds since 1970.
    pub hash: String,
}

impl Entry {
    /// The entry that follows the last one, of which the number and the hash are told.
    pub fn after(last: Option<(i64, &str)>, deed: Deed) -> Self {
        let (number, previous_hash) = last.unwrap_or((0, ""));
        let Deed { at, actor, action, subject, reason, before, after, request_id } = deed;
        let mut entry = Self {
            object: "audit_entry".to_owned(),
            number: number.saturating_add(1),
            at,
            actor,
            action,
            subject,
            reason,
            before,
            after,
            request_id,
            previous_hash: previous_hash.to_owned(),
            hash: String::new(),
        };
        entry.hash = entry.seal();
        entry
    }

    /// Whether it says what it said when it was sealed, and stands right after `before`, if that is told.
    pub fn is_sound(&self, before: Option<&Self>) -> bool {
        let follows = before.is_none_or(|before| {
            before.number.checked_add(1) == Some(self.number) && before.hash == self.previous_hash
        });
        let begins = (self.number == 1) == self.previous_hash.is_empty();
        follows && begins && self.seal() == self.hash
    }

    fn seal(&self) -> String {
        let Self { number, actor, action, subject, reason, before, after, request_id, previous_hash, .. } =
            self;
        let at = self.at.timestamp_micros();
        let fields = (number, at, actor, action, subject, reason, before, after, request_id, previous_hash);
        hex::encode(Sha256::digest(serde_json::to_vec(&fields).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed(subject: &str) -> Deed {
        Deed {
            at: chrono::DateTime::from_timestamp_micros(1_800_000_000_000_001).unwrap(),
            actor: "key_1".to_owned(),
            action: "api_key.revoke".to_owned(),
            subject: subject.to_owned(),
            reason: None,
            before: Some("active".to_owned()),
            after: Some("revoked".to_owned()),
            request_id: None,
        }
    }

    #[test]
    fn a_hash_is_over_every_field_and_for_ever() {
        let entry = Entry::after(None, deed("key_2"));

        assert_eq!(entry.hash, "65c30a70b20327325238d73e0d182f25c78bc5ba2d998ff2aaeb2114962f9d7b");
        let mut forged: Vec<_> = (0..7).map(|_| entry.clone()).collect();
        forged[0].actor = "key_3".to_owned();
        forged[1].subject = "key_3".to_owned();
        forged[2].reason = Some(String::new());
        forged[3].before = None;
        forged[4].at += chrono::TimeDelta::microseconds(1);
        forged[5].number = 2;
        forged[6].request_id = Some("req_1".to_owned());
        assert!(entry.is_sound(None));
        assert!(forged.iter().all(|entry| !entry.is_sound(None)));
    }

    #[test]
    fn an_entry_that_is_missing_or_exchanged_is_noticed() {
        let first = Entry::after(None, deed("a"));
        let second = Entry::after(Some((1, &first.hash)), deed("b"));
        let third = Entry::after(Some((2, &second.hash)), deed("c"));
        let other = Entry::after(Some((1, "0")), deed("b"));

        assert!(second.is_sound(Some(&first)) && third.is_sound(Some(&second)));
        assert!(
            !third.is_sound(Some(&first)) && !third.is_sound(Some(&other)) && !other.is_sound(Some(&first))
        );
    }
}

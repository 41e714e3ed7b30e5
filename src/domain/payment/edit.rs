//! Edits: what a caller may change of a payment while it goes its way. Nothing here touches its money.

use super::Payment;
use std::collections::BTreeMap;

/// How many entries `metadata` may have.
pub const MAX_METADATA: usize = 50;

/// What is to be changed; what it does not name stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    pub description: Text,
    /// Entries to write, and entries to take away.
    pub metadata: BTreeMap<String, Option<String>>,
}

/// What becomes of a text that may be there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Text {
    #[default]
    Kept,
    Written(String),
    Removed,
}

/// With the edit, the payment would have more entries than it may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "with these it would have {0} entries, and at most {MAX_METADATA} may be: take some away by sending null for them"
)]
pub struct TooManyEntries(usize);

impl Edit {
    /// The payment with the edit, and the names of the fields that it changes.
    pub(super) fn of(self, payment: &Payment) -> (Payment, Vec<String>) {
        let (mut edited, mut changed) = (payment.clone(), Vec::new());
        match self.description {
            Text::Kept => {}
            Text::Written(text) => edited.description = Some(text),
            Text::Removed => edited.description = None,
        }
        if edited.description != payment.description {
            changed.push("description".to_owned());
        }
        for (name, value) in self.metadata {
            if payment.metadata.get(&name) == value.as_ref() {
                continue;
            }
            changed.push(format!("metadata.{name}"));
            match value {
                Some(value) => edited.metadata.insert(name, value),
                None => edited.metadata.remove(&name),
            };
        }
        (edited, changed)
    }
}

impl Payment {
    /// Whether the payment can bear the edit: each entry was looked at alone, and here they are together.
    pub fn editable(&self, edit: &Edit) -> Result<(), TooManyEntries> {
        let (edited, _) = edit.clone().of(self);
        let entries = edited.metadata.len();
        if entries > MAX_METADATA { Err(TooManyEntries(entries)) } else { Ok(()) }
    }
}

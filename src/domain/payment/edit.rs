//! Edits: what a caller may change of a payment while it goes its way. Nothing here touches its money.

use super::Payment;
use crate::domain::update::{self, Update};
use dunlin_jobs::NewPayment;
use std::collections::BTreeMap;

/// How many entries `metadata` may have.
pub const MAX_METADATA: usize = NewPayment::MAX_METADATA;

/// What is to be changed; what it does not name stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    pub description: Update<String>,
    /// Entries to write, and entries to take away.
    pub metadata: BTreeMap<String, Option<String>>,
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
        let differs =
            |(name, value): &(&String, &Option<String>)| payment.metadata.get(*name) != value.as_ref();
        let entries = self.metadata.iter().filter(differs).map(|(name, _)| format!("metadata.{name}"));
        let entries: Vec<_> = entries.collect();
        let mut edited = payment.clone();
        self.description.apply(&mut edited.description);
        update::merge(&mut edited.metadata, self.metadata);
        let described = (edited.description != payment.description).then(|| "description".to_owned());
        (edited, described.into_iter().chain(entries).collect())
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

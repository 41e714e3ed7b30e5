//! The outbox holds the events that endpoints have still to be told.

use std::collections::{BTreeMap, VecDeque};

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// The number of the delivery that comes next.
    next: u64,
    open: BTreeMap<u64, Parcel>,
    /// Those that nobody has taken yet.
    waiting: VecDeque<u64>,
}

/// One event for one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parcel {
    /// The account's id.
    pub account: String,
    /// The event's place in its account.
    pub event: usize,
    pub endpoint: String,
}

impl Outbox {
    pub(crate) fn add(&mut self, parcel: Parcel) {
        self.open.insert(self.next, parcel);
        self.waiting.push_back(self.next);
        self.next = self.next.saturating_add(1);
    }

    pub(crate) fn close(&mut self, delivery: u64) {
        self.open.remove(&delivery);
    }

    pub(crate) fn parcel(&self, delivery: u64) -> Option<&Parcel> {
        self.open.get(&delivery)
    }

    /// The next that nobody has taken yet.
    pub(crate) fn take(&mut self) -> Option<u64> {
        std::iter::from_fn(|| self.waiting.pop_front()).find(|delivery| self.open.contains_key(delivery))
    }

    /// How many endpoints have still to be told of an event.
    pub(crate) fn pending(&self, account: &str, event: usize) -> usize {
        self.open.values().filter(|parcel| parcel.event == event && parcel.account == account).count()
    }
}

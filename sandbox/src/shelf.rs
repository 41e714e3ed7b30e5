//! A shelf keeps one kind of object in the order of creation, found by id and by what they belong to.

use crate::{
    charge::Charge,
    customer::Customer,
    dispute::{Dispute, Warning},
    endpoint::Endpoint,
    intent::Intent,
    kept_method::KeptMethod,
    refund::Refund,
    setup::Setup,
};
use std::{collections::HashMap, sync::Arc};

/// What a shelf has to know of an object.
pub(crate) struct Label<'a> {
    id: &'a str,
    created: i64,
    /// The ids of what it belongs to; lists can be asked for by them.
    owners: [Option<&'a str>; 2],
    is_listed: bool,
}

pub(crate) trait Kept {
    fn label(&self) -> Label<'_>;

    fn id(&self) -> &str {
        self.label().id
    }

    fn created(&self) -> i64 {
        self.label().created
    }

    fn owners(&self) -> [Option<&str>; 2] {
        self.label().owners
    }

    fn is_listed(&self) -> bool {
        self.label().is_listed
    }
}

#[derive(Debug)]
pub(crate) struct Shelf<T> {
    items: Vec<Arc<T>>,
    positions: HashMap<String, usize>,
    /// The positions that lists show, rising.
    listed: Vec<usize>,
    by_owner: HashMap<String, Vec<usize>>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { items: Vec::new(), positions: HashMap::new(), listed: Vec::new(), by_owner: HashMap::new() }
    }
}

impl<T: Kept> Shelf<T> {
    pub(crate) fn find(&self, id: &str) -> Option<&Arc<T>> {
        self.at(self.position(id)?)
    }

    pub(crate) fn at(&self, position: usize) -> Option<&Arc<T>> {
        self.items.get(position)
    }

    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        self.positions.get(id).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.items.iter()
    }

    pub(crate) fn listed(&self) -> &[usize] {
        &self.listed
    }

    /// The positions of what belongs to an owner, rising.
    pub(crate) fn of(&self, owner: &str) -> &[usize] {
        self.by_owner.get(owner).map_or(&[], Vec::as_slice)
    }

    /// Keeps an object, and returns the one it replaces.
    pub(crate) fn put(&mut self, item: Arc<T>) -> Option<Arc<T>> {
        let known = self.position(item.id());
        let position = known.unwrap_or(self.items.len());
        let before = known.and_then(|position| self.items.get(position)).cloned();
        let owners =
            |item: &T| item.owners().map(|owner| owner.filter(|_| item.is_listed()).map(str::to_owned));
        let (old, new) = (before.as_deref().map_or([None, None], owners), owners(&item));
        for gone in old.iter().flatten().filter(|owner| !new.contains(&Some((*owner).clone()))) {
            if let Some(positions) = self.by_owner.get_mut(gone) {
                positions.retain(|kept| *kept != position);
            }
        }
        for owner in new.iter().flatten().filter(|owner| !old.contains(&Some((*owner).clone()))) {
            let positions = self.by_owner.entry(owner.clone()).or_default();
            let place = positions.partition_point(|kept| *kept < position);
            positions.insert(place, position);
        }
        if let Some(place) = known.and_then(|position| self.items.get_mut(position)) {
            if !item.is_listed() {
                self.listed.retain(|kept| *kept != position);
            }
            *place = item;
        } else {
            self.positions.insert(item.id().to_owned(), position);
            self.listed.push(position);
            self.items.push(item);
        }
        before
    }
}

impl<'a> Label<'a> {
    /// Of an object that belongs to nothing and is listed.
    fn new(id: &'a str, created: i64) -> Self {
        Self { id, created, owners: [None, None], is_listed: true }
    }
}

impl Kept for Intent {
    fn label(&self) -> Label<'_> {
        let owners = [self.facts.customer.as_deref(), None];
        Label { owners, ..Label::new(&self.facts.id, self.facts.created) }
    }
}

impl Kept for Charge {
    fn label(&self) -> Label<'_> {
        let owners = [Some(self.intent.id.as_str()), self.intent.customer.as_deref()];
        Label { owners, ..Label::new(&self.id, self.created) }
    }
}

impl Kept for Refund {
    fn label(&self) -> Label<'_> {
        let owners = [Some(self.intent.as_str()), Some(self.charge.as_str())];
        Label { owners, ..Label::new(&self.id, self.created) }
    }
}

impl Kept for Dispute {
    fn label(&self) -> Label<'_> {
        let owners = [Some(self.intent.as_str()), Some(self.charge.as_str())];
        Label { owners, ..Label::new(&self.id, self.created) }
    }
}

impl Kept for Warning {
    fn label(&self) -> Label<'_> {
        let owners = [Some(self.intent.as_str()), Some(self.charge.as_str())];
        Label { owners, ..Label::new(&self.id, self.created) }
    }
}

impl Kept for Customer {
    fn label(&self) -> Label<'_> {
        Label { is_listed: !self.is_deleted, ..Label::new(&self.id, self.created) }
    }
}

impl Kept for KeptMethod {
    fn label(&self) -> Label<'_> {
        Label { owners: [self.customer(), None], ..Label::new(&self.id, self.created) }
    }
}

impl Kept for Setup {
    fn label(&self) -> Label<'_> {
        Label { owners: [self.customer.as_deref(), None], ..Label::new(&self.id, self.created) }
    }
}

impl Kept for Endpoint {
    fn label(&self) -> Label<'_> {
        Label { is_listed: !self.is_deleted, ..Label::new(&self.id, self.created) }
    }
}

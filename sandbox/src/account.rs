//! An account is what one key sees: its intents in order of creation, and its idempotency keys.

use crate::{
    entry::{Answered, Ending},
    fault::Twist,
    intent::Intent,
};
use std::{collections::HashMap, sync::Arc};

#[derive(Debug, Default)]
pub(crate) struct Account {
    intents: Vec<Arc<Intent>>,
    /// Every position, rising: the list of those who ask for no customer.
    all: Vec<usize>,
    positions: HashMap<String, usize>,
    by_customer: HashMap<String, Vec<usize>>,
    keys: HashMap<String, Key>,
}

/// What is known of an idempotency key.
#[derive(Debug)]
pub(crate) enum Key {
    /// A fault was given under it; nothing was executed.
    Faulted { at: i64 },
    /// A 500 is stored; nothing was executed.
    Failed { at: i64, fingerprint: String },
    Answered {
        at: i64,
        /// Until then another request under it counts as running.
        busy_until: i64,
        answer: Stored,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub fingerprint: String,
    pub ending: Ending,
    pub intent: Arc<Intent>,
}

const KEY_LIFE_SECONDS: i64 = 86_400;

impl Account {
    pub(crate) fn intent(&self, id: &str) -> Option<&Arc<Intent>> {
        self.positions.get(id).and_then(|position| self.intents.get(*position))
    }

    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        self.positions.get(id).copied()
    }

    pub(crate) fn at(&self, position: usize) -> Option<&Arc<Intent>> {
        self.intents.get(position)
    }

    pub(crate) fn all(&self) -> &[usize] {
        &self.all
    }

    /// The positions of a customer's intents, rising.
    pub(crate) fn of_customer(&self, customer: &str) -> &[usize] {
        self.by_customer.get(customer).map_or(&[], Vec::as_slice)
    }

    /// What the key means at a time; a key that outlived its day means nothing.
    pub(crate) fn key(&self, key: &str, now: i64) -> Option<&Key> {
        self.keys.get(key).filter(|known| known.at().saturating_add(KEY_LIFE_SECONDS) > now)
    }

    pub(crate) fn put(&mut self, intent: Arc<Intent>) {
        if let Some(known) =
            self.positions.get(intent.id()).and_then(|position| self.intents.get_mut(*position))
        {
            *known = intent;
            return;
        }
        let position = self.intents.len();
        self.positions.insert(intent.id().to_owned(), position);
        if let Some(customer) = &intent.facts.customer {
            self.by_customer.entry(customer.clone()).or_default().push(position);
        }
        self.all.push(position);
        self.intents.push(intent);
    }

    pub(crate) fn fault(&mut self, key: String, at: i64) {
        self.keys.insert(key, Key::Faulted { at });
    }

    pub(crate) fn fail(&mut self, key: String, fingerprint: String, at: i64) {
        self.keys.insert(key, Key::Failed { at, fingerprint });
    }

    pub(crate) fn answer(&mut self, answered: Answered, at: i64, intent: Arc<Intent>, twist: Option<Twist>) {
        let Answered { key, fingerprint, ending } = answered;
        let answer = Stored { fingerprint, ending, intent };
        let busy_until = match twist {
            Some(Twist::Forgotten) => {
                self.keys.remove(&key);
                return;
            }
            Some(Twist::Busy(seconds)) => at.saturating_add(seconds.into()),
            _ => at,
        };
        self.keys.insert(key, Key::Answered { at, busy_until, answer });
    }

    pub(crate) fn forget_keys(&mut self, now: i64) {
        self.keys.retain(|_, known| known.at().saturating_add(KEY_LIFE_SECONDS) > now);
    }
}

impl Key {
    fn at(&self) -> i64 {
        match self {
            Self::Faulted { at } | Self::Failed { at, .. } | Self::Answered { at, .. } => *at,
        }
    }
}

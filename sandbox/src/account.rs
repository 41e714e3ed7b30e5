//! An account is what one key sees: its objects and events in order of creation, and its idempotency keys.

use crate::{
    charge::Charge,
    customer::Customer,
    dispute::{Dispute, Warning},
    endpoint::Endpoint,
    entry::{Answered, Ending},
    event::Event,
    fault::Twist,
    intent::Intent,
    kept_method::KeptMethod,
    noun::Noun,
    object::Object,
    refund::Refund,
    setup::Setup,
    shelf::Shelf,
};
use std::{collections::HashMap, sync::Arc};

#[derive(Debug, Default)]
pub(crate) struct Account {
    /// The key's last 4 characters.
    pub tail: String,
    pub charges: Shelf<Charge>,
    pub customers: Shelf<Customer>,
    pub disputes: Shelf<Dispute>,
    pub endpoints: Shelf<Endpoint>,
    pub intents: Shelf<Intent>,
    pub methods: Shelf<KeptMethod>,
    pub refunds: Shelf<Refund>,
    pub setups: Shelf<Setup>,
    pub warnings: Shelf<Warning>,
    pub events: Vec<Event>,
    keys: HashMap<String, Key>,
}

/// What is known of an idempotency key.
#[derive(Debug)]
pub(crate) enum Key {
    /// A fault was given under it; nothing was executed.
    Faulted { at: i64 },
    /// A 500 is stored; nothing was executed.
    Failed { at: i64, fingerprint: String },
    /// The execution refused it, in these words.
    Refused { at: i64, fingerprint: String, status: u16, body: String },
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
    pub object: Object,
    /// The answer's text, where it holds more than the object.
    pub body: Option<String>,
}

const KEY_LIFE_SECONDS: i64 = 86_400;

impl Account {
    pub(crate) fn find(&self, noun: Noun, id: &str) -> Option<Object> {
        match noun {
            Noun::Charge => self.charges.find(id).cloned().map(Object::Charge),
            Noun::Customer => self.customers.find(id).cloned().map(Object::Customer),
            Noun::Dispute => self.disputes.find(id).cloned().map(Object::Dispute),
            Noun::Endpoint => self.endpoints.find(id).cloned().map(Object::Endpoint),
            Noun::Intent => self.intents.find(id).cloned().map(Object::Intent),
            Noun::Method => self.methods.find(id).cloned().map(Object::Method),
            Noun::Refund => self.refunds.find(id).cloned().map(Object::Refund),
            Noun::Setup => self.setups.find(id).cloned().map(Object::Setup),
            Noun::Warning => self.warnings.find(id).cloned().map(Object::Warning),
            Noun::Event => None,
        }
    }

    /// Takes an object in, and returns the one it replaces.
    pub(crate) fn put(&mut self, object: &Object) -> Option<Object> {
        match object {
            Object::Charge(charge) => self.charges.put(Arc::clone(charge)).map(Object::Charge),
            Object::Customer(customer) => self.customers.put(Arc::clone(customer)).map(Object::Customer),
            Object::Dispute(dispute) => self.disputes.put(Arc::clone(dispute)).map(Object::Dispute),
            Object::Endpoint(endpoint) => self.endpoints.put(Arc::clone(endpoint)).map(Object::Endpoint),
            Object::Intent(intent) => self.intents.put(Arc::clone(intent)).map(Object::Intent),
            Object::Method(method) => self.methods.put(Arc::clone(method)).map(Object::Method),
            Object::Refund(refund) => self.refunds.put(Arc::clone(refund)).map(Object::Refund),
            Object::Setup(setup) => self.setups.put(Arc::clone(setup)).map(Object::Setup),
            Object::Warning(warning) => self.warnings.put(Arc::clone(warning)).map(Object::Warning),
        }
    }

    /// What the key means at a time; a key that outlived its day means nothing.
    pub(crate) fn key(&self, key: &str, now: i64) -> Option<&Key> {
        self.keys.get(key).filter(|known| known.at().saturating_add(KEY_LIFE_SECONDS) > now)
    }

    pub(crate) fn fault(&mut self, key: String, at: i64) {
        self.keys.insert(key, Key::Faulted { at });
    }

    pub(crate) fn fail(&mut self, key: String, fingerprint: String, at: i64) {
        self.keys.insert(key, Key::Failed { at, fingerprint });
    }

    pub(crate) fn refuse(&mut self, key: String, refused: Key) {
        self.keys.insert(key, refused);
    }

    pub(crate) fn answer(&mut self, answered: Answered, at: i64, object: Object, twist: Option<Twist>) {
        let Answered { key, fingerprint, ending, body } = answered;
        let answer = Stored { fingerprint, ending, object, body };
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
            Self::Faulted { at }
            | Self::Failed { at, .. }
            | Self::Refused { at, .. }
            | Self::Answered { at, .. } => *at,
        }
    }
}

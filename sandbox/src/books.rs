//! The books are the bank's whole memory: accounts, and the ledger of captures nothing is taken out of.

use crate::{
    account::Account,
    auth::AccountId,
    clock::Clock,
    entry::{Captured, Entry, Executed, Subject},
    intent::{Intent, Status},
    lag::Past,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

#[derive(Debug)]
pub(crate) struct Books {
    pub clock: Clock,
    pub past: Past,
    salt: u64,
    accounts: HashMap<String, Account>,
    intents: usize,
    captures: Vec<Capture>,
    captured: BTreeMap<String, u64>,
}

/// Money taken, once.
#[derive(Debug)]
pub(crate) struct Capture {
    pub charge: String,
    pub amount: u64,
    pub key: Option<String>,
    pub account_tail: String,
    pub at: i64,
    pub intent: Arc<Intent>,
}

impl Books {
    pub(crate) fn new(salt: u64, clock: Clock) -> Self {
        Self {
            clock,
            past: Past::default(),
            salt,
            accounts: HashMap::new(),
            intents: 0,
            captures: Vec::new(),
            captured: BTreeMap::new(),
        }
    }

    pub(crate) fn salt(&self) -> u64 {
        self.salt
    }

    pub(crate) fn intents(&self) -> usize {
        self.intents
    }

    pub(crate) fn account(&self, account: &AccountId) -> Option<&Account> {
        self.accounts.get(&account.id)
    }

    pub(crate) fn intent(&self, account: &AccountId, id: &str) -> Option<&Arc<Intent>> {
        self.account(account).and_then(|account| account.intent(id))
    }

    /// The ledger; a capture's number is its place, counted from 1.
    pub(crate) fn captures(&self) -> &[Capture] {
        &self.captures
    }

    /// Minor units taken, by currency.
    pub(crate) fn captured(&self) -> &BTreeMap<String, u64> {
        &self.captured
    }

    pub(crate) fn next_seq(&self) -> u64 {
        u64::try_from(self.captures.len()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Whether an entry may follow what is in the books; above all, that no intent is captured twice.
    pub(crate) fn check(&self, entry: &Entry) -> Result<(), &'static str> {
        let executed = match entry {
            Entry::Opened { .. } if self.intents > 0 => return Err("the journal is opened twice"),
            Entry::Opened { .. } | Entry::Clock { .. } | Entry::Fault { .. } | Entry::Failed { .. } => {
                return Ok(());
            }
            Entry::Executed(executed) => executed,
        };
        let known = |id: &str| self.intent(&executed.account, id);
        match &executed.subject {
            Subject::New(facts) if known(&facts.id).is_some() => return Err("the intent exists already"),
            Subject::New(_) => {}
            Subject::Known(id) => match known(id) {
                None => return Err("the intent does not exist"),
                Some(intent) if !intent.status.is_open() => return Err("the intent is closed"),
                Some(_) => {}
            },
        }
        match (&executed.status, &executed.capture) {
            (Status::Succeeded { .. }, None) => Err("an intent succeeds without a capture"),
            (Status::Succeeded { .. }, Some(capture)) if capture.seq != self.next_seq() => {
                Err("a capture is out of sequence")
            }
            (Status::Succeeded { .. }, Some(_)) => Ok(()),
            (
                Status::RequiresPaymentMethod { .. }
                | Status::RequiresConfirmation { .. }
                | Status::RequiresAction { .. }
                | Status::Canceled { .. },
                capture,
            ) => capture.as_ref().map_or(Ok(()), |_| Err("a capture belongs to no success")),
        }
    }

    /// Takes an entry that was checked into the books.
    pub(crate) fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Opened { salt } => self.salt = salt,
            Entry::Clock { offset_seconds } => {
                self.clock.advance(offset_seconds);
                let now = self.clock.now();
                self.accounts.values_mut().for_each(|account| account.forget_keys(now));
                self.past.forget(now);
            }
            Entry::Fault { account, key, at } => {
                self.clock.reach(at);
                self.accounts.entry(account.id).or_default().fault(key, at);
            }
            Entry::Failed { account, key, fingerprint, at } => {
                self.clock.reach(at);
                self.accounts.entry(account.id).or_default().fail(key, fingerprint, at);
            }
            Entry::Executed(executed) => self.execute(*executed),
        }
    }

    fn execute(&mut self, executed: Executed) {
        let Executed { account, at, subject, attempts, status, capture, answer, twist } = executed;
        self.clock.reach(at);
        let own = self.accounts.entry(account.id).or_default();
        let facts = match subject {
            Subject::New(facts) => {
                self.intents = self.intents.saturating_add(1);
                facts
            }
            Subject::Known(id) => match own.intent(&id) {
                Some(intent) => Arc::clone(&intent.facts),
                None => return,
            },
        };
        let intent = Arc::new(Intent { facts, attempts, status });
        let replaced = own.intent(intent.id()).map(Arc::clone);
        self.past.note(intent.id(), at, replaced, twist);
        own.put(Arc::clone(&intent));
        let key = answer.as_ref().map(|answer| answer.key.clone());
        if let Some(answer) = answer {
            own.answer(answer, at, Arc::clone(&intent), twist);
        }
        if let Some(Captured { charge, amount, .. }) = capture {
            let total = self.captured.entry(intent.facts.currency.clone()).or_default();
            *total = total.saturating_add(amount);
            self.captures.push(Capture { charge, amount, key, account_tail: account.tail, at, intent });
        }
    }
}

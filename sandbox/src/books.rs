//! The books are the bank's whole memory: accounts, the ledger, and what is still to happen.

use crate::{
    account::{Account, Key},
    auth::AccountId,
    charge::ChargeState,
    clock::Clock,
    entry::{Entry, Executed},
    event::{self, Event},
    intent::{Intent, Status},
    lag::Past,
    ledger::Ledger,
    object::Object,
    outbox::{Outbox, Parcel},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

#[derive(Debug)]
pub(crate) struct Books {
    pub clock: Clock,
    pub ledger: Ledger,
    pub outbox: Outbox,
    pub past: Past,
    salt: u64,
    accounts: HashMap<String, Account>,
    intents: usize,
    /// How many objects that are neither intents nor charges were created.
    births: usize,
    /// When the last entry was made.
    written_at: i64,
    /// What moves by itself, by its time and its id.
    due: BTreeMap<(i64, String), Due>,
}

/// An object that moves by itself.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    pub account: AccountId,
    pub object: Object,
    pub at: i64,
}

impl Books {
    pub(crate) fn new(salt: u64, clock: Clock) -> Self {
        Self {
            clock,
            ledger: Ledger::default(),
            outbox: Outbox::default(),
            past: Past::default(),
            salt,
            accounts: HashMap::new(),
            intents: 0,
            births: 0,
            written_at: 0,
            due: BTreeMap::new(),
        }
    }

    pub(crate) fn salt(&self) -> u64 {
        self.salt
    }

    pub(crate) fn intents(&self) -> usize {
        self.intents
    }

    pub(crate) fn births(&self) -> usize {
        self.births
    }

    pub(crate) fn account(&self, account: &AccountId) -> Option<&Account> {
        self.accounts.get(&account.id)
    }

    /// Every account, with its id.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = (&str, &Account)> {
        self.accounts.iter().map(|(id, account)| (id.as_str(), account))
    }

    pub(crate) fn intent(&self, account: &AccountId, id: &str) -> Option<&Arc<Intent>> {
        self.account(account).and_then(|account| account.intents.find(id))
    }

    /// Takes the next object that should have moved by now.
    pub(crate) fn take_due(&mut self, now: i64) -> Option<Due> {
        let first = self.due.first_entry().filter(|first| first.key().0 <= now)?;
        let due = first.remove();
        Some(Due { at: self.written_at.max(due.at), ..due })
    }

    /// Whether an entry may follow what is in the books; above all, that no intent is captured twice.
    pub(crate) fn check(&self, entry: &Entry) -> Result<(), &'static str> {
        let executed = match entry {
            Entry::Opened { .. } if self.intents > 0 => return Err("the journal is opened twice"),
            Entry::Closed { delivery } if self.outbox.parcel(*delivery).is_none() => {
                return Err("the delivery is closed already");
            }
            Entry::Opened { .. }
            | Entry::Clock { .. }
            | Entry::Fault { .. }
            | Entry::Failed { .. }
            | Entry::Refused { .. }
            | Entry::Closed { .. } => {
                return Ok(());
            }
            Entry::Executed(executed) => executed,
        };
        let account = self.account(&executed.account);
        for object in &executed.objects {
            match object {
                Object::Intent(intent) => {
                    let known = account.and_then(|account| account.intents.find(intent.id()));
                    if known.is_some_and(|known| is_final(&known.status) && known.status != intent.status) {
                        return Err("the intent is closed");
                    }
                    if known.is_none_or(|known| known.status != intent.status)
                        && !is_paid(&executed.objects, &intent.status)
                    {
                        return Err("an intent succeeds without a capture");
                    }
                }
                Object::Charge(charge) => {
                    let known = account.and_then(|account| account.charges.find(&charge.id));
                    if known.is_some_and(|known| **known == **charge) {
                        return Err("the charge exists already");
                    }
                    if charge.refunded > charge.amount {
                        return Err("more is refunded than was charged");
                    }
                    let succeeds = charge.state == ChargeState::Succeeded
                        && known.is_none_or(|known| known.state != ChargeState::Succeeded);
                    if succeeds && !pays(&executed.objects, &charge.id) {
                        return Err("a capture belongs to no success");
                    }
                }
                Object::Customer(_)
                | Object::Dispute(_)
                | Object::Endpoint(_)
                | Object::Method(_)
                | Object::Refund(_)
                | Object::Setup(_)
                | Object::Warning(_) => {}
            }
        }
        Ok(())
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
            Entry::Refused { account, key, fingerprint, at, status, body } => {
                self.clock.reach(at);
                self.accounts
                    .entry(account.id)
                    .or_default()
                    .refuse(key, Key::Refused { at, fingerprint, status, body });
            }
            Entry::Executed(executed) => self.execute(*executed),
            Entry::Closed { delivery } => self.outbox.close(delivery),
        }
    }

    fn execute(&mut self, executed: Executed) {
        let Executed { account, at, objects, answer, twist, untold } = executed;
        self.clock.reach(at);
        self.written_at = at;
        let own = self.accounts.entry(account.id.clone()).or_default();
        own.tail.clone_from(&account.tail);
        let mut happened = Vec::new();
        for object in &objects {
            let before = own.put(object);
            match object {
                Object::Intent(intent) => {
                    let replaced = before.as_ref().and_then(Object::intent).cloned().map(Arc::new);
                    self.past.note(intent.id(), at, replaced, twist);
                    self.intents = self.intents.saturating_add(usize::from(before.is_none()));
                }
                Object::Charge(_) => {}
                Object::Customer(_)
                | Object::Dispute(_)
                | Object::Endpoint(_)
                | Object::Method(_)
                | Object::Refund(_)
                | Object::Setup(_)
                | Object::Warning(_) => {
                    self.births = self.births.saturating_add(usize::from(before.is_none()));
                }
            }
            if let Some(due_at) = before.as_ref().and_then(Object::due_at) {
                self.due.remove(&(due_at, object.id().to_owned()));
            }
            if let Some(due_at) = object.due_at() {
                let due = Due { account: account.clone(), object: object.clone(), at: due_at };
                self.due.insert((due_at, object.id().to_owned()), due);
            }
            self.ledger.note(before.as_ref(), object, &account.tail, at);
            happened.extend(event::between(before.as_ref(), object));
        }
        // What is born is told first, and what it led to last.
        happened.sort_by_key(|happened| match happened.name.rsplit_once('.') {
            Some((_, "created")) => 0,
            Some(("payment_intent" | "setup_intent", _)) => 2,
            Some(_) | None => 1,
        });
        let key: Option<Arc<str>> = answer.as_ref().map(|answer| answer.key.as_str().into());
        for event::Happened { name, object, before } in happened {
            for endpoint in own.endpoints.iter().filter(|endpoint| !untold && endpoint.wants(name)) {
                let (account, event, endpoint) = (account.id.clone(), own.events.len(), endpoint.id.clone());
                self.outbox.add(Parcel { account, event, endpoint });
            }
            own.events.push(Event { name, at, object, before, key: key.clone() });
        }
        if let (Some(answer), Some(shown)) = (answer, objects.into_iter().next()) {
            own.answer(answer, at, shown, twist);
        }
    }
}

fn is_final(status: &Status) -> bool {
    match status {
        Status::Succeeded { .. } | Status::Canceled { .. } => true,
        Status::RequiresPaymentMethod { .. }
        | Status::RequiresConfirmation { .. }
        | Status::RequiresAction { .. }
        | Status::Processing { .. } => false,
    }
}

/// Whether one of the objects is an intent that succeeded by this charge.
fn pays(objects: &[Object], id: &str) -> bool {
    let intents = objects.iter().filter_map(Object::intent);
    intents.map(|intent| &intent.status).any(|status| match status {
        Status::Succeeded { charge, .. } => charge == id,
        Status::RequiresPaymentMethod { .. }
        | Status::RequiresConfirmation { .. }
        | Status::RequiresAction { .. }
        | Status::Processing { .. }
        | Status::Canceled { .. } => false,
    })
}

/// Whether a success has its charge among the objects.
fn is_paid(objects: &[Object], status: &Status) -> bool {
    match status {
        Status::Succeeded { charge: id, .. } => objects
            .iter()
            .filter_map(Object::charge)
            .any(|charge| charge.id == *id && charge.state == ChargeState::Succeeded),
        Status::RequiresPaymentMethod { .. }
        | Status::RequiresConfirmation { .. }
        | Status::RequiresAction { .. }
        | Status::Processing { .. }
        | Status::Canceled { .. } => true,
    }
}

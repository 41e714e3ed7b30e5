//! People: they look up what became of a payment and say so, and they move payments and jobs by hand.
//!
//! They tell the truth as the ledger shows it when they speak, but for those who are mistaken.

use super::ledger;
use crate::support::world;
use dunlin::{
    domain::{clock::Time, payment::Ruling, scope::Scopes},
    flow::{Flows, resolve::Request},
    store::{
        KeyHolder, Owner,
        change::JobAct,
        jobs::{JobFilter, JobView},
    },
};
use dunlin_jobs::{KeyId, PaymentId, ResolutionId};
use dunlin_sandbox::Bank;
use std::sync::{Arc, Mutex};

/// Somebody with an API key of their own.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) holder: KeyHolder,
    pub(super) bank: Arc<Bank>,
    /// Takes what was not charged for charged, and the other way round.
    pub(super) is_mistaken: bool,
    /// What they propose where they find nothing.
    pub(super) wants: Ruling,
    /// Makes the keys of what they say unlike all others.
    pub(super) nth: u64,
    /// What was said, as it is said.
    pub(super) said: Arc<Mutex<Vec<Said>>>,
}

/// A word that decided, or would have.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) payment: PaymentId,
    pub(super) ruling: Ruling,
    pub(super) is_mistaken: bool,
    /// When the attempt that it is about was sent first.
    pub(super) first_sent_at: Option<Time>,
    pub(super) at: Time,
}

pub(super) fn holder(owner: Owner, n: u8) -> KeyHolder {
    let key = KeyId::mint(chrono::DateTime::UNIX_EPOCH, [n; 10]);
    KeyHolder { key, owner, scopes: Scopes::everything(), request: None }
}

impl Person {
    /// Looks a payment up, and says what became of it.
    pub(super) async fn speak(self, flows: Flows, payment: PaymentId, now: Time) {
        let Ok(Some(found)) = flows.store.find_payment(payment).await else { return };
        let charge = ledger::charge_of(&self.bank, payment);
        let proposal = found.proposal().filter(|proposal| proposal.proposed_by != self.holder.key);
        let request = if charge.is_some() == self.is_mistaken {
            let outcome = proposal.map_or(self.wants, |proposal| proposal.outcome);
            self.request(outcome, None, proposal.and_then(|proposal| proposal.id))
        } else {
            let charge = charge.unwrap_or_else(|| format!("ch_mistaken_{}", self.nth));
            self.request(Ruling::Succeeded, Some(charge), None)
        };
        let decides = request.approve.is_some() || request.outcome == Ruling::Succeeded;
        if decides {
            let said = Said {
                payment,
                ruling: request.outcome,
                is_mistaken: self.is_mistaken,
                first_sent_at: found.attempt.map(|attempt| attempt.first_sent_at),
                at: now,
            };
            self.said.lock().unwrap().push(said);
        }
        let _ = flows.resolve_payment(&self.holder, payment, request).await;
    }

    fn request(&self, outcome: Ruling, charge: Option<String>, approve: Option<ResolutionId>) -> Request {
        let says = |text: &str| approve.is_none().then(|| text.to_owned());
        Request {
            outcome,
            reason: says("the dashboard shows it"),
            evidence: says("https://dashboard.example"),
            charge,
            approve,
            key: world::key(&format!("said {}", self.nth), "same"),
        }
    }
}

/// What a person does to a payment without saying what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Retry,
    Cancel,
    /// Its jobs are due now.
    Hurry,
    /// Its jobs run again that were set aside.
    Release,
}

impl Act {
    pub(super) const ALL: [Self; 4] = [Self::Retry, Self::Cancel, Self::Hurry, Self::Release];

    pub(super) async fn on(self, flows: Flows, by: KeyHolder, payment: PaymentId, nth: u64) {
        match self {
            Self::Retry => {
                let key = world::key(&format!("retry {nth}"), "same");
                let _ = flows.retry_payment(&by, payment, None, key).await;
            }
            Self::Cancel => {
                let _ = flows.cancel_payment(by.owner, payment).await;
            }
            Self::Hurry => move_jobs(&flows, &by, payment, JobAct::Retry).await,
            Self::Release => move_jobs(&flows, &by, payment, JobAct::Release).await,
        }
    }
}

async fn move_jobs(flows: &Flows, by: &KeyHolder, payment: PaymentId, act: JobAct) {
    let filter = JobFilter { payment: Some(payment), limit: 100, ..JobFilter::default() };
    let Ok(jobs) = flows.list_jobs(by.owner, &filter).await else { return };
    for JobView { id, .. } in jobs {
        let _ = flows.operate_job(by, id.parse().unwrap(), act, None).await;
    }
}

//! The judge: what must be true of every payment when the dust has settled.

use super::scheduler::Simulation;
use crate::support::world;
use dunlin::{
    domain::{
        attempt::AttemptStatus,
        payment::{Payment, Status},
    },
    store::Filter,
};
use std::collections::BTreeSet;

/// What was seen over all seeds.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    payments: usize,
    succeeded: usize,
    failed: usize,
    in_review: usize,
    several_attempts: usize,
    crashes: usize,
    lost_commits: usize,
    acted: usize,
    canceled: usize,
    detached: usize,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.payments += other.payments;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.in_review += other.in_review;
        self.several_attempts += other.several_attempts;
        self.crashes += other.crashes;
        self.lost_commits += other.lost_commits;
        self.acted += other.acted;
        self.canceled += other.canceled;
        self.detached += other.detached;
    }

    /// Over many seeds everything has happened.
    pub(super) fn assert_varied(&self) {
        if self.payments > 200 {
            assert!(self.succeeded > 0 && self.failed > 0 && self.several_attempts > 0, "{self:?}");
            assert!(self.crashes > 0 && self.lost_commits > 0, "{self:?}");
            assert!(self.acted > 0 && self.canceled > 0 && self.detached > 0, "{self:?}");
            // Setting payments aside would be an easy way of never charging twice.
            assert!(self.in_review * 5 < self.payments, "{self:?}");
        }
    }
}

pub(super) async fn judge(simulation: &Simulation<'_>) -> Result<Tally, String> {
    let store = &simulation.flows.store;
    let filter = Filter { limit: 100, ..Filter::default() };
    let payments = store.list_payments(simulation.owner, &filter).await.map_err(|error| error.to_string())?;
    // S1.23
    let alarms = store.count_alarms();
    expect(alarms == 0, format!("{alarms} events met a state that they cannot meet"))?;
    let ledger = world::captures(&simulation.bank);
    let known: BTreeSet<_> = payments.iter().map(|payment| payment.id.to_string()).collect();
    for payment in ledger.keys() {
        expect(known.contains(payment), format!("{payment} was captured and is not known"))?;
    }
    let mut tally = Tally {
        payments: payments.len(),
        crashes: simulation.crashes,
        lost_commits: simulation.lost_commits,
        acted: simulation.acted,
        ..Tally::default()
    };
    for payment in &payments {
        let captured = ledger.get(&payment.id.to_string()).copied().unwrap_or(0);
        if let Err(found) = judge_payment(simulation, payment, captured).await {
            return Err(format!("{found}{}", tell(simulation, payment).await));
        }
        tally.succeeded += usize::from(payment.status == Status::Succeeded);
        tally.canceled += usize::from(payment.status == Status::Canceled);
        tally.detached += usize::from(payment.failure.is_some());
        tally.failed += usize::from(payment.status == Status::Failed);
        tally.in_review += usize::from(matches!(payment.status, Status::NeedsReview { .. }));
        tally.several_attempts += usize::from(payment.next_attempt() > 2);
    }
    Ok(tally)
}

async fn judge_payment(
    simulation: &Simulation<'_>,
    payment: &Payment,
    captured: usize,
) -> Result<(), String> {
    let store = &simulation.flows.store;
    let jobs = store.list_jobs(payment.id).await.map_err(|error| error.to_string())?;
    expect(captured <= 1, format!("captured {captured} times"))?;
    match payment.status {
        Status::Succeeded => expect(captured == 1, "succeeded and not captured")?,
        Status::Failed | Status::Canceled | Status::RequiresAction => {
            expect(captured == 0, "captured and not succeeded")?;
        }
        Status::NeedsReview { .. } => {}
        Status::Pending | Status::Processing | Status::Retrying { .. } => return Err("forgotten".to_owned()),
    }
    let attempts = store.list_attempts(payment.id).await.map_err(|error| error.to_string())?;
    let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.n).collect();
    expect(numbers == (1..payment.next_attempt()).collect::<Vec<_>>(), "attempts are missing")?;
    let last = attempts.last().map(|attempt| attempt.status);
    if payment.status == Status::Failed {
        // S1.11: time alone fails nothing.
        let told = matches!(last, Some(AttemptStatus::Declined | AttemptStatus::Rejected));
        expect(told || payment.failure.is_some(), "failed without an answer that says so")?;
    }
    // S1.16: what was not begun then never was.
    let detached = payment.method_id.and_then(|method| simulation.detached.get(&method));
    expect(payment.failure.is_none() || detached.is_some(), "its method was not detached")?;
    if let Some(payments) = detached {
        let next = payments.get(&payment.id).copied().unwrap_or(1);
        expect(payment.next_attempt() == next, "an attempt began by a method that was detached")?;
    }
    let history = store.list_history(payment.id).await.map_err(|error| error.to_string())?;
    let versions: Vec<_> = history.iter().map(|transition| transition.version).collect();
    expect(versions == (1..=i64::from(payment.version)).collect::<Vec<_>>(), "history has a gap")?;
    let chained = history.windows(2).all(|pair| pair[1].from.as_ref() == Some(&pair[0].to));
    expect(chained, "history does not follow")?;
    let events = store.list_event_types(payment.id).await.map_err(|error| error.to_string())?;
    let successes = events.iter().filter(|event| *event == "payment.succeeded").count();
    expect(successes == captured.min(usize::from(payment.status == Status::Succeeded)), "events are wrong")?;
    let live = jobs.iter().filter(|job| job.state == "live").count();
    expect(live == 0, "work is left")
}

/// The payment's story, for whoever has to find out.
async fn tell(simulation: &Simulation<'_>, payment: &Payment) -> String {
    let store = &simulation.flows.store;
    let mut lines = vec![(payment.created_at, format!("{payment:?}"))];
    for transition in store.list_history(payment.id).await.unwrap_or_default() {
        lines.push((transition.at, format!("{transition:?}")));
    }
    for exchange in store.list_exchanges(payment.id).await.unwrap_or_default() {
        lines.push((exchange.opened_at, format!("{exchange:?}")));
    }
    lines.sort_by_key(|(at, _)| *at);
    lines.into_iter().fold(String::new(), |told, (at, line)| format!("{told}\n{at}  {line}"))
}

fn expect(holds: bool, found: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(found.into()) }
}

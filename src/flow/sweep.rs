//! Sweeps: looks over the tables for what a correct program would not leave there. Any replica may run one;
//! each finding is guarded by the table of states, so that two sweeps do no harm (S5.8).

use super::{FlowError, Flows, Worked};
use crate::{
    domain::{
        payment::Payment,
        table::{Open, Phase},
    },
    failpoint::Point,
    gateway::Account,
    store::{change::JobEnd, claim::Claimed},
};
use chrono::TimeDelta;
use dunlin_jobs::{Charge, Job, Reconcile, Retry, Sweep, SweepName, Withdraw};

/// How often each sweep runs.
const EVERY: TimeDelta = TimeDelta::minutes(5);

/// Every sweep there is: permanent rows, planted at start.
pub const ALL: [Sweep; 1] = [Sweep { name: SweepName::Orphans }];

/// Works on a sweep; its row moves its own `due_at`, so that N replicas run it once a slot.
pub async fn run(flows: &Flows, claimed: &Claimed, sweep: Sweep) -> Result<(), FlowError> {
    flows.store.pass(Point::SweepBegun).await?;
    match sweep.name {
        SweepName::Orphans => adopt_orphans(flows).await?,
    }
    let next = flows.clock().now(true) + EVERY;
    flows.store.pass(Point::SweepEnding).await?;
    match flows.happen(claimed, Worked::note(JobEnd::Again(next))).await {
        Ok(_) | Err(crate::store::change::CommitError::LeaseLost) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Payments and refunds that are not final and that no job holds get one again. There is no lower bound of age.
async fn adopt_orphans(flows: &Flows) -> Result<(), FlowError> {
    let after = i64::try_from(flows.settings.orphan_after_s).unwrap_or(i64::MAX);
    for livemode in [true, false] {
        let before = flows.clock().now(livemode) - TimeDelta::try_seconds(after).unwrap_or(TimeDelta::MAX);
        let orphans = flows.store.list_orphans(livemode, before).await?;
        flows.store.pass(Point::SweepListed).await?;
        for payment in orphans {
            let Some(job) = missing_job(&payment).filter(|_| is_answerable(flows, &payment)) else {
                continue;
            };
            tracing::error!(payment.id = %payment.id, job.kind = job.kind(), "{} was an orphan", payment.id);
            let due = payment.waits_until().unwrap_or_else(|| flows.clock().now(livemode));
            flows.store.adopt(payment.livemode, &job, due).await?;
            let until = payment.payable_until(flows.settings.payable()).filter(|_| payment.is_payable());
            if let Some(until) = until {
                flows.store.adopt(livemode, &withdrawal(&payment), until).await?;
            }
        }
        for refund in flows.store.list_orphan_refunds(livemode, before).await? {
            tracing::error!(refund.id = %refund.id, "{} was an orphan", refund.id);
            let job = Job::Refund(dunlin_jobs::Refund { payment: refund.payment, refund: refund.id });
            flows.store.adopt(livemode, &job, flows.clock().now(livemode)).await?;
        }
    }
    Ok(())
}

/// Whether anybody could tell what became of it: an attempt that was left to a person is nobody's to ask after (S2.10).
fn is_answerable(flows: &Flows, payment: &Payment) -> bool {
    let is_mute = |account: &Account| account.gateway.traits().runs_at_most_once();
    let is_left = payment.status.review_reason().is_some() && payment.operation.is_none();
    !(is_left && flows.account(payment).is_ok_and(is_mute))
}

/// The job that a payment in this phase must have.
fn missing_job(payment: &Payment) -> Option<Job> {
    let charge = Job::Charge(Charge { payment: payment.id });
    match payment.phase() {
        Phase::Pending | Phase::Open(Open::Sending | Open::Planned) | Phase::Review(Open::Sending) => {
            Some(charge)
        }
        Phase::Retrying => Some(Job::Retry(Retry { payment: payment.id, attempt: payment.next_attempt() })),
        // Asking goes on while a person looks (S1.10).
        Phase::Open(Open::Unknown | Open::Settling | Open::Acting)
        | Phase::Review(Open::Unknown | Open::Settling | Open::Acting) => Some(question(payment)),
        Phase::NeedsCustomer => payment.is_payable().then(|| question(payment)),
        Phase::Failed | Phase::Canceled => payment.operation.is_some().then(|| withdrawal(payment)),
        Phase::Review(Open::Planned) | Phase::Disputed | Phase::Succeeded => None,
    }
}

fn question(payment: &Payment) -> Job {
    Job::Reconcile(Reconcile { payment: payment.id, attempt: latest(payment) })
}

fn withdrawal(payment: &Payment) -> Job {
    Job::Withdraw(Withdraw::own(payment.id, latest(payment)))
}

fn latest(payment: &Payment) -> u32 {
    payment.attempt.as_ref().map_or(1, |attempt| attempt.n)
}

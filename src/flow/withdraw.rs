//! Withdraw: cancels at the gateway what a payer could still complete there, once nobody waits for that money any more
//! (S1.19, S1.21). It goes by a short schedule of its own, not by that of questions: until the gateway confirms, they may pay.

use super::{
    FlowError, Flows, Worked, abandoned, evidence,
    exchange::{About, By, Talk},
    other_operation,
};
use crate::{
    domain::{
        attempt::{Attempt, Outcome},
        clock::Time,
        exchange_result::ExchangeResult,
        payment::{Event, Payment},
        table::{Open, Phase},
    },
    failpoint::Point,
    gateway::Cancellation,
    store::{
        change::{CommitError, ExchangeWrite, JobEnd},
        claim::Claimed,
    },
};
use chrono::TimeDelta;
use dunlin_jobs::{Job, Withdraw};

/// When a cancel that the gateway did not confirm is tried again: each delay from the try before, the last one repeats.
const AGAIN_S: [i64; 5] = [5, 30, 120, 600, 1800];
/// The try from which on a person is told, and then about once a day.
const STUCK: u32 = 5;
const TOLD_EVERY: u32 = 48;
/// A payment that changed during the call is looked at again after this long.
pub(super) const SOON: TimeDelta = TimeDelta::seconds(2);

impl Flows {
    /// Has what the payment left at the gateway canceled now, unless that is being done.
    pub(super) async fn withdraw(&self, payment: &Payment, attempt: u32) -> Result<(), FlowError> {
        let job = Job::Withdraw(Withdraw::own(payment.id, attempt));
        self.store.adopt(payment.livemode, &job, self.now(payment)).await.map_err(FlowError::from)
    }
}

/// Whether nobody waits any more for what the attempt has left at the gateway.
pub(super) fn is_due(flows: &Flows, payment: &Payment, attempt: &Attempt) -> bool {
    until(flows, payment, attempt).is_some_and(|at| at <= flows.now(payment))
}

/// Until when it may be completed; none where nothing is left, or where only its end can tell.
fn until(flows: &Flows, payment: &Payment, attempt: &Attempt) -> Option<Time> {
    payment.operation.as_ref()?;
    match payment.phase() {
        Phase::Canceled | Phase::Failed => Some(payment.updated_at),
        Phase::NeedsCustomer => payment.payable_until(flows.settings.payable()),
        Phase::Open(Open::Acting | Open::Unknown) | Phase::Review(Open::Acting | Open::Unknown) => {
            abandoned::deadline(flows, payment, attempt.first_sent_at)
        }
        // What is settling cannot be canceled; what is sent, or may be, comes to its own end; and where an attempt
        // is still to come, it needs the operation (S1.17).
        Phase::Open(Open::Sending | Open::Planned | Open::Settling)
        | Phase::Review(Open::Sending | Open::Planned | Open::Settling)
        | Phase::Pending
        | Phase::Retrying
        | Phase::Disputed
        | Phase::Succeeded => None,
    }
}

/// Works on a withdrawal. Its first act is to look.
pub async fn run(flows: &Flows, claimed: &Claimed, job: &Withdraw) -> Result<(), FlowError> {
    let Some(payment) = flows.store.payment_of(claimed, job.payment).await? else {
        return flows.end_job(&claimed.lease, super::not_there("its payment does not exist")).await;
    };
    flows.store.pass(Point::DoubtLooked).await?;
    if let Some(operation) = &job.operation {
        return other_operation::withdraw(flows, claimed, &payment, operation).await;
    }
    // Whoever canceled or declined it since wants this job, which is in hand, to run again.
    let done = || flows.end_job(&claimed.lease, JobEnd::DoneAt(payment.version));
    let Some(attempt) = payment.attempt.as_ref().filter(|attempt| attempt.n == job.attempt) else {
        return done().await;
    };
    let about = About::Attempt(payment.id, attempt.n);
    let try_it = Withdrawal { flows, claimed, payment: &payment, about };
    match until(flows, &payment, attempt) {
        // No later than tomorrow: whoever cancels the payment meanwhile moves the job, which is in hand.
        Some(at) if at > flows.now(&payment) => {
            let at = at.min(flows.now(&payment) + TimeDelta::days(1));
            flows.end_job(&claimed.lease, JobEnd::Again(at)).await
        }
        Some(_) if try_it.is_over().await? => done().await,
        Some(_) => try_it.go(attempt.n).await,
        None => done().await,
    }
}

/// One try to cancel an operation: that of the payment as it is given.
pub(super) struct Withdrawal<'a> {
    pub(super) flows: &'a Flows,
    pub(super) claimed: &'a Claimed,
    pub(super) payment: &'a Payment,
    pub(super) about: About,
}

impl Withdrawal<'_> {
    /// Whether the gateway has said already that it is canceled there, and we have nothing left to conclude from it.
    async fn is_over(&self) -> Result<bool, FlowError> {
        if self.payment.phase() != Phase::Canceled {
            return Ok(false);
        }
        let exchanges = self.flows.list_exchanges(self.about).await?;
        let operation = self.payment.operation.as_deref().unwrap_or_default();
        // Another operation that the gateway told of may have been canceled too, and is on the same record.
        let mut ended = evidence::ended(&exchanges).filter(|(exchange, _)| exchange.path.contains(operation));
        Ok(ended.any(|(_, result)| result == Some(ExchangeResult::Canceled)))
    }

    /// Asks the gateway to cancel it; nothing when the job has passed to another worker.
    pub(super) async fn ask(&self) -> Result<Option<(Cancellation, ExchangeWrite)>, FlowError> {
        let Self { flows, claimed, payment, about } = *self;
        let account = flows.account(payment)?;
        Talk { flows, by: By::Worker(claimed), account, about }.cancel(payment).await
    }

    async fn go(&self, n: u32) -> Result<(), FlowError> {
        let Some((cancellation, closing)) = self.ask().await? else { return Ok(()) };
        let payment = self.payment;
        let is_open = payment.open_attempt().is_some();
        match cancellation {
            Cancellation::Canceled if is_open => self.conclude(Event::Canceled { attempt: n }, closing).await,
            Cancellation::Canceled if payment.phase() == Phase::Canceled => {
                self.commit(Worked::note(JobEnd::Done), closing).await
            }
            Cancellation::Canceled => self.conclude(Event::Withdrawn { attempt: n }, closing).await,
            // Nobody waits for it, and whether it was paid shows only when it has settled.
            Cancellation::Answered(answer) if answer.outcome == Outcome::Pending && !is_open => {
                self.again("it is settling", closing).await
            }
            Cancellation::Answered(answer) => {
                self.conclude(Event::Answered { attempt: n, answer }, closing).await
            }
            Cancellation::Unknown(why) | Cancellation::StoredError(why) => self.again(&why, closing).await,
        }
    }

    /// The gateway's word decides, and the withdrawal is over.
    pub(super) async fn conclude(&self, event: Event, closing: ExchangeWrite) -> Result<(), FlowError> {
        self.flows.store.pass(Point::Concluding).await?;
        self.commit(Worked::event(self.payment, event, JobEnd::Done), closing).await?;
        self.flows.store.pass(Point::Concluded).await.map_err(FlowError::from)
    }

    /// It can still be paid.
    pub(super) async fn again(&self, why: &str, closing: ExchangeWrite) -> Result<(), FlowError> {
        let (id, account) = (self.payment.id, &self.payment.account);
        let tries = self.claimed.failures.saturating_add(1);
        if tries >= STUCK && (tries - STUCK).is_multiple_of(TOLD_EVERY) {
            tracing::error!(payment.id = %id, gateway.name = %account,
                "{id} can still be paid at {account}, where it could not be canceled {tries} times ({why}): cancel \
                 it there");
        } else {
            tracing::warn!(payment.id = %id, gateway.name = %account,
                "{id} can still be paid at {account}, which did not confirm that it is canceled ({why})");
        }
        let index = usize::try_from(self.claimed.failures).unwrap_or(usize::MAX);
        let delay = AGAIN_S.get(index).or(AGAIN_S.last()).copied().unwrap_or(60);
        let at = self.flows.now(self.payment) + TimeDelta::seconds(delay);
        self.commit(Worked::note(JobEnd::Failed(at, why.to_owned())), closing).await
    }

    pub(super) async fn commit(&self, worked: Worked, closing: ExchangeWrite) -> Result<(), FlowError> {
        match self.flows.happen(self.claimed, worked.with(closing.clone())).await {
            Ok(committed) => {
                super::charge::tell(committed.payment.as_ref().filter(|_| committed.fresh));
                Ok(())
            }
            Err(CommitError::LeaseLost) => self.flows.keep(closing).await,
            // It has changed since we looked; the next look sees it as it is.
            Err(CommitError::Refused(_)) => {
                self.flows.keep(closing).await?;
                let soon = self.flows.now(self.payment) + SOON;
                self.flows.end_job(&self.claimed.lease, JobEnd::Again(soon)).await
            }
            Err(error) => Err(error.into()),
        }
    }
}

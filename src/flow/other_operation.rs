//! Other operation: what stands at the gateway in a payment's name and is not its own, or not any more, is canceled there.
//! Nobody waits for its money, which would be a second capture (S1.4, S1.17).

use super::{
    FlowError, Flows, Worked,
    exchange::About,
    withdraw::{SOON, Withdrawal},
};
use crate::{
    domain::{
        attempt::{Answer, AttemptStatus, Outcome},
        payment::{Event, Payment},
        table::Phase,
    },
    gateway::Cancellation,
    store::{change::ExchangeWrite, change::JobEnd, claim::Claimed},
};
use chrono::TimeDelta;
use dunlin_jobs::{Job, Withdraw};

/// How soon is looked again whether the person who looks at the payment has decided on the money that it has already.
const WHILE_DISPUTED: TimeDelta = TimeDelta::hours(1);

impl Flows {
    /// Has an operation canceled at the gateway that is not the payment's.
    pub(super) async fn withdraw_other(&self, payment: &Payment, operation: &str) -> Result<(), FlowError> {
        let attempt = payment.attempt.as_ref().map_or(1, |attempt| attempt.n);
        let job = Job::Withdraw(Withdraw::other(payment.id, attempt, operation.to_owned()));
        tracing::warn!(payment.id = %payment.id, gateway.name = %payment.account,
            "{} has {operation} at {} beside what is on record, which is canceled there", payment.id, payment.account);
        self.store.adopt(payment.livemode, &job, self.now(payment)).await.map_err(FlowError::from)
    }
}

/// The payment as if the operation were its own, for whoever asks or cancels by it.
pub(super) fn having(payment: &Payment, operation: &str) -> Payment {
    Payment { operation: Some(operation.to_owned()), ..payment.clone() }
}

/// Works on a withdrawal that names its operation.
pub(super) async fn withdraw(
    flows: &Flows,
    claimed: &Claimed,
    payment: &Payment,
    operation: &str,
) -> Result<(), FlowError> {
    // It has come back to it, and has its own jobs for what it has.
    if payment.operation.as_deref() == Some(operation) {
        return flows.end_job(&claimed.lease, JobEnd::Done).await;
    }
    let named = having(payment, operation);
    let about = About::no_attempt(payment.id);
    let withdrawal = Withdrawal { flows, claimed, payment: &named, about };
    let Some((cancellation, closing)) = withdrawal.ask().await? else { return Ok(()) };
    match cancellation {
        Cancellation::Canceled => withdrawal.commit(Worked::note(JobEnd::Done), closing).await,
        Cancellation::Answered(answer) if answer.outcome == Outcome::Succeeded => {
            paid(&withdrawal, answer, closing).await
        }
        // Whether it was paid shows only when it has settled.
        Cancellation::Answered(_) => withdrawal.again("it is settling", closing).await,
        Cancellation::Unknown(why) | Cancellation::StoredError(why) => withdrawal.again(&why, closing).await,
    }
}

/// It was paid there. What follows, the table says, once what the payment has itself is decided.
async fn paid(withdrawal: &Withdrawal<'_>, answer: Answer, closing: ExchangeWrite) -> Result<(), FlowError> {
    let payment = withdrawal.payment;
    let now = withdrawal.flows.now(payment);
    let attempt = payment.attempt.as_ref();
    if attempt.is_some_and(|attempt| attempt.status == AttemptStatus::Sending) {
        return withdrawal.commit(Worked::note(JobEnd::Again(now + SOON)), closing).await;
    }
    // A person looks at one of the two, and would not be told of the other.
    if payment.phase() == Phase::Disputed {
        return withdrawal.commit(Worked::note(JobEnd::Again(now + WHILE_DISPUTED)), closing).await;
    }
    let attempt = attempt.map_or(1, |attempt| attempt.n);
    withdrawal.conclude(Event::Answered { attempt, answer }, closing).await
}

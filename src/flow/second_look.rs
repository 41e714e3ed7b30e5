//! Second look: where two people want an attempt beside one whose outcome nobody knew, the gateway is asked once more
//! before it begins. They may be wrong, and the new attempt has a key that protects nobody from the old one.

use super::{
    FlowError, Flows, Worked, exchange::About, inquiry::Inquiry, other_operation::having,
    withdraw::Withdrawal,
};
use crate::{
    domain::{
        attempt::{Answer, Outcome},
        decline::transport,
        payment::{Event, Payment},
    },
    gateway::{Cancellation, Finding},
    store::{
        change::{CommitError, ExchangeWrite, JobEnd},
        claim::Claimed,
    },
};

/// Whether the next attempt may begin; where it may not, the job is ended.
pub(super) async fn allows(flows: &Flows, claimed: &Claimed, payment: &Payment) -> Result<bool, FlowError> {
    let Some(attempt) = payment.set_aside_attempt() else { return Ok(true) };
    let inquiry = Inquiry { flows, claimed, payment, attempt };
    // One that knows no references has told people all that it can.
    if !inquiry.is_possible()? {
        return Ok(true);
    }
    let Some((finding, closing)) = inquiry.ask().await? else { return Ok(false) };
    match finding {
        Finding::Absent | Finding::Canceled => flows.keep(closing).await.map(|()| true),
        Finding::Answered(Answer { outcome: Outcome::Declined(_), operation, .. }) => {
            flows.keep(closing).await?;
            let other = operation.filter(|found| payment.operation.as_ref() != Some(found));
            match other {
                Some(found) => is_canceled(flows, claimed, &having(payment, &found), attempt.n).await,
                None => Ok(true),
            }
        }
        Finding::Answered(answer) if answer.outcome == Outcome::Succeeded => {
            let event = Event::Answered { attempt: attempt.n, answer };
            tracing::error!(payment.id = %payment.id,
                "{} is not charged again: the gateway has the attempt that it was to be beside", payment.id);
            end(flows, claimed, Worked::event(payment, event, JobEnd::Done), closing).await
        }
        Finding::Answered(_) => {
            let why = "the gateway has the attempt before, which is not over".to_owned();
            end(flows, claimed, later(flows, claimed, payment, why), closing).await
        }
        Finding::More(_) => {
            let why = "the gateway's listing is too long to be read".to_owned();
            end(flows, claimed, later(flows, claimed, payment, why), closing).await
        }
        Finding::Nothing(why) => end(flows, claimed, later(flows, claimed, payment, why), closing).await,
    }
}

/// Cancels what the attempt has left there, which was not on record: another operation is made only once it is (S1.17).
async fn is_canceled(
    flows: &Flows,
    claimed: &Claimed,
    payment: &Payment,
    attempt: u32,
) -> Result<bool, FlowError> {
    let about = About::Attempt(payment.id, attempt);
    let withdrawal = Withdrawal { flows, claimed, payment, about };
    let Some((cancellation, closing)) = withdrawal.ask().await? else { return Ok(false) };
    match cancellation {
        Cancellation::Canceled => flows.keep(closing).await.map(|()| true),
        Cancellation::Answered(answer) if answer.outcome == Outcome::Succeeded => {
            let event = Event::Answered { attempt, answer };
            end(flows, claimed, Worked::event(payment, event, JobEnd::Done), closing).await
        }
        Cancellation::Answered(_) => {
            let why = "what the attempt before has left at the gateway is settling".to_owned();
            end(flows, claimed, later(flows, claimed, payment, why), closing).await
        }
        Cancellation::Unknown(why) | Cancellation::StoredError(why) => {
            end(flows, claimed, later(flows, claimed, payment, why), closing).await
        }
    }
}

pub(super) fn later(flows: &Flows, claimed: &Claimed, payment: &Payment, why: String) -> Worked {
    Worked::note(JobEnd::Failed(flows.now(payment) + transport(claimed.failures + 1), why))
}

pub(super) async fn end(
    flows: &Flows,
    claimed: &Claimed,
    worked: Worked,
    closing: ExchangeWrite,
) -> Result<bool, FlowError> {
    match flows.happen(claimed, worked.with(closing.clone())).await {
        Ok(committed) => {
            super::charge::tell(committed.payment.as_ref().filter(|_| committed.fresh));
            Ok(false)
        }
        Err(CommitError::LeaseLost) => flows.keep(closing).await.map(|()| false),
        Err(error) => Err(error.into()),
    }
}

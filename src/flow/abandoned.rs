//! Abandoned: a customer who was asked to act and did not. What they could still complete is canceled at the gateway,
//! and with its word the payment (S1.19): without it they might come back and pay for what nobody waits for any more.

use super::{FlowError, Flows, cancel};
use crate::{
    domain::{
        attempt::{Attempt, AttemptStatus},
        clock::Time,
        payment::{Event, Payment},
    },
    gateway::Cancellation,
    store::{change::ExchangeWrite, claim::Claimed},
};
use chrono::TimeDelta;

/// What came of trying to cancel.
pub(super) enum Canceling {
    /// The gateway has said how it stands, to be committed with the end of the exchange.
    Decided(Event, ExchangeWrite),
    /// The gateway did not say, and is asked on the schedule.
    Open,
    /// The job has passed to another worker.
    Passed,
}

/// Until when the customer has time to act, while they have to.
pub(super) fn deadline(flows: &Flows, attempt: &Attempt) -> Option<Time> {
    let patience = i64::try_from(flows.settings.action_expires_s).ok().and_then(TimeDelta::try_seconds);
    let is_asked = attempt.status == AttemptStatus::RequiresAction;
    patience.filter(|_| is_asked).and_then(|patience| attempt.first_sent_at.checked_add_signed(patience))
}

/// Asks the gateway to cancel.
pub(super) async fn cancel(
    flows: &Flows,
    claimed: &Claimed,
    payment: &Payment,
    attempt: u32,
) -> Result<Canceling, FlowError> {
    let account = flows.account(payment)?;
    let Some(call) = account.gateway.cancel(payment, attempt) else { return Ok(Canceling::Open) };
    let exchange = flows.exchange(account, payment, attempt, &call);
    if !flows.open(claimed, &exchange).await? {
        return Ok(Canceling::Passed);
    }
    let reply = flows.send(account, claimed, &exchange).await;
    let cancellation = cancel::read(account, payment, &reply);
    let closing = flows.closing(account, &exchange, &reply, cancel::verdict(&cancellation));
    Ok(match cancellation {
        Cancellation::Canceled => Canceling::Decided(Event::Canceled { attempt }, closing),
        Cancellation::Answered(answer) => Canceling::Decided(Event::Answered { attempt, answer }, closing),
        Cancellation::Unknown(_) => {
            flows.keep(closing).await?;
            Canceling::Open
        }
    })
}

//! Abandoned: a customer who was asked to act and did not. What they could still complete is canceled at the gateway,
//! and with its word the payment (S1.19): without it they might come back and pay for what nobody waits for any more.

use super::{FlowError, Flows, cancel, exchange::About, verdict::Verdict};
use crate::{
    domain::{
        attempt::{Attempt, AttemptStatus},
        clock::Time,
        payment::Payment,
    },
    gateway::{Call, Cancellation},
    store::{change::ExchangeWrite, claim::Claimed},
};
use chrono::TimeDelta;

/// Until when a customer who is there is waited for.
pub(super) fn deadline(flows: &Flows, payment: &Payment, since: Time) -> Option<Time> {
    let patience = i64::try_from(flows.settings.action_expires_s).ok().and_then(TimeDelta::try_seconds);
    patience.filter(|_| payment.session.is_on()).and_then(|patience| since.checked_add_signed(patience))
}

/// Whether the customer has left before their charge could begin: they may have paid in another way since.
pub(super) fn is_gone(flows: &Flows, payment: &Payment) -> bool {
    deadline(flows, payment, payment.created_at).is_some_and(|at| at <= flows.now(payment))
}

/// The call that cancels what was abandoned. Where a person looks already it is safe as well, and ends their case.
pub(super) fn call(flows: &Flows, payment: &Payment, attempt: &Attempt) -> Result<Option<Call>, FlowError> {
    let is_asked = attempt.status == AttemptStatus::RequiresAction;
    let deadline = deadline(flows, payment, attempt.first_sent_at);
    let is_over = deadline.is_some_and(|at| at <= flows.now(payment));
    if is_asked && is_over {
        Ok(flows.account(payment)?.gateway.cancel(payment, attempt.n))
    } else {
        Ok(None)
    }
}

/// Asks the gateway to cancel. What it says comes with the end of its exchange, which is to be committed with what
/// follows from it; none when the job has passed to another worker.
pub(super) async fn cancel(
    flows: &Flows,
    claimed: &Claimed,
    payment: &Payment,
    (attempt, call): (u32, Call),
) -> Result<Option<(Cancellation, ExchangeWrite)>, FlowError> {
    let account = flows.account(payment)?;
    let exchange = flows.exchange(account, About::Attempt(payment.id, attempt), &call);
    if !flows.open(claimed, &exchange).await? {
        return Ok(None);
    }
    let reply = flows.send(account, claimed, &exchange).await;
    let cancellation = cancel::read(account, payment, &reply);
    let closing = flows.closing(account, &exchange, &reply, cancellation.verdict());
    Ok(Some((cancellation, closing)))
}

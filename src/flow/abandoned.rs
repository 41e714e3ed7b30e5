//! Abandoned: a customer who was asked to act and did not. What they could still complete is canceled at the gateway,
//! and with its word the payment (S1.19): without it they might come back and pay for what nobody waits for any more.

use super::{FlowError, Flows};
use crate::{
    domain::{
        attempt::{Attempt, AttemptStatus},
        clock::Time,
        payment::Payment,
    },
    gateway::Call,
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

//! Abandoned: a customer who was asked to act and did not, or who left before their charge could begin. What they could
//! still complete is withdrawn: they might come back and pay for what nobody waits for any more.

use super::Flows;
use crate::domain::{clock::Time, payment::Payment};
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

//! Other operations: what stands at the gateway in the name of a payment and is not its own, or not any more. It may take
//! the money once more, so it must not stay payable there (S1.4, S1.17).

use super::{Effect, Payment};
use crate::domain::clock::Time;
use dunlin_jobs::{Job, Withdraw};

impl Payment {
    /// Whether the operation is no part of it: it has another one, or is over without any.
    pub fn has_no_use_for(&self, operation: &str) -> bool {
        match &self.operation {
            Some(own) => own != operation,
            None => self.status.is_final() && self.open_attempt().is_none(),
        }
    }

    /// Withdraws the operation that it had, where it has come to another.
    pub(super) fn let_go(&self, before: &Self, now: Time) -> Option<Effect> {
        let former = before.operation.clone().filter(|_| self.operation != before.operation)?;
        let attempt = self.attempt.as_ref().map_or(1, |attempt| attempt.n);
        Some(Effect::Hasten(Job::Withdraw(Withdraw::other(self.id, attempt, former)), now))
    }
}

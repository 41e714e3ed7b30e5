//! Retries by hand: attempts that a person asked for. They take no place in the schedule of retries (S3.3).

use super::{Payment, Status};
use crate::domain::decline::Tried;

/// What people asked for beside a payment's schedule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByHand {
    /// The number of the latest attempt that a person asked for; 0 where nobody did.
    pub attempt: u32,
    /// How many of the payment's declines were of such attempts.
    pub declines: u32,
}

impl Payment {
    /// Counts one more decline, and says where that leaves it in its schedule.
    pub(super) fn count_decline(&mut self) -> Tried {
        let attempt = self.attempt.as_ref().map_or(1, |attempt| attempt.n);
        self.declines += 1;
        if attempt == self.by_hand.attempt {
            self.by_hand.declines += 1;
        }
        let declines = self.declines.saturating_sub(self.by_hand.declines).max(1);
        Tried { payment: self.id, attempt, declines, on_session: self.session.is_on() }
    }

    /// An attempt that a person asked for and whose credentials were refused never reached anybody: the next one, `n`, is
    /// what they asked for.
    pub(super) fn carry_wish(&mut self, n: u32) {
        if self.status == Status::Pending && self.by_hand.attempt > 0 && self.by_hand.attempt + 1 == n {
            self.by_hand.attempt = n;
        }
    }
}

//! Start: when a payment's first attempt may begin.

use super::{Payment, Status};
use crate::domain::clock::Time;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Now,
    /// At that time: later than it was made, or when somebody said so.
    At(Time),
    /// When somebody says so.
    OnRequest,
}

impl Start {
    /// When the first attempt is due of a payment that is made now; none, if somebody has to say so.
    pub fn due(self, now: Time) -> Option<Time> {
        match self {
            Self::Now => Some(now),
            Self::At(at) => Some(at.max(now)),
            Self::OnRequest => None,
        }
    }

    /// The time that was set for it.
    pub fn at(self) -> Option<Time> {
        match self {
            Self::At(at) => Some(at),
            Self::Now | Self::OnRequest => None,
        }
    }
}

impl Payment {
    /// Whether nothing happens to it until somebody says so.
    pub fn is_deferred(&self) -> bool {
        self.status == Status::Pending && self.start == Start::OnRequest
    }

    /// The time before which no attempt may begin, where it has one.
    pub fn waits_until(&self) -> Option<Time> {
        match self.status {
            Status::Pending => self.start.at(),
            Status::Retrying { next_attempt_at } => Some(next_attempt_at),
            Status::Processing
            | Status::RequiresAction
            | Status::Succeeded
            | Status::Failed
            | Status::Canceled
            | Status::NeedsReview { .. } => None,
        }
    }

    /// Whether no attempt may begin yet.
    pub fn is_early(&self, now: Time) -> bool {
        self.is_deferred() || self.waits_until().is_some_and(|at| at > now)
    }
}

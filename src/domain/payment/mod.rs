//! Payments: the intent to collect one amount from one customer, and where each stands.

mod apply;
mod by_hand;
mod edit;
mod event;
#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod model;
mod named_charge;
mod next;
mod other_operation;
mod payable;
mod resolution;
mod retriable;
mod start;
#[cfg(test)]
mod tests;

pub use apply::{Effect, Plan, Refused, Step};
pub use by_hand::ByHand;
pub use edit::{Edit, MAX_METADATA, TooManyEntries};
pub use event::Event;
pub use named_charge::{NamedCharge, NotOurs};
pub use payable::ASKED_EVERY;
pub use resolution::{Grounds, NotResolvable, Resolution, Ruling, Word};
pub use retriable::NotRetriable;
pub use start::Start;

use super::{
    attempt::Attempt,
    clock::Time,
    decline::Decline,
    dispute::Dispute,
    session::Session,
    table::{Open, Phase},
};
pub use dunlin_jobs::{Method, MethodKind};
use dunlin_jobs::{MethodId, Money, PaymentId, TenantId};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub id: PaymentId,
    pub tenant: TenantId,
    pub livemode: bool,
    pub money: Money,
    pub method: Method,
    /// Which of a customer's payment methods that is, where it is one of those.
    pub method_id: Option<MethodId>,
    pub session: Session,
    pub start: Start,
    /// The caller's id of the customer.
    pub customer: Option<String>,
    /// The caller's id of the payment.
    pub reference: Option<String>,
    pub description: Option<String>,
    pub metadata: BTreeMap<String, String>,
    /// The configured gateway account.
    pub account: String,
    pub status: Status,
    /// Grows by one with every change; history has a row for each.
    pub version: u32,
    /// The gateway's operation that is kept over all attempts, so that it captures once (S1.17).
    pub operation: Option<String>,
    /// The latest attempt.
    pub attempt: Option<Attempt>,
    /// How often it has been declined.
    pub declines: u32,
    /// What people asked for beside its schedule.
    pub by_hand: ByHand,
    /// What a person said last of an outcome that the gateway did not tell, if one did.
    pub resolution: Option<Resolution>,
    /// Why it failed, where that is no answer to an attempt.
    pub failure: Option<Decline>,
    /// In minor units: what has gone back to the payer.
    pub refunded: i64,
    /// In minor units: what may be on its way back, so that it is not given away twice.
    pub refunding: i64,
    /// What its payer objects to, by way of their bank.
    pub disputes: Vec<Dispute>,
    pub created_at: Time,
    pub updated_at: Time,
}

/// A payment's status, with the facts that are true only in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    Pending,
    Processing,
    RequiresAction,
    Retrying { next_attempt_at: Time },
    Succeeded,
    Failed,
    Canceled,
    NeedsReview { reason: String },
}

impl Payment {
    /// Where it stands in the table.
    pub fn phase(&self) -> Phase {
        let open = self.attempt.as_ref().and_then(|attempt| Open::from_status(attempt.status));
        match (&self.status, open) {
            (Status::Pending, _) => Phase::Pending,
            (Status::Processing | Status::RequiresAction, Some(open)) => Phase::Open(open),
            (Status::RequiresAction, None) => Phase::NeedsCustomer,
            (Status::Retrying { .. }, _) => Phase::Retrying,
            (Status::Succeeded, _) => Phase::Succeeded,
            (Status::Failed, _) => Phase::Failed,
            (Status::Canceled, _) => Phase::Canceled,
            (Status::NeedsReview { .. }, Some(open)) => Phase::Review(open),
            // The store refuses to read a payment that is processing nothing; here nothing may start.
            (Status::NeedsReview { .. } | Status::Processing, None) => Phase::Disputed,
        }
    }

    /// The latest attempt, while it is open.
    pub fn open_attempt(&self) -> Option<&Attempt> {
        self.attempt.as_ref().filter(|attempt| attempt.status.is_open())
    }

    /// The number that the next attempt will bear.
    pub fn next_attempt(&self) -> u32 {
        self.attempt.as_ref().map_or(1, |attempt| attempt.n + 1)
    }
}

impl Status {
    /// Every status's name, as stored and shown.
    pub const NAMES: [&'static str; 8] = [
        "pending",
        "processing",
        "requires_action",
        "retrying",
        "succeeded",
        "failed",
        "canceled",
        "needs_review",
    ];

    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::RequiresAction => "requires_action",
            Self::Retrying { .. } => "retrying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::NeedsReview { .. } => "needs_review",
        }
    }

    /// When the next attempt is due, while one is waited for.
    pub fn next_attempt_at(&self) -> Option<Time> {
        match self {
            Self::Retrying { next_attempt_at } => Some(*next_attempt_at),
            Self::Pending
            | Self::Processing
            | Self::RequiresAction
            | Self::Succeeded
            | Self::Failed
            | Self::Canceled
            | Self::NeedsReview { .. } => None,
        }
    }

    /// Why a person has to look, while one has to.
    pub fn review_reason(&self) -> Option<&str> {
        match self {
            Self::NeedsReview { reason } => Some(reason),
            Self::Pending
            | Self::Processing
            | Self::RequiresAction
            | Self::Retrying { .. }
            | Self::Succeeded
            | Self::Failed
            | Self::Canceled => None,
        }
    }

    /// Nothing will happen to it any more by itself.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Canceled => true,
            Self::Pending
            | Self::Processing
            | Self::RequiresAction
            | Self::Retrying { .. }
            | Self::NeedsReview { .. } => false,
        }
    }

    /// The gateway has had its say for now: what a caller that waits is waiting for.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Pending | Self::Processing => false,
            Self::RequiresAction
            | Self::Retrying { .. }
            | Self::Succeeded
            | Self::Failed
            | Self::Canceled
            | Self::NeedsReview { .. } => true,
        }
    }
}

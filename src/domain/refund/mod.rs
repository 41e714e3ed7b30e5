//! Refunds: money of a payment that goes back, each on a way of its own.

mod apply;
mod order;
mod retry;
mod seen;
pub mod table;
#[cfg(test)]
mod tests;
mod view;

pub use apply::{Refused, Step};
pub use order::{NotRefundable, Order};
pub use retry::NotRetriable;
pub use seen::{Meaning, Seen};
pub use view::View;

use super::clock::Time;
use dunlin_jobs::{Money, PaymentId, RefundId, TenantId};
use std::collections::BTreeMap;
use table::Kind;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    pub id: RefundId,
    pub payment: PaymentId,
    pub tenant: TenantId,
    pub livemode: bool,
    pub money: Money,
    pub cause: Cause,
    pub origin: Origin,
    /// The failed refund in whose place it was made.
    pub retry_of: Option<RefundId>,
    /// The gateway's id of the charge that is given back.
    pub charge: String,
    /// The configured gateway account that took it.
    pub account: String,
    /// The caller's words.
    pub reason: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub status: RefundStatus,
    /// The gateway's own id of the refund.
    pub operation: Option<String>,
    /// Why it failed, in the gateway's words.
    pub failure: Option<String>,
    /// Why a person has to look, while one has to.
    pub review_reason: Option<String>,
    pub first_sent_at: Option<Time>,
    /// Grows by one with every change.
    pub version: u32,
    pub created_at: Time,
    pub updated_at: Time,
}

/// Who wants the money to go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The merchant.
    Requested,
    /// A charge that was made twice (S1.4). It is no part of what the payment received.
    Duplicate,
}

/// Whose hands made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Ours.
    Api,
    /// Others, at the gateway itself (S1.20).
    Gateway,
}

/// Where a refund stands; [`table`] has the legal ways between these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefundStatus {
    /// Taken in; every request so far is proven not sent.
    Pending,
    /// The request may be on the wire.
    Sending,
    /// The request may have been executed; no answer is held.
    Unknown,
    /// Accepted by the gateway, the result comes later.
    Processing,
    Succeeded,
    /// The money stays where it was. A refund that has succeeded may still come to this: a bank may send it back.
    Failed,
}

/// What can happen to a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Its request goes out, for the first time or, proven not sent, once more.
    Send,
    /// The request is proven not to have left.
    NotSent { reason: String },
    /// The request may have been executed, and no answer is held.
    Lost { reason: String, operation: Option<String> },
    /// The gateway has answered.
    Answered(Answer),
    /// The gateway refused the request without executing it.
    Rejected { reason: String },
    /// The gateway is proven not to know the refund.
    Absent,
    /// A person has to look.
    Review { reason: String },
}

/// What a gateway said of a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub operation: Option<String>,
    /// The amount that the gateway named, to be compared with ours (S1.15).
    pub amount: Option<Money>,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    Processing,
    Failed(String),
}

/// What a refund means for the money of its payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// It may still go back, and cannot go back twice.
    Reserved,
    Returned,
    None,
}

impl RefundStatus {
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Sending, Self::Unknown, Self::Processing, Self::Succeeded, Self::Failed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Unknown => "unknown",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Nothing will happen to it any more by itself.
    pub fn is_final(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed => true,
            Self::Pending | Self::Sending | Self::Unknown | Self::Processing => false,
        }
    }
}

impl Cause {
    pub const ALL: [Self; 2] = [Self::Requested, Self::Duplicate];

    pub fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Duplicate => "duplicate",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }
}

impl Origin {
    pub const ALL: [Self; 2] = [Self::Api, Self::Gateway];

    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Gateway => "gateway",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.name() == name)
    }
}

impl Refund {
    pub(super) fn share(&self) -> Share {
        match (self.cause, self.status) {
            (Cause::Duplicate, _) | (Cause::Requested, RefundStatus::Failed) => Share::None,
            (Cause::Requested, RefundStatus::Succeeded) => Share::Returned,
            (
                Cause::Requested,
                RefundStatus::Pending
                | RefundStatus::Sending
                | RefundStatus::Unknown
                | RefundStatus::Processing,
            ) => Share::Reserved,
        }
    }
}

impl Event {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Send => Kind::Send,
            Self::NotSent { .. } => Kind::NotSent,
            Self::Lost { .. } => Kind::Lost,
            Self::Answered(_) => Kind::Answered,
            Self::Rejected { .. } => Kind::Rejected,
            Self::Absent => Kind::Absent,
            Self::Review { .. } => Kind::Review,
        }
    }

    /// A gateway's word is a fact, whoever has the lease by now; everything else needs it (S1.1).
    pub fn needs_lease(&self) -> bool {
        match self {
            Self::Answered(_) => false,
            Self::Send
            | Self::NotSent { .. }
            | Self::Lost { .. }
            | Self::Absent
            | Self::Review { .. }
            | Self::Rejected { .. } => true,
        }
    }
}

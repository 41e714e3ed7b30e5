//! Attempts: one business try of a payment at one gateway, and what the gateway said of it.

use super::{clock::Time, decline::Decline, rejection::Refusal};
use dunlin_jobs::{AttemptId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One try. Its number is part of the gateway's idempotency key (S1.6), so a try sent again keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub id: AttemptId,
    pub n: u32,
    /// The configured gateway account it went to.
    pub account: String,
    pub origin: Origin,
    pub status: AttemptStatus,
    pub first_sent_at: Time,
    /// The gateway's own id of this try's charge, to tell its failure from the one before (S1.17).
    pub charge: Option<String>,
    /// Where the customer has to go, while they have to act and the gateway gave an address.
    pub action_url: Option<String>,
    /// The facts of a decline, as received.
    pub decline: Option<Decline>,
}

/// Who made an attempt. The names are stored and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// We did.
    Dunlin,
    /// Somebody else, at the gateway: we have heard of it (S1.20, S1.21).
    Gateway,
}

impl Origin {
    pub const ALL: [Self; 2] = [Self::Dunlin, Self::Gateway];

    pub fn name(self) -> &'static str {
        match self {
            Self::Dunlin => "dunlin",
            Self::Gateway => "gateway",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.name() == name)
    }
}

/// The statuses of S1, with the legal ways between them in [`super::table`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptStatus {
    /// The request may be on the wire.
    Sending,
    /// Proven not sent, by every exchange so far.
    Planned,
    /// The request may have been executed; no answer is held.
    Unknown,
    /// Accepted by the gateway, the result comes later.
    Pending,
    /// The customer must act.
    RequiresAction,
    Succeeded,
    Declined,
    /// The gateway refused the request itself.
    Rejected,
    Canceled,
    /// A second success: money that has to go back.
    Duplicate,
}

impl AttemptStatus {
    pub const ALL: [Self; 10] = [
        Self::Sending,
        Self::Planned,
        Self::Unknown,
        Self::Pending,
        Self::RequiresAction,
        Self::Succeeded,
        Self::Declined,
        Self::Rejected,
        Self::Canceled,
        Self::Duplicate,
    ];

    /// While an attempt is open, no second one may be made (S1.3).
    pub fn is_open(self) -> bool {
        match self {
            Self::Sending | Self::Planned | Self::Unknown | Self::Pending | Self::RequiresAction => true,
            Self::Succeeded | Self::Declined | Self::Rejected | Self::Canceled | Self::Duplicate => false,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Planned => "planned",
            Self::Unknown => "unknown",
            Self::Pending => "pending",
            Self::RequiresAction => "requires_action",
            Self::Succeeded => "succeeded",
            Self::Declined => "declined",
            Self::Rejected => "rejected",
            Self::Canceled => "canceled",
            Self::Duplicate => "duplicate",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// What a gateway said of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The gateway's operation that the payment keeps over its attempts (S1.17).
    pub operation: Option<String>,
    /// The gateway's id of this try's charge.
    pub charge: Option<String>,
    /// The amount the gateway named, to be compared with ours (S1.15).
    pub amount: Option<Money>,
    pub outcome: Outcome,
}

/// A gateway's verdict. A decline is one of its values, not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    Declined(Decline),
    /// The customer has to act, at this address where the gateway gave one.
    RequiresAction {
        url: Option<String>,
    },
    Pending,
}

/// Why the gateway refused a request without executing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// The request was, or what it names.
    Refused(Refusal),
    /// Our credentials are (401, 403): no fault of the payment, which waits.
    Credentials(String),
}

/// What one HTTP call to a gateway is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeKind {
    Create,
    Confirm,
    Query,
    Cancel,
    Refund,
}

impl ExchangeKind {
    pub const ALL: [Self; 5] = [Self::Create, Self::Confirm, Self::Query, Self::Cancel, Self::Refund];

    /// Whether it sends the attempt itself.
    pub fn is_charge(self) -> bool {
        match self {
            Self::Create | Self::Confirm => true,
            Self::Query | Self::Cancel | Self::Refund => false,
        }
    }

    /// Whether it may be begun only by whoever holds the lease: money may move by it.
    pub fn moves_money(self) -> bool {
        self.is_charge() || self == Self::Refund
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Confirm => "confirm",
            Self::Query => "query",
            Self::Cancel => "cancel",
            Self::Refund => "refund",
        }
    }
}

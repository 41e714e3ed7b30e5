//! Jobs: the names of work. A job carries ids and nothing that can go stale; whoever runs it looks first.

use crate::{PaymentId, RefundId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Work for a worker. The names are stored, so they are for ever; new kinds are added, none is renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Job {
    /// Carry a new payment through its first attempt.
    Charge(Charge),
    /// Make the next attempt of a payment whose last one was declined.
    Retry(Retry),
    /// Find out what became of an attempt that is still open.
    Reconcile(Reconcile),
    /// Cancel at the gateway what a payer could still complete there, once nobody waits for it any more.
    Withdraw(Withdraw),
    /// Carry a refund to its end: send it, or find out what became of it.
    Refund(Refund),
    /// Look over the tables for what a correct program would not leave there.
    Sweep(Sweep),
    /// Look at what a gateway has told of its own accord.
    GatewayEvent(GatewayEvent),
    /// Read what a gateway lists of the money that others moved there.
    GatewaySweep(GatewaySweep),
}

/// See [`Job::Charge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// The payment to charge.
    pub payment: PaymentId,
}

/// See [`Job::Retry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// The payment to charge again.
    pub payment: PaymentId,
    /// The number that the new attempt will bear.
    pub attempt: u32,
}

/// See [`Job::Reconcile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconcile {
    /// The payment whose attempt is open.
    pub payment: PaymentId,
    /// The number of the open attempt.
    pub attempt: u32,
}

/// See [`Job::Withdraw`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdraw {
    /// The payment whose operation is canceled at the gateway.
    pub payment: PaymentId,
    /// The number of the attempt that left it there; of another operation, that of the latest attempt.
    pub attempt: u32,
    /// The gateway's id of another operation than the payment's own, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

impl Withdraw {
    /// Withdraws the payment's own operation, which an attempt has left at the gateway.
    pub fn own(payment: PaymentId, attempt: u32) -> Self {
        Self { payment, attempt, operation: None }
    }

    /// Withdraws an operation that the payment does not have, or not any more.
    pub fn other(payment: PaymentId, attempt: u32, operation: String) -> Self {
        Self { payment, attempt, operation: Some(operation) }
    }
}

/// See [`Job::Refund`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refund {
    /// The payment whose money goes back.
    pub payment: PaymentId,
    /// The refund.
    pub refund: RefundId,
}

/// See [`Job::Sweep`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// Which sweep.
    pub name: SweepName,
}

/// See [`Job::GatewayEvent`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayEvent {
    /// The gateway account that it came to.
    pub account: String,
    /// The gateway's own id of the event.
    pub event: String,
}

/// See [`Job::GatewaySweep`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewaySweep {
    /// The gateway account whose lists are read.
    pub account: String,
}

/// The periodic looks over the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepName {
    /// Payments that are not final and that no job, timer or review holds.
    Orphans,
}

/// A pool of workers with a concurrency of its own, so that one kind of slowness does not delay another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Charges, retries and refunds.
    Payments,
    /// Questions about attempts whose outcome is not known, what is canceled at gateways, and what they tell unasked.
    Reconcile,
    /// Sweeps and other housekeeping.
    Upkeep,
}

impl Lane {
    /// Every lane, in the order of importance.
    pub const ALL: [Self; 3] = [Self::Payments, Self::Reconcile, Self::Upkeep];

    /// The lane's stored name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Payments => "payments",
            Self::Reconcile => "reconcile",
            Self::Upkeep => "upkeep",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Job {
    /// Every kind's stored name. A worker claims these only, and leaves kinds that it does not know.
    pub const KINDS: [&'static str; 8] =
        ["charge", "retry", "reconcile", "withdraw", "refund", "sweep", "gateway_event", "gateway_sweep"];

    /// The kind's stored name.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Charge(_) => "charge",
            Self::Retry(_) => "retry",
            Self::Reconcile(_) => "reconcile",
            Self::Withdraw(_) => "withdraw",
            Self::Refund(_) => "refund",
            Self::Sweep(_) => "sweep",
            Self::GatewayEvent(_) => "gateway_event",
            Self::GatewaySweep(_) => "gateway_sweep",
        }
    }

    /// The lane that runs it.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Charge(_) | Self::Retry(_) | Self::Refund(_) => Lane::Payments,
            Self::Reconcile(_) | Self::Withdraw(_) | Self::GatewayEvent(_) => Lane::Reconcile,
            Self::Sweep(_) | Self::GatewaySweep(_) => Lane::Upkeep,
        }
    }

    /// The payment it is about, if it is about one.
    pub fn payment(&self) -> Option<PaymentId> {
        match self {
            Self::Charge(job) => Some(job.payment),
            Self::Retry(job) => Some(job.payment),
            Self::Reconcile(job) => Some(job.payment),
            Self::Withdraw(job) => Some(job.payment),
            Self::Refund(job) => Some(job.payment),
            Self::Sweep(_) | Self::GatewayEvent(_) | Self::GatewaySweep(_) => None,
        }
    }

    /// The identity that is unique among live jobs: the same work is never queued twice. A payment's jobs begin
    /// with its id and a colon.
    pub fn dedupe(&self) -> String {
        match self {
            Self::Charge(job) => format!("{}:charge", job.payment),
            Self::Retry(job) => format!("{}:retry:{}", job.payment, job.attempt),
            Self::Reconcile(job) => format!("{}:reconcile:{}", job.payment, job.attempt),
            Self::Withdraw(job) => match &job.operation {
                Some(operation) => format!("{}:withdraw:{}:{operation}", job.payment, job.attempt),
                None => format!("{}:withdraw:{}", job.payment, job.attempt),
            },
            Self::Refund(job) => format!("{}:refund:{}", job.payment, job.refund),
            Self::Sweep(job) => match job.name {
                SweepName::Orphans => "sweep:orphans".to_owned(),
            },
            Self::GatewayEvent(job) => format!("gateway_event:{}:{}", job.account, job.event),
            Self::GatewaySweep(job) => format!("gateway_sweep:{}", job.account),
        }
    }
}

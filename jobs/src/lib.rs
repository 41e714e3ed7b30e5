//! What another service needs to hand work to dunlin: the jobs, their ids, and money.
//!
//! This crate holds names that are stored and sent, so they are for ever: a job's `type`, an id's
//! prefix, a currency's code. It does no I/O.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod id;
mod job;
mod money;

pub use id::{
    AttemptId, ChangeId, CustomerId, EventId, ExchangeId, IdError, JobId, KeyId, MethodId, PaymentId,
    RefundId, RequestId, TenantId,
};
pub use job::{Charge, Envelope, GatewayEvent, Job, Lane, Reconcile, Refund, Retry, Sweep, SweepName};
pub use money::{Currency, Money, MoneyError};

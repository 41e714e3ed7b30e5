//! What another service needs to hand work to dunlin: envelopes with payments to make, the jobs, their ids, and money.
//!
//! This crate holds names that are stored and sent, so they are for ever: a field of an envelope, a job's `type`, an
//! id's prefix, a currency's code. By itself it does no I/O.
//!
//! A producer that speaks no HTTP writes an [`Envelope`]. It leaves it
//!
//! - in the table of dunlin's PostgreSQL, inside a transaction of its own: feature `postgres`, `postgres::enqueue_in`;
//! - in a Redis stream: feature `redis`, `redis::Producer`.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod envelope;
mod id;
mod identifier;
mod job;
mod moment;
mod money;
mod new_payment;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
mod strict;

pub use envelope::{Envelope, Order, STREAM_FIELD, STREAM_NAME};
pub use id::{
    AttemptId, ChangeId, CustomerId, EventId, ExchangeId, IdError, JobId, KeyId, LetterId, MethodId,
    PaymentId, RefundId, RequestId, ResolutionId, TenantId,
};
pub use identifier::{NotIdentifier, is_unseen, read_identifier};
pub use job::{
    Charge, GatewayEvent, GatewaySweep, Job, Lane, Reconcile, Refund, Retry, Sweep, SweepName, Withdraw,
};
pub use moment::{NotMoment, optional_moment, read_moment};
pub use money::{Currency, Money, MoneyError};
#[cfg(feature = "schema")]
pub use new_payment::metadata_schema;
pub use new_payment::{Capture, Method, MethodKind, NewPayment};
pub use strict::minor_units;

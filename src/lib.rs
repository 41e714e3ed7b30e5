//! dunlin: a payment processor that is a job queue at heart.

pub mod domain;
pub mod failpoint;
pub mod flow;
pub mod gateway;
pub mod store;

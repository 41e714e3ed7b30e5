//! Declines: what a gateway said of one, and so whether and when the payment is tried again.
//!
//! The rules are data (`config/declines.toml`); this folder only applies them.

mod decision;
mod facts;
mod policy;
mod schedule;
#[cfg(test)]
mod tests;

pub use decision::{Decided, DecidedBy, Decision, Table, Tried};
pub use facts::{Assessment, CardFacts, Decline, NOT_SENT_TO_NETWORK};
pub use policy::{Class, Need, Policy, Row};
pub use schedule::{exponential, transport};

/// How many attempts a payment may have in all, those that people asked for included (S3.3).
pub const MOST_ATTEMPTS: u32 = 15;

//! What a refusal names: a thing that is there already, by its kind and its id.

use super::FlowError;
use crate::store::change::Key;
use dunlin_jobs::{CustomerId, MethodId, PaymentId};
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    Payment(PaymentId),
    Customer(CustomerId),
    Method(MethodId),
}

impl Named {
    /// The field in which a problem tells it.
    pub fn field(self) -> &'static str {
        match self {
            Self::Payment(_) => "payment",
            Self::Customer(_) => "customer",
            Self::Method(_) => "payment_method",
        }
    }
}

/// What a key has made before, if anything, and if the same was asked for then (S2.2).
pub(super) fn recall<I: Copy>(
    made: Option<(I, String)>,
    key: &Key,
    named: impl FnOnce(I) -> Named,
) -> Result<Option<I>, FlowError> {
    match made {
        Some((id, fingerprint)) if fingerprint != key.fingerprint => {
            Err(FlowError::KeyReused { made: named(id) })
        }
        made => Ok(made.map(|(id, _)| id)),
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payment(id) => id.fmt(f),
            Self::Customer(id) => id.fmt(f),
            Self::Method(id) => id.fmt(f),
        }
    }
}

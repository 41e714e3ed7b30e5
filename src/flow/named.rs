//! What a refusal names: a thing that is there already, by its kind and its id.

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

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payment(id) => id.fmt(f),
            Self::Customer(id) => id.fmt(f),
            Self::Method(id) => id.fmt(f),
        }
    }
}

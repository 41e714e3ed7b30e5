//! Payment methods that customers keep: a gateway's token under a name of our own, and its place in the order.

use super::{
    clock::Time,
    payment::{Method, MethodKind},
};
use dunlin_jobs::{CustomerId, MethodId, TenantId};
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentMethod {
    pub id: MethodId,
    pub customer: CustomerId,
    pub tenant: TenantId,
    pub livemode: bool,
    pub method: Method,
    /// The gateway account that gave the token.
    pub account: String,
    /// What the customer knows it by.
    pub label: Option<String>,
    pub place: Place,
    pub created_at: Time,
}

/// Whether a method can be charged, and when in the order of its customer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Counted from 1, which is the default.
    At(u32),
    /// Taken from its customer, for ever.
    Detached(Time),
}

impl PaymentMethod {
    /// Whether the two are one instrument at one gateway.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.method.payment_method, &self.account) == (&other.method.payment_method, &other.account)
    }
}

impl Place {
    pub fn position(self) -> Option<u32> {
        match self {
            Self::At(position) => Some(position),
            Self::Detached(_) => None,
        }
    }

    pub fn detached_at(self) -> Option<Time> {
        match self {
            Self::At(_) => None,
            Self::Detached(at) => Some(at),
        }
    }
}

/// A payment method as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PaymentMethod")]
pub struct View<'a> {
    id: MethodId,
    #[schemars(extend("const" = "payment_method"))]
    object: &'static str,
    customer: CustomerId,
    #[serde(rename = "type")]
    kind: MethodKind,
    /// The gateway's token of the instrument.
    payment_method: &'a str,
    /// The gateway's own id of the customer.
    gateway_customer: Option<&'a str>,
    /// The gateway account that knows the token.
    gateway: &'a str,
    /// What the customer knows it by.
    label: Option<&'a str>,
    /// Its place in the order, from 1, which is the default; none once it is detached.
    position: Option<u32>,
    /// Whether payments that name no method are charged by it.
    default: bool,
    livemode: bool,
    created_at: Time,
    detached_at: Option<Time>,
}

impl<'a> From<&'a PaymentMethod> for View<'a> {
    fn from(method: &'a PaymentMethod) -> Self {
        Self {
            id: method.id,
            object: "payment_method",
            customer: method.customer,
            kind: method.method.kind,
            payment_method: &method.method.payment_method,
            gateway_customer: method.method.gateway_customer.as_deref(),
            gateway: &method.account,
            label: method.label.as_deref(),
            position: method.place.position(),
            default: method.place == Place::At(1),
            livemode: method.livemode,
            created_at: method.created_at,
            detached_at: method.place.detached_at(),
        }
    }
}

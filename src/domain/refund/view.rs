//! A refund as clients see it.

use super::{Cause, Origin, Refund, RefundStatus};
use crate::domain::clock::Time;
use dunlin_jobs::{Currency, PaymentId, RefundId};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Refund")]
pub struct View<'a> {
    pub id: RefundId,
    #[schemars(extend("const" = "refund"))]
    pub object: &'static str,
    pub payment: PaymentId,
    #[schemars(extend("enum" = RefundStatus::ALL.map(RefundStatus::name)))]
    pub status: &'static str,
    /// In minor units of `currency`.
    pub amount: i64,
    pub currency: Currency,
    /// `requested` by the merchant, or the return of a `duplicate` charge.
    #[schemars(extend("enum" = Cause::ALL.map(Cause::name)))]
    pub cause: &'static str,
    /// `api`, or `gateway` for what others made there, in its dashboard.
    #[schemars(extend("enum" = Origin::ALL.map(Origin::name)))]
    pub origin: &'static str,
    /// The failed refund in whose place it was made.
    pub retry_of: Option<RefundId>,
    pub reason: Option<&'a str>,
    pub metadata: &'a BTreeMap<String, String>,
    pub gateway: &'a str,
    pub gateway_charge: &'a str,
    pub gateway_refund: Option<&'a str>,
    /// Why it failed, in the gateway's words.
    pub failure: Option<&'a str>,
    pub review_reason: Option<&'a str>,
    pub livemode: bool,
    pub version: u32,
    pub created_at: Time,
    pub updated_at: Time,
}

impl<'a> From<&'a Refund> for View<'a> {
    fn from(refund: &'a Refund) -> Self {
        View {
            id: refund.id,
            object: "refund",
            payment: refund.payment,
            status: refund.status.name(),
            amount: refund.money.minor(),
            currency: refund.money.currency(),
            cause: refund.cause.name(),
            origin: refund.origin.name(),
            retry_of: refund.retry_of,
            reason: refund.reason.as_deref(),
            metadata: &refund.metadata,
            gateway: &refund.account,
            gateway_charge: &refund.charge,
            gateway_refund: refund.operation.as_deref(),
            failure: refund.failure.as_deref(),
            review_reason: refund.review_reason.as_deref(),
            livemode: refund.livemode,
            version: refund.version,
            created_at: refund.created_at,
            updated_at: refund.updated_at,
        }
    }
}

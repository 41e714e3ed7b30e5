//! Webhooks of gateways: what one tells of its own accord, and why it may not be believed.

use super::listing::Topic;
use dunlin_jobs::{PaymentId, RefundId};

/// A notification that is proven to come from the gateway. It is a reason to look, never an answer (S1.13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The gateway's id of the event, the same in every delivery of it.
    pub id: String,
    /// The gateway's name for what happened.
    pub kind: String,
    /// The payment to look at; none where the event is of a type that we do not follow, or about nothing of ours.
    pub payment: Option<PaymentId>,
    /// The gateway's id of the operation that it tells of, where it is about a charge or a refund.
    pub operation: Option<String>,
    /// The refund to look at, where it is about one.
    pub refund: Option<RefundId>,
    /// The gateway's id of the charge whose refunds, disputes or warnings are to be looked at.
    pub charge: Option<String>,
    pub topic: Option<Topic>,
    /// The gateway's token of a payment method that it has renewed.
    pub renewed_method: Option<String>,
}

/// Why a notification is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The account has no secret to check a signature with.
    #[error("no webhook_secret is configured for the account")]
    NotConfigured,
    /// It is not proven to come from the gateway, or to be new.
    #[error("{0}")]
    Forged(&'static str),
    /// It is the gateway's, and makes no sense.
    #[error("the signed body is not an event")]
    Unreadable,
}

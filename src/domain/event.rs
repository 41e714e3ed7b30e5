//! Events: the facts told to the merchant, and the payment as clients see it.

use super::{
    attempt::AttemptStatus,
    clock::Time,
    dispute,
    payment::{Method, Payment, Resolution, Start, Status},
};
pub use dunlin_jobs::Capture;
use dunlin_jobs::{Currency, EventId, MethodId, PaymentId, TenantId};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// What an event is about. The names are the merchant's, so they are for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    Created,
    Updated,
    Succeeded,
    Retrying,
    RequiresAction,
    Failed,
    Canceled,
    NeedsReview,
    DuplicateCapture,
    DuplicateRefund,
    Disputed,
    FraudWarning,
    RefundCreated,
    RefundSucceeded,
    RefundFailed,
    RefundNeedsReview,
    DisputeCreated,
    DisputeUpdated,
    DisputeClosed,
}

impl EventType {
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "payment.created",
            Self::Updated => "payment.updated",
            Self::Succeeded => "payment.succeeded",
            Self::Retrying => "payment.retrying",
            Self::RequiresAction => "payment.requires_action",
            Self::Failed => "payment.failed",
            Self::Canceled => "payment.canceled",
            Self::NeedsReview => "payment.needs_review",
            Self::DuplicateCapture => "payment.duplicate_capture",
            Self::DuplicateRefund => "payment.duplicate_refund",
            Self::Disputed => "payment.disputed",
            Self::FraudWarning => "payment.fraud_warning",
            Self::RefundCreated => "refund.created",
            Self::RefundSucceeded => "refund.succeeded",
            Self::RefundFailed => "refund.failed",
            Self::RefundNeedsReview => "refund.needs_review",
            Self::DisputeCreated => "dispute.created",
            Self::DisputeUpdated => "dispute.updated",
            Self::DisputeClosed => "dispute.closed",
        }
    }
}

/// The version of the shapes below.
pub const API_VERSION: &str = "2026-11-01";

/// An event as it is stored and will be sent: its bytes are frozen in the commit of its cause (S4.1).
#[derive(Debug, Serialize)]
pub struct Envelope<O> {
    pub id: EventId,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub created: Time,
    pub api_version: &'static str,
    pub tenant: TenantId,
    pub object: O,
    pub object_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_status: Option<&'static str>,
}

/// A payment as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Payment")]
pub struct View<'a> {
    pub id: PaymentId,
    #[schemars(extend("const" = "payment"))]
    pub object: &'static str,
    #[schemars(extend("enum" = Status::NAMES))]
    pub status: &'static str,
    /// In minor units of `currency`.
    pub amount: i64,
    pub currency: Currency,
    /// In minor units: what the gateway has captured.
    pub amount_received: i64,
    /// In minor units: what has gone back to the payer.
    pub amount_refunded: i64,
    /// In minor units: what is about to go back.
    pub amount_refunding: i64,
    /// The payer's objection to the charge, where there is one: one that is open, or else the latest.
    pub dispute: Option<dispute::View<'a>>,
    /// The caller's id of the customer.
    pub customer: Option<&'a str>,
    /// The caller's id of the payment.
    pub reference: Option<&'a str>,
    pub description: Option<&'a str>,
    pub method: MethodView<'a>,
    /// Whether the customer is away.
    pub off_session: bool,
    /// Where the customer comes back to.
    pub return_url: Option<&'a str>,
    /// Whether it is charged by itself, or waits until somebody says so.
    pub capture: Capture,
    /// When its first attempt may begin, where that is not at once.
    pub process_at: Option<Time>,
    pub metadata: &'a BTreeMap<String, String>,
    /// The gateway account that it goes to.
    pub gateway: &'a str,
    pub attempt_count: u32,
    /// When a payment that is `retrying` is tried again.
    pub next_attempt_at: Option<Time>,
    pub failure: Option<Failure<'a>>,
    pub next_action: Option<NextAction<'a>>,
    /// Why a person has to look, while one has to.
    pub review_reason: Option<&'a str>,
    /// What a person said last of its outcome; a proposal while `resolved_at` is null.
    pub resolution: Option<&'a Resolution>,
    pub livemode: bool,
    /// Grows by one with every change.
    pub version: u32,
    pub created_at: Time,
    pub updated_at: Time,
}

/// How the customer pays.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Method")]
pub struct MethodView<'a> {
    /// Which of a customer's payment methods it is, where it is one of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<MethodId>,
    #[serde(flatten)]
    pub method: &'a Method,
}

/// Why the latest attempt did not succeed, or why there is none.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Failure<'a> {
    /// The gateway's code, such as `insufficient_funds`.
    pub code: &'a str,
    /// The network's own code, such as `51`.
    pub network_code: Option<&'a str>,
    /// The gateway's advice, such as `do_not_try_again`.
    pub advice: Option<&'a str>,
    pub message: Option<&'a str>,
}

/// What the customer has to do, while the attempt waits for them.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NextAction<'a> {
    #[serde(rename = "type")]
    #[schemars(extend("const" = "redirect"))]
    pub kind: &'static str,
    /// Where they have to go.
    pub url: &'a str,
}

impl<'a> From<&'a Payment> for View<'a> {
    fn from(payment: &'a Payment) -> Self {
        let declined = payment.attempt.as_ref().and_then(|attempt| attempt.decline.as_ref());
        let failed = payment.failure.as_ref().filter(|_| payment.status == Status::Failed);
        let decline = failed.or(declined);
        let acting =
            payment.attempt.as_ref().filter(|attempt| attempt.status == AttemptStatus::RequiresAction);
        let action_url = acting.and_then(|attempt| attempt.action_url.as_deref());
        View {
            id: payment.id,
            object: "payment",
            status: payment.status.name(),
            amount: payment.money.minor(),
            currency: payment.money.currency(),
            amount_received: if payment.status == Status::Succeeded { payment.money.minor() } else { 0 },
            amount_refunded: payment.refunded,
            amount_refunding: payment.refunding,
            dispute: payment.dispute().map(dispute::View::from),
            customer: payment.customer.as_deref(),
            reference: payment.reference.as_deref(),
            description: payment.description.as_deref(),
            method: MethodView { id: payment.method_id, method: &payment.method },
            off_session: !payment.session.is_on(),
            return_url: payment.session.return_url(),
            capture: if payment.start == Start::OnRequest { Capture::Deferred } else { Capture::Now },
            process_at: payment.start.at(),
            metadata: &payment.metadata,
            gateway: &payment.account,
            attempt_count: payment.attempt.as_ref().map_or(0, |attempt| attempt.n),
            next_attempt_at: payment.status.next_attempt_at(),
            failure: decline.map(|decline| Failure {
                code: &decline.code,
                network_code: decline.network_code.as_deref(),
                advice: decline.advice.as_deref(),
                message: decline.message.as_deref(),
            }),
            next_action: action_url.map(|url| NextAction { kind: "redirect", url }),
            review_reason: payment.status.review_reason(),
            resolution: payment.resolution.as_ref(),
            livemode: payment.livemode,
            version: payment.version,
            created_at: payment.created_at,
            updated_at: payment.updated_at,
        }
    }
}

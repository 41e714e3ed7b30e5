//! How a payment came to where it is, as callers see it: its attempts, and its timeline.

use super::told::Shown;
use crate::{
    domain::{
        attempt::{Attempt, AttemptStatus, ExchangeKind, Origin},
        clock::Time,
        decline::Decline,
        exchange_result::ExchangeResult,
    },
    flow::payments::Story,
    store::{Transition, change::Exchange, jobs::JobView},
};
use dunlin_jobs::{AttemptId, ExchangeId, PaymentId, RefundId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// One try at a gateway.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Attempt")]
pub(super) struct AttemptView<'a> {
    #[schemars(extend("const" = "attempt"))]
    object: &'static str,
    id: AttemptId,
    number: u32,
    /// The gateway account that it went to.
    gateway: &'a str,
    status: AttemptStatus,
    /// Who made it: `gateway` where somebody paid there what had stayed payable.
    origin: Origin,
    /// The gateway's own id of the charge.
    gateway_charge: Option<&'a str>,
    decline: Option<&'a Decline>,
    first_sent_at: Time,
}

impl Shown for Attempt {
    type View<'a> = AttemptView<'a>;
}

impl<'a> From<&'a Attempt> for AttemptView<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        Self {
            object: "attempt",
            id: attempt.id,
            number: attempt.n,
            gateway: &attempt.account,
            status: attempt.status,
            origin: attempt.origin,
            gateway_charge: attempt.charge.as_deref(),
            decline: attempt.decline.as_ref(),
            first_sent_at: attempt.first_sent_at,
        }
    }
}

/// Every transition and exchange of a payment in order, and the jobs that are left.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Timeline")]
pub(super) struct Timeline<'a> {
    #[schemars(extend("const" = "timeline"))]
    object: &'static str,
    payment: PaymentId,
    data: Vec<Entry<'a>>,
    jobs: &'a [JobView],
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "object", rename_all = "snake_case")]
#[schemars(rename = "TimelineEntry")]
enum Entry<'a> {
    Transition(&'a Transition),
    Exchange(ExchangeView<'a>),
}

/// One call to the gateway.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Exchange")]
struct ExchangeView<'a> {
    id: ExchangeId,
    attempt: Option<u32>,
    refund: Option<RefundId>,
    #[schemars(extend("enum" = ExchangeKind::ALL.map(ExchangeKind::name)))]
    kind: &'static str,
    /// Whether the same bytes went out before.
    resend: bool,
    at: Time,
    answered_at: Option<Time>,
    request: String,
    /// The key that the gateway knows the call by.
    idempotency_key: Option<&'a str>,
    http_status: Option<u16>,
    /// What the exchange proved.
    result: Option<ExchangeResult>,
    /// The same in words.
    verdict: Option<&'a str>,
    /// The gateway's answer, without secrets.
    answer: Option<Value>,
}

impl Shown for Story {
    type View<'a> = Timeline<'a>;
}

impl<'a> From<&'a Story> for Timeline<'a> {
    fn from(story: &'a Story) -> Self {
        let transitions =
            story.history.iter().map(|transition| (transition.at, 0, Entry::Transition(transition)));
        let exchanges = story
            .exchanges
            .iter()
            .map(|exchange| (exchange.opened_at, 1, Entry::Exchange(ExchangeView::from(exchange))));
        let mut entries: Vec<_> = transitions.chain(exchanges).collect();
        entries.sort_by_key(|(at, order, _)| (*at, *order));
        let data = entries.into_iter().map(|(_, _, entry)| entry).collect();
        Self { object: "timeline", payment: story.payment.id, data, jobs: &story.jobs }
    }
}

impl<'a> From<&'a Exchange> for ExchangeView<'a> {
    fn from(exchange: &'a Exchange) -> Self {
        let closed = exchange.closed.as_ref();
        let answer = closed.and_then(|closed| closed.answer.as_deref());
        Self {
            id: exchange.id,
            attempt: Some(exchange.attempt).filter(|n| *n > 0),
            refund: exchange.refund,
            kind: exchange.kind.name(),
            resend: exchange.resend,
            at: exchange.opened_at,
            answered_at: closed.map(|closed| closed.at),
            request: format!("{} {}", exchange.method, exchange.path),
            idempotency_key: exchange.idempotency_key.as_deref(),
            http_status: closed.and_then(|closed| closed.http_status),
            result: closed.and_then(|closed| closed.result),
            verdict: closed.map(|closed| closed.verdict.as_str()),
            answer: answer.and_then(|answer| serde_json::from_str(answer).ok()),
        }
    }
}

//! `/v1/payments`: one payment at a time.

use super::{
    Api,
    caller::{Caller, PaymentsRead, PaymentsWrite},
    created::created,
    extract::{Body, Id, IdempotencyKey, Params, fingerprint},
    json::{minor_units, object},
    page,
    problem::Problem,
    wishes::{allows_duplicate, patience, traceparent},
};
use crate::{
    domain::{
        card::looks_like_card_number,
        clock::Time,
        event::View,
        payment::{Method, Payment},
        session::Session,
    },
    flow::payments::{self, Request},
    store::{
        Filter, Owner,
        change::{Key, Priority},
    },
};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::Datelike;
use dunlin_jobs::{Currency, IdError, Money, PaymentId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/v1/payments", get(list).post(create))
        .route("/v1/payments/{id}", get(show))
        .route("/v1/payments/{id}/attempts", get(attempts))
        .route("/v1/payments/{id}/timeline", get(timeline))
        .route("/v1/payments/{id}/cancel", post(cancel))
}

/// What a payment is made from.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPayment {
    /// In minor units of `currency`: more than 0.
    #[serde(deserialize_with = "minor_units")]
    amount: i64,
    currency: Currency,
    #[serde(deserialize_with = "object")]
    method: Method,
    /// Whether the customer is away. What was not said is left out of the fingerprint, as it was before it could be.
    #[serde(default = "away", skip_serializing_if = "is_true")]
    off_session: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    return_url: Option<String>,
    #[serde(default)]
    gateway: Option<String>,
    #[serde(default)]
    customer: Option<String>,
    #[serde(default)]
    reference: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

impl NewPayment {
    /// The request under its key, for the scope that the key was sent to.
    pub(super) fn under(self, scope: &str, key: String) -> Result<Request, Problem> {
        let key = Key { scope: scope.to_owned(), key, fingerprint: fingerprint(scope, &self) };
        let refuse = |detail: &str| {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", detail).about("amount")
        };
        if looks_like_card_number(&self.amount.to_string()) {
            return Err(refuse("this looks like a card number: send the amount in minor units"));
        }
        let money = Money::new(self.amount, self.currency).map_err(|error| refuse(&error.to_string()))?;
        Ok(Request {
            money,
            session: session(self.off_session, self.return_url.as_deref())?,
            method: self.method,
            gateway: self.gateway,
            customer: self.customer,
            reference: self.reference,
            description: self.description,
            metadata: self.metadata,
            key: Some(key),
            allow_duplicate: false,
            traceparent: None,
        })
    }
}

/// The session that the two fields mean together.
fn session(off_session: bool, return_url: Option<&str>) -> Result<Session, Problem> {
    let refuse = |detail: &str| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", detail).about("return_url")
    };
    match (off_session, return_url) {
        (true, None) => Ok(Session::Off),
        (true, Some(_)) => Err(refuse(
            "off session nobody is there to be sent back: leave return_url out, or send off_session: false",
        )),
        (false, None) => Err(refuse(
            "with off_session: false the customer may have to leave for their bank: say where they come back to",
        )),
        (false, Some(url)) => url.parse().map(Session::On).map_err(|error| refuse(&error.to_string())),
    }
}

fn away() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_true(value: &bool) -> bool {
    *value
}

async fn create(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsWrite>,
    IdempotencyKey(key): IdempotencyKey,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wait = patience(&headers)?;
    let mut request = body.parse::<NewPayment>()?.under("POST /v1/payments", key)?;
    request.allow_duplicate = allows_duplicate(&headers)?;
    request.traceparent = traceparent(&headers);
    let committed = api.flows.create_payment(owner, request, Priority::Interactive).await?;
    let Some(mut payment) = committed.payment else {
        return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "no payment was made"));
    };
    if let Some(patience) = wait {
        payment = api.flows.wait_until_settled(owner, payment, patience).await?;
    }
    let mut response = created(View::from(&payment), committed.fresh);
    if wait.is_some() {
        response.headers_mut().insert("preference-applied", HeaderValue::from_static("wait"));
    }
    Ok(response)
}

async fn show(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsRead>,
    Id(id): Id<PaymentId>,
) -> Result<Response, Problem> {
    let payment = api.flows.load_payment(owner, id).await?;
    Ok(Json(View::from(&payment)).into_response())
}

async fn cancel(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsWrite>,
    Id(id): Id<PaymentId>,
) -> Result<Response, Problem> {
    let payment = api.flows.cancel_payment(owner, id).await?;
    Ok(Json(View::from(&payment)).into_response())
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<u16>,
    cursor: Option<String>,
    status: Option<String>,
    customer: Option<String>,
    reference: Option<String>,
    created_from: Option<Time>,
    created_before: Option<Time>,
    /// Payments by their ids, with commas between; no other parameter goes with it.
    ids: Option<String>,
}

/// How many payments can be named in one call.
const MAX_IDS: usize = 200;

async fn list(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsRead>,
    Params(params): Params<Page>,
) -> Result<Json<Value>, Problem> {
    if let Some(ids) = &params.ids {
        return named(&api, owner, ids, &params).await;
    }
    let limit = page::limit(params.limit)?;
    if let Some(status) = &params.status {
        payments::check_status(status).map_err(|error| page::refuse("status", error.to_string()))?;
    }
    for (param, value) in [("customer", &params.customer), ("reference", &params.reference)] {
        if value.as_ref().is_some_and(|value| value.chars().any(char::is_control)) {
            return Err(page::refuse(param, "the text has control characters: remove them".to_owned()));
        }
    }
    for (param, time) in [("created_from", params.created_from), ("created_before", params.created_before)] {
        if time.is_some_and(|time| !(1970..=9999).contains(&time.year())) {
            return Err(page::refuse(param, "the year must be from 1970 to 9999".to_owned()));
        }
    }
    let after = page::cursor(params.cursor.as_deref())?;
    let filter = Filter {
        status: params.status,
        customer: params.customer,
        reference: params.reference,
        created_from: params.created_from,
        created_before: params.created_before,
        after,
        limit: limit + 1,
    };
    let payments = api.flows.list_payments(owner, &filter).await?;
    Ok(Json(page::told(&payments, limit, View::from, |payment| payment.id)))
}

/// Those of the named payments that are the caller's.
async fn named(api: &Api, owner: Owner, ids: &str, params: &Page) -> Result<Json<Value>, Problem> {
    let alone = Page { ids: params.ids.clone(), ..Page::default() };
    if *params != alone {
        return Err(page::refuse("ids", "ids goes with no other parameter: leave those out".to_owned()));
    }
    let ids = ids.split(',').map(|id| id.trim().parse());
    let ids: BTreeSet<PaymentId> = ids.collect::<Result<_, _>>().map_err(|error: IdError| {
        page::refuse("ids", format!("{error}: send ids of payments, with commas between"))
    })?;
    if ids.len() > MAX_IDS {
        return Err(page::refuse("ids", format!("send at most {MAX_IDS} ids at a time, not {}", ids.len())));
    }
    let payments = api.flows.find_payments(owner, &ids).await?;
    Ok(Json(page::told(&payments, u16::MAX, View::from, |payment| payment.id)))
}

async fn attempts(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsRead>,
    Id(id): Id<PaymentId>,
) -> Result<Json<Value>, Problem> {
    let attempts = api.flows.list_attempts(owner, id).await?;
    let data: Vec<_> = attempts
        .iter()
        .map(|attempt| {
            json!({
                "object": "attempt",
                "id": attempt.id,
                "number": attempt.n,
                "gateway": attempt.account,
                "status": attempt.status,
                "gateway_charge": attempt.charge,
                "decline": attempt.decline,
                "first_sent_at": attempt.first_sent_at,
            })
        })
        .collect();
    Ok(Json(json!({ "object": "list", "data": data, "has_more": false, "next_cursor": null })))
}

async fn timeline(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsRead>,
    Id(id): Id<PaymentId>,
) -> Result<Json<Value>, Problem> {
    let story = api.flows.tell_story(owner, id).await?;
    let mut entries: Vec<(Time, u8, Value)> = Vec::new();
    for transition in &story.history {
        let mut entry = json!(transition);
        entry["object"] = "transition".into();
        entries.push((transition.at, 0, entry));
    }
    for exchange in &story.exchanges {
        let closed = exchange.closed.as_ref();
        let answer = closed.and_then(|closed| closed.answer.as_deref());
        let entry = json!({
            "object": "exchange",
            "id": exchange.id,
            "attempt": Some(exchange.attempt).filter(|n| *n > 0),
            "refund": exchange.refund,
            "kind": exchange.kind.name(),
            "resend": exchange.resend,
            "at": exchange.opened_at,
            "answered_at": closed.map(|closed| closed.at),
            "request": format!("{} {}", exchange.method, exchange.path),
            "idempotency_key": exchange.idempotency_key,
            "http_status": closed.and_then(|closed| closed.http_status),
            "verdict": closed.map(|closed| &closed.verdict),
            "answer": answer.and_then(|answer| serde_json::from_str::<Value>(answer).ok()),
        });
        entries.push((exchange.opened_at, 1, entry));
    }
    entries.sort_by_key(|(at, order, _)| (*at, *order));
    let data: Vec<_> = entries.into_iter().map(|(_, _, entry)| entry).collect();
    Ok(Json(json!({ "object": "timeline", "payment": story.payment.id, "data": data, "jobs": story.jobs })))
}

/// A payment's view, for others who answer with one.
pub(super) fn view(payment: &Payment) -> Value {
    json!(View::from(payment))
}

//! `/v1/payments`: one payment at a time.

use super::{
    Api,
    caller::{Caller, PaymentsRead, PaymentsWrite},
    extract::{Body, Id, IdempotencyKey, Params, fingerprint},
    json::{minor_units, optional_object, said},
    operation::says,
    page,
    problem::Problem,
    routes::{Routes, get, post},
    story::{AttemptView, Timeline},
    told::{Created, Shown, Told},
    wishes::Wishes,
};
use crate::{
    domain::{
        attempt::Attempt,
        card::looks_like_card_number,
        clock::Time,
        event::{Capture, View},
        payment::{MAX_METADATA, Method, Payment, Start, Status},
        session::{MAX_URL, Session},
    },
    flow::payments::{self, MAX_METADATA_KEY, MAX_REFERENCE, MAX_TEXT, Request, Story},
    store::{
        Filter, Owner,
        change::{Key, Priority},
    },
};
use axum::{extract::State, http::StatusCode};
use chrono::Datelike;
use dunlin_jobs::{Currency, IdError, MethodId, Money, PaymentId};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn routes() -> Routes {
    let list_says = says("List payments").text("Newest first, a page at a time; or those that `ids` names.");
    let create_says = says("Create a payment")
        .text(
            "Takes the payment in and charges it; a decline is tried again on a schedule. The answer comes once the \
             payment is kept, unless `Prefer` asks to wait for the outcome.",
        )
        .refuses(StatusCode::CONFLICT, "duplicate_payment");
    let cancel_says = says("Cancel a payment")
        .text("Stops one that waits; what is open at the gateway is canceled there first.")
        .refuses(StatusCode::CONFLICT, "payment_not_cancelable");
    let timeline_says = says("Tell the story of a payment")
        .text("Every transition and every call to the gateway in order, and the jobs that are left.");
    Routes::about("Payments")
        .route("/v1/payments", get(list, list_says).and(post(create, create_says)))
        .route("/v1/payments/{id}", get(show, says("Get a payment")))
        .route("/v1/payments/{id}/attempts", get(attempts, says("List attempts of a payment")))
        .route("/v1/payments/{id}/timeline", get(timeline, timeline_says))
        .route("/v1/payments/{id}/cancel", post(cancel, cancel_says))
}

impl Shown for Payment {
    type View<'a> = View<'a>;
}

/// What a payment is made from.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = example())]
pub(super) struct NewPayment {
    /// In minor units of `currency`: more than 0.
    #[serde(deserialize_with = "minor_units")]
    #[schemars(range(min = 1, max = Money::MAX_MINOR))]
    amount: i64,
    /// Left out, it is the customer's own, where they are known here.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Currency")]
    currency: Option<Currency>,
    /// Left out, it is the default one of a customer who is known here. Its `payment_method` may be the id of one of a
    /// customer's.
    #[serde(default, deserialize_with = "optional_object", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Method")]
    method: Option<Method>,
    /// Whether the customer is away.
    // What was not said is left out of the fingerprint, as it was before it could be.
    #[serde(default = "away", skip_serializing_if = "is_true")]
    off_session: bool,
    /// Where a customer who is there comes back to: with `off_session: false`, and only then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_URL), extend("format" = "uri"))]
    return_url: Option<String>,
    /// Whether it is charged by itself, or only by a call of `/process`.
    #[serde(default, skip_serializing_if = "is_now")]
    capture: Capture,
    /// When it is charged, at most 366 days ahead; a time that has passed is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process_at: Option<Time>,
    /// The gateway account; else that of the customer's method, or the environment's first one.
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_REFERENCE))]
    gateway: Option<String>,
    /// Your id of the customer, or the `id` of one who is known here.
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_REFERENCE))]
    customer: Option<String>,
    /// Your id of the payment.
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_REFERENCE))]
    reference: Option<String>,
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_TEXT))]
    description: Option<String>,
    #[serde(default)]
    #[schemars(schema_with = "metadata")]
    metadata: BTreeMap<String, String>,
}

impl NewPayment {
    /// The request under its key, for the scope that the key was sent to.
    pub(super) fn under(self, scope: &str, key: String) -> Result<Request, Problem> {
        let key = Key { scope: scope.to_owned(), key, fingerprint: fingerprint(scope, &self) };
        if looks_like_card_number(&self.amount.to_string()) {
            let detail = "this looks like a card number: send the amount in minor units";
            return Err(
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", detail).about("amount")
            );
        }
        Ok(Request {
            amount: self.amount,
            currency: self.currency,
            session: session(self.off_session, self.return_url.as_deref())?,
            start: start(self.capture, self.process_at)?,
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

/// A payment that the sandbox takes.
pub(super) fn example() -> serde_json::Value {
    json!({
        "amount": 1250, "currency": "EUR", "customer": "cus_1",
        "method": { "type": "card", "payment_method": "pm_card_visa" },
    })
}

/// What may stand in `metadata`.
pub(super) fn metadata(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "description": "Texts of yours, by names of yours.",
        "maxProperties": MAX_METADATA,
        "propertyNames": { "minLength": 1, "maxLength": MAX_METADATA_KEY },
        "additionalProperties": { "type": "string", "maxLength": MAX_TEXT },
    })
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

/// The start that the two fields mean together.
fn start(capture: Capture, process_at: Option<Time>) -> Result<Start, Problem> {
    match (capture, process_at) {
        (Capture::Now, None) => Ok(Start::Now),
        (Capture::Now, Some(at)) => Ok(Start::At(at)),
        (Capture::Deferred, None) => Ok(Start::OnRequest),
        (Capture::Deferred, Some(_)) => {
            let detail =
                "a deferred payment has no time, it waits for a call of /process: leave out one of the two";
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", detail).about("process_at"))
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_now(capture: &Capture) -> bool {
    *capture == Capture::Now
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
    wishes: Wishes,
    Body(new): Body<NewPayment>,
) -> Result<Created<Payment>, Problem> {
    let mut request = new.under("POST /v1/payments", key)?;
    request.allow_duplicate = wishes.allow_duplicate;
    request.traceparent = wishes.traceparent;
    let committed = api.flows.create_payment(owner, request, Priority::Interactive).await?;
    let mut payment = committed.payment.ok_or_else(not_made)?;
    if let Some(patience) = wishes.patience {
        payment = api.flows.wait_until_settled(owner, payment, patience).await?;
    }
    let created = Created::of(&View::from(&payment)).fresh(committed.fresh);
    Ok(if wishes.patience.is_some() { created.with("preference-applied", "wait") } else { created })
}

pub(super) fn not_made() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "no payment was made")
}

async fn show(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsRead>,
    Id(id): Id<PaymentId>,
) -> Result<Told<Payment>, Problem> {
    let payment = api.flows.load_payment(owner, id).await?;
    Ok(Told::of(&View::from(&payment)))
}

async fn cancel(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsWrite>,
    Id(id): Id<PaymentId>,
) -> Result<Told<Payment>, Problem> {
    let payment = api.flows.cancel_payment(owner, id).await?;
    Ok(Told::of(&View::from(&payment)))
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Page {
    #[schemars(range(min = 1, max = page::MAX_PAGE))]
    limit: Option<u16>,
    /// The `next_cursor` of the page before, unchanged.
    #[schemars(with = "PaymentId")]
    cursor: Option<String>,
    #[schemars(with = "String", extend("enum" = Status::NAMES))]
    status: Option<String>,
    #[schemars(regex(pattern = PLAIN))]
    customer: Option<String>,
    #[schemars(regex(pattern = PLAIN))]
    reference: Option<String>,
    /// By this method of a customer, met_...
    #[schemars(with = "MethodId")]
    payment_method: Option<String>,
    /// Made then or later.
    created_from: Option<Time>,
    /// Made before then.
    created_before: Option<Time>,
    /// Payments by their ids, with commas between; no other parameter goes with it.
    #[schemars(regex(pattern = r"^pay_[0-9a-f]{32}(,pay_[0-9a-f]{32})*$"))]
    ids: Option<String>,
}

/// Texts without control characters.
pub(super) const PLAIN: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

pub(super) fn check_plain(param: &str, value: Option<&str>) -> Result<(), Problem> {
    if value.is_some_and(|value| value.chars().any(char::is_control)) {
        return Err(page::refuse(param, "the text has control characters: remove them".to_owned()));
    }
    Ok(())
}

/// How many payments can be named in one call.
const MAX_IDS: usize = 200;

async fn list(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsRead>,
    Params(params): Params<Page>,
) -> Result<Told<Vec<Payment>>, Problem> {
    if let Some(ids) = &params.ids {
        return named(&api, owner, ids, &params).await;
    }
    let limit = page::limit(params.limit)?;
    if let Some(status) = &params.status {
        payments::check_status(status).map_err(|error| page::refuse("status", error.to_string()))?;
    }
    check_plain("customer", params.customer.as_deref())?;
    check_plain("reference", params.reference.as_deref())?;
    for (param, time) in [("created_from", params.created_from), ("created_before", params.created_before)] {
        if time.is_some_and(|time| !(1970..=9999).contains(&time.year())) {
            return Err(page::refuse(param, "the year must be from 1970 to 9999".to_owned()));
        }
    }
    let method = params.payment_method.as_deref().map(str::parse).transpose();
    let method = method.map_err(|error: IdError| page::refuse("payment_method", error.to_string()))?;
    let after = page::cursor(params.cursor.as_deref())?;
    let filter = Filter {
        status: params.status,
        customer: params.customer,
        reference: params.reference,
        method,
        created_from: params.created_from,
        created_before: params.created_before,
        after,
        limit: limit + 1,
    };
    let payments = api.flows.list_payments(owner, &filter).await?;
    Ok(page::told(&payments, limit, View::from, |payment| payment.id))
}

/// Those of the named payments that are the caller's.
async fn named(api: &Api, owner: Owner, ids: &str, params: &Page) -> Result<Told<Vec<Payment>>, Problem> {
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
    Ok(page::told(&payments, u16::MAX, View::from, |payment| payment.id))
}

async fn attempts(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsRead>,
    Id(id): Id<PaymentId>,
) -> Result<Told<Vec<Attempt>>, Problem> {
    let attempts = api.flows.list_attempts(owner, id).await?;
    Ok(page::told(&attempts, u16::MAX, AttemptView::from, |attempt| attempt.id))
}

async fn timeline(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsRead>,
    Id(id): Id<PaymentId>,
) -> Result<Told<Story>, Problem> {
    let story = api.flows.tell_story(owner, id).await?;
    Ok(Told::of(&Timeline::from(&story)))
}

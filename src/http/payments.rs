//! `/v1/payments`: one payment at a time.

use super::{
    Api,
    caller::{Caller, PaymentsRead, PaymentsWrite},
    extract::{Body, Id, IdempotencyKey, Params},
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
        clock::Time,
        event::View,
        payment::{Payment, Status},
    },
    flow::payments::{self, Request, Story},
    store::{Filter, Owner, change::Priority},
};
use axum::{extract::State, http::StatusCode};
use dunlin_jobs::{IdError, MethodId, NewPayment, PaymentId, optional_moment, read_identifier};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeSet;

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

async fn create(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsWrite>,
    IdempotencyKey(key): IdempotencyKey,
    wishes: Wishes,
    Body(new): Body<NewPayment>,
) -> Result<Created<Payment>, Problem> {
    let mut request = Request::under(key, new);
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
    #[serde(default, deserialize_with = "optional_moment")]
    created_from: Option<Time>,
    /// Made before then.
    #[serde(default, deserialize_with = "optional_moment")]
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

/// An id of the caller's own, as it is kept (S2.14).
pub(super) fn identifier_param(param: &str, value: Option<String>) -> Result<Option<String>, Problem> {
    let read = |value: String| read_identifier(&value).map(std::borrow::Cow::into_owned);
    value.map(read).transpose().map_err(|why| page::refuse(param, why.to_string()))
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
    let customer = identifier_param("customer", params.customer)?;
    let reference = identifier_param("reference", params.reference)?;
    let method = params.payment_method.as_deref().map(str::parse).transpose();
    let method = method.map_err(|error: IdError| page::refuse("payment_method", error.to_string()))?;
    let after = page::cursor(params.cursor.as_deref())?;
    let filter = Filter {
        status: params.status,
        customer,
        reference,
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

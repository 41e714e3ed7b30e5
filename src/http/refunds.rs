//! `/v1/payments/{id}/refunds` and `/v1/refunds`: money that goes back.

use super::{
    Api,
    caller::{Caller, PaymentsRead, RefundsWrite},
    extract::{Body, Id, IdempotencyKey, Params, fingerprint},
    json::optional_minor_units,
    operation::says,
    page,
    problem::Problem,
    retries::Wish,
    routes::{Routes, get, post},
    told::{Created, Shown, Told},
};
use crate::{
    domain::refund::{Refund, RefundStatus, View},
    flow::{
        payments::MAX_TEXT,
        refunds::{self, Request},
    },
    store::{Owner, RefundFilter, change::Key},
};
use axum::{extract::State, http::StatusCode};
use dunlin_jobs::{Money, PaymentId, RefundId, metadata_schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

const SCOPE: &str = "POST /v1/payments/{id}/refunds";
const RETRY: &str = "POST /v1/refunds/{id}/retry";

pub(super) fn routes() -> Routes {
    let create_says = says("Create a refund")
        .text("Gives back a part, or all that is left, up to what the payment received.")
        .refuses(StatusCode::CONFLICT, "payment_not_refundable")
        .refuses(StatusCode::CONFLICT, "payment_disputed");
    let retry_says = says("Retry a refund")
        .text("Makes another refund in the place of one that failed.")
        .refuses(StatusCode::CONFLICT, "refund_not_retriable")
        .refuses(StatusCode::CONFLICT, "payment_disputed");
    Routes::about("Refunds")
        .route(
            "/v1/payments/{id}/refunds",
            get(list_of_payment, says("List refunds of a payment")).and(post(create, create_says)),
        )
        .route("/v1/refunds", get(list, says("List refunds").text("Newest first.")))
        .route("/v1/refunds/{id}", get(show, says("Get a refund")))
        .route("/v1/refunds/{id}/retry", post(retry, retry_says))
}

impl Shown for Refund {
    type View<'a> = View<'a>;
}

/// What a refund is made from.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({ "amount": 250, "reason": "one of the two was broken" }))]
struct NewRefund {
    /// In minor units of the payment's currency; left out, all that is left goes back.
    #[serde(default, deserialize_with = "optional_minor_units")]
    #[schemars(with = "i64", range(min = 1, max = Money::MAX_MINOR))]
    amount: Option<i64>,
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_TEXT))]
    reason: Option<String>,
    #[serde(default)]
    #[schemars(schema_with = "metadata_schema")]
    metadata: BTreeMap<String, String>,
}

async fn create(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<RefundsWrite>,
    Id(payment): Id<PaymentId>,
    IdempotencyKey(key): IdempotencyKey,
    Body(new): Body<NewRefund>,
) -> Result<Created<Refund>, Problem> {
    let key = Key { scope: SCOPE.to_owned(), key, fingerprint: fingerprint(SCOPE, &(payment, &new)) };
    let request = Request { amount: new.amount, reason: new.reason, metadata: new.metadata, key };
    let (refund, fresh) = api.flows.create_refund(owner, payment, request).await?;
    Ok(Created::of(&View::from(&refund)).fresh(fresh))
}

async fn retry(
    State(api): State<Api>,
    Caller { holder, .. }: Caller<RefundsWrite>,
    Id(failed): Id<RefundId>,
    IdempotencyKey(key): IdempotencyKey,
    Body(wish): Body<Wish>,
) -> Result<Created<Refund>, Problem> {
    let key = Key { scope: RETRY.to_owned(), key, fingerprint: fingerprint(RETRY, &(failed, &wish)) };
    let (refund, fresh) = api.flows.retry_refund(&holder, failed, wish.reason, key).await?;
    Ok(Created::of(&View::from(&refund)).fresh(fresh))
}

async fn show(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsRead>,
    Id(id): Id<RefundId>,
) -> Result<Told<Refund>, Problem> {
    let refund = api.flows.load_refund(owner, id).await?;
    Ok(Told::of(&View::from(&refund)))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Page {
    #[schemars(range(min = 1, max = page::MAX_PAGE))]
    limit: Option<u16>,
    /// The `next_cursor` of the page before.
    #[schemars(with = "RefundId")]
    cursor: Option<String>,
    #[schemars(with = "String", extend("enum" = RefundStatus::ALL.map(RefundStatus::name)))]
    status: Option<String>,
    /// Only those that a person has to look at.
    #[serde(default)]
    needs_review: bool,
}

async fn list(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsRead>,
    Params(params): Params<Page>,
) -> Result<Told<Vec<Refund>>, Problem> {
    told(&api, owner, None, params).await
}

async fn list_of_payment(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsRead>,
    Id(payment): Id<PaymentId>,
    Params(params): Params<Page>,
) -> Result<Told<Vec<Refund>>, Problem> {
    told(&api, owner, Some(payment), params).await
}

async fn told(
    api: &Api,
    owner: Owner,
    payment: Option<PaymentId>,
    params: Page,
) -> Result<Told<Vec<Refund>>, Problem> {
    let limit = page::limit(params.limit)?;
    let after = page::cursor(params.cursor.as_deref())?;
    if let Some(status) = &params.status {
        refunds::check_status(status).map_err(|error| page::refuse("status", error.to_string()))?;
    }
    let Page { status, needs_review, .. } = params;
    let filter = RefundFilter { payment, status, needs_review, after, limit: limit + 1 };
    let refunds = api.flows.list_refunds(owner, &filter).await?;
    Ok(page::told(&refunds, limit, View::from, |refund| refund.id))
}

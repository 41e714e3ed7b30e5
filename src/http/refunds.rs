//! `/v1/payments/{id}/refunds` and `/v1/refunds`: money that goes back.

use super::{
    Api,
    caller::{Caller, PaymentsRead, RefundsWrite},
    created::created,
    extract::{Body, Id, IdempotencyKey, Params, fingerprint},
    json::optional_minor_units,
    page,
    problem::Problem,
};
use crate::{
    domain::refund::View,
    flow::refunds::Request,
    store::{Owner, RefundFilter, change::Key},
};
use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use dunlin_jobs::{PaymentId, RefundId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

const SCOPE: &str = "POST /v1/payments/{id}/refunds";

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/v1/payments/{id}/refunds", get(list_of_payment).post(create))
        .route("/v1/refunds", get(list))
        .route("/v1/refunds/{id}", get(show))
}

/// What a refund is made from.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct NewRefund {
    /// In minor units of the payment's currency; left out, all that is left goes back.
    #[serde(default, deserialize_with = "optional_minor_units")]
    amount: Option<i64>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

async fn create(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<RefundsWrite>,
    Id(payment): Id<PaymentId>,
    IdempotencyKey(key): IdempotencyKey,
    body: Body,
) -> Result<Response, Problem> {
    let new: NewRefund = body.parse()?;
    let key = Key { scope: SCOPE.to_owned(), key, fingerprint: fingerprint(SCOPE, &(payment, &new)) };
    let request = Request { amount: new.amount, reason: new.reason, metadata: new.metadata, key };
    let (refund, fresh) = api.flows.create_refund(owner, payment, request).await?;
    Ok(created(View::from(&refund), fresh))
}

async fn show(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsRead>,
    Id(id): Id<RefundId>,
) -> Result<Response, Problem> {
    let refund = api.flows.load_refund(owner, id).await?;
    Ok(Json(View::from(&refund)).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<u16>,
    cursor: Option<String>,
    status: Option<String>,
}

async fn list(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsRead>,
    Params(params): Params<Page>,
) -> Result<Json<Value>, Problem> {
    told(&api, owner, None, params).await
}

async fn list_of_payment(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsRead>,
    Id(payment): Id<PaymentId>,
    Params(params): Params<Page>,
) -> Result<Json<Value>, Problem> {
    told(&api, owner, Some(payment), params).await
}

async fn told(
    api: &Api,
    owner: Owner,
    payment: Option<PaymentId>,
    params: Page,
) -> Result<Json<Value>, Problem> {
    let limit = page::limit(params.limit)?;
    let after = page::cursor(params.cursor.as_deref())?;
    let filter = RefundFilter { payment, status: params.status, after, limit: limit + 1 };
    let refunds = api.flows.list_refunds(owner, &filter).await?;
    Ok(Json(page::told(&refunds, limit, View::from, |refund| refund.id)))
}

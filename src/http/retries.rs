//! `/v1/payments/{id}/retry`: the next attempt now, because a person wants it.

use super::{
    Api,
    caller::{Caller, PaymentsWrite},
    extract::{Body, Id, IdempotencyKey, fingerprint},
    operation::says,
    problem::Problem,
    routes::{Routes, post},
    told::Told,
};
use crate::{
    domain::{event::View, payment::Payment},
    flow::payments::MAX_TEXT,
    store::change::Key,
};
use axum::{extract::State, http::StatusCode};
use dunlin_jobs::PaymentId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

const SCOPE: &str = "POST /v1/payments/{id}/retry";

pub(super) fn routes() -> Routes {
    let retry_says = says("Retry a payment")
        .text("Makes the next attempt now rather than at its time, or one more after the last.")
        .refuses(StatusCode::CONFLICT, "payment_not_retriable");
    Routes::about("Payments").route("/v1/payments/{id}/retry", post(retry, retry_says))
}

/// What a person has to say to it.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({ "reason": "the customer has topped up" }))]
pub(super) struct Wish {
    /// Why, for the payment's history.
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_TEXT))]
    pub(super) reason: Option<String>,
}

async fn retry(
    State(api): State<Api>,
    Caller { holder, .. }: Caller<PaymentsWrite>,
    Id(payment): Id<PaymentId>,
    IdempotencyKey(key): IdempotencyKey,
    Body(wish): Body<Wish>,
) -> Result<Told<Payment>, Problem> {
    let key = Key { scope: SCOPE.to_owned(), key, fingerprint: fingerprint(SCOPE, &(payment, &wish)) };
    let (payment, fresh) = api.flows.retry_payment(&holder, payment, wish.reason, key).await?;
    Ok(Told::of(&View::from(&payment)).fresh(fresh))
}

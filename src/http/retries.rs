//! `/v1/payments/{id}/retry`: the next attempt now, because a person wants it.

use super::{
    Api,
    caller::{Caller, PaymentsWrite},
    created::replayed,
    extract::{Body, Id, IdempotencyKey, fingerprint},
    problem::Problem,
};
use crate::{domain::event::View, store::change::Key};
use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use dunlin_jobs::PaymentId;
use serde::{Deserialize, Serialize};

const SCOPE: &str = "POST /v1/payments/{id}/retry";

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/v1/payments/{id}/retry", post(retry))
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// Why, for the payment's history.
    #[serde(default)]
    reason: Option<String>,
}

async fn retry(
    State(api): State<Api>,
    Caller { holder, .. }: Caller<PaymentsWrite>,
    Id(payment): Id<PaymentId>,
    IdempotencyKey(key): IdempotencyKey,
    body: Body,
) -> Result<Response, Problem> {
    let wish: Wish = body.parse()?;
    let key = Key { scope: SCOPE.to_owned(), key, fingerprint: fingerprint(SCOPE, &(payment, &wish)) };
    let (payment, fresh) = api.flows.retry_payment(&holder, payment, wish.reason, key).await?;
    Ok(replayed(Json(View::from(&payment)).into_response(), fresh))
}

//! `/v1/payments/batch`: many payments in one request, each with its own key and its own result (S2.8).

use super::{
    Api,
    caller::{Caller, PaymentsWrite},
    extract::{Body, check_key},
    json,
    payments::{NewPayment, view},
    problem::Problem,
    wishes::allows_duplicate,
};
use crate::store::{Owner, change::Priority};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

const SCOPE: &str = "POST /v1/payments/batch";

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/v1/payments/batch", post(create))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    payments: Vec<Value>,
}

async fn create(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsWrite>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let allow_duplicate = allows_duplicate(&headers)?;
    let batch: Batch = body.parse()?;
    let most = api.settings.max_batch_items;
    if batch.payments.is_empty() || batch.payments.len() > most {
        let detail = format!("send 1 to {most} payments at a time, not {}", batch.payments.len());
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", detail);
        return Err(problem.about("payments"));
    }
    let items = batch.payments.into_iter().map(|item| take(&api, owner, item, allow_duplicate));
    let results: Vec<Result<(Value, bool), Problem>> = join_all(items).await;
    let accepted = results.iter().filter(|result| result.is_ok()).count();
    let refused = results.len() - accepted;
    let data: Vec<Value> = results.into_iter().map(told).collect();
    Ok(Json(json!({ "object": "batch", "accepted": accepted, "refused": refused, "data": data })))
}

/// One item; whatever is wrong with it is its own affair.
async fn take(
    api: &Api,
    owner: Owner,
    mut item: Value,
    allow_duplicate: bool,
) -> Result<(Value, bool), Problem> {
    let key = match item.as_object_mut().map(|fields| fields.remove("idempotency_key")) {
        Some(Some(Value::String(key))) => check_key(&key, "idempotency_key")?,
        Some(Some(_)) => {
            let detail = "the idempotency_key must be a text";
            let problem = Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_invalid", detail);
            return Err(problem.about("idempotency_key"));
        }
        Some(None) => {
            let detail = "each payment of a batch needs an idempotency_key of its own";
            let problem = Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_missing", detail);
            return Err(problem.about("idempotency_key"));
        }
        // What is no object is told so where it is read.
        None => String::new(),
    };
    let mut request = json::part::<NewPayment>(item)?.under(SCOPE, key)?;
    request.allow_duplicate = allow_duplicate;
    let committed = api.flows.create_payment(owner, request, Priority::Bulk).await?;
    let payment = committed.payment.as_ref().map(view).unwrap_or_default();
    Ok((payment, !committed.fresh))
}

fn told(result: Result<(Value, bool), Problem>) -> Value {
    match result {
        Ok((payment, replayed)) => {
            json!({ "status": 201, "idempotent_replayed": replayed, "payment": payment })
        }
        Err(problem) => json!({ "status": problem.status.as_u16(), "error": problem }),
    }
}

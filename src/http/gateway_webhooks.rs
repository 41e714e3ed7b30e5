//! `/v1/gateways/{account}/webhooks`: what gateways tell of their own accord. There is no API key; the signature
//! is the key, and the answer comes after the commit (S4.12).

use super::{Api, extract::Raw, problem::Problem};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::HeaderMap,
    routing::post,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/v1/gateways/{account}/webhooks", post(take))
}

async fn take(
    State(api): State<Api>,
    Path(account): Path<String>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Json<Value>, Problem> {
    let text = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let headers: BTreeMap<_, _> = headers.iter().filter_map(text).collect();
    api.flows.take_gateway_event(&account, &headers, &body).await?;
    Ok(Json(json!({ "received": true })))
}

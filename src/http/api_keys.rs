//! `/v1/api_keys`: keys that let others in. A secret is in the answer to its creation, and in no other.

use super::{
    Api,
    caller::{Admin, Caller},
    extract::{Body, Id, Params},
    page,
    problem::Problem,
};
use crate::domain::{
    api_key::{NewKey, View},
    clock::Time,
    scope::Scopes,
};
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use dunlin_jobs::KeyId;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/v1/api_keys", get(list).post(create))
        .route("/v1/api_keys/{id}", get(show))
        .route("/v1/api_keys/{id}/revoke", post(revoke))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    scopes: Scopes,
    #[serde(default)]
    expires_at: Option<Time>,
}

async fn create(
    State(api): State<Api>,
    Caller { holder, .. }: Caller<Admin>,
    body: Body,
) -> Result<Response, Problem> {
    let Wanted { name, scopes, expires_at } = body.parse()?;
    let made = api.flows.create_key(&holder, NewKey { name, scopes, expires_at }).await?;
    let mut told = json!(View::at(&made.key, api.flows.clock().now(true)));
    told["secret"] = made.secret.expose_secret().into();
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(told)).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<u16>,
    cursor: Option<String>,
}

async fn list(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<Admin>,
    Params(params): Params<Page>,
) -> Result<Json<Value>, Problem> {
    let limit = page::limit(params.limit)?;
    let after = page::cursor(params.cursor.as_deref())?;
    let keys = api.flows.list_keys(owner, after, limit + 1).await?;
    let now = api.flows.clock().now(true);
    Ok(Json(page::told(&keys, limit, |key| View::at(key, now), |key| key.id)))
}

async fn show(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<Admin>,
    Id(id): Id<KeyId>,
) -> Result<Response, Problem> {
    let key = api.flows.load_key(owner, id).await?;
    Ok(Json(View::at(&key, api.flows.clock().now(true))).into_response())
}

async fn revoke(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<Admin>,
    Id(id): Id<KeyId>,
) -> Result<Response, Problem> {
    let key = api.flows.revoke_key(owner, id).await?;
    Ok(Json(View::at(&key, api.flows.clock().now(true))).into_response())
}

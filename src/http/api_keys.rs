//! `/v1/api_keys`: keys that let others in. A secret is in the answer to its creation, and in no other.

use super::{
    Api,
    caller::{Admin, Caller},
    extract::{Body, Id, Params},
    operation::says,
    page,
    problem::Problem,
    routes::{Routes, get, post},
    told::{Created, Shown, Told},
};
use crate::{
    domain::{
        api_key::{ApiKey, NewKey, View},
        clock::Time,
        scope::{Scope, Scopes},
    },
    flow::payments::MAX_REFERENCE,
};
use axum::extract::State;
use dunlin_jobs::{KeyId, optional_moment};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(super) fn routes() -> Routes {
    let create_says = says("Create an API key")
        .text("Of the caller's own tenant and environment, with scopes that the caller has. The secret is told once.");
    let revoke_says = says("Revoke an API key").text("It lets in no more; once more is as good as once.");
    Routes::about("API keys")
        .route(
            "/v1/api_keys",
            get(list, says("List API keys").text("Newest first.")).and(post(create, create_says)),
        )
        .route("/v1/api_keys/{id}", get(show, says("Get an API key")))
        .route("/v1/api_keys/{id}/revoke", post(revoke, revoke_says))
}

/// What a key is made from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({ "name": "reports", "scopes": ["payments:read"] }))]
struct Wanted {
    #[schemars(length(min = 1, max = MAX_REFERENCE))]
    name: String,
    #[schemars(with = "Vec<Scope>", length(min = 1))]
    scopes: Scopes,
    /// A moment to come, of real time, for test keys too.
    #[serde(default, deserialize_with = "optional_moment")]
    expires_at: Option<Time>,
}

impl Shown for ApiKey {
    type View<'a> = View<'a>;
}

/// A key that was just made: the one time at which its secret is told.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NewApiKey")]
struct Secret<'a> {
    #[serde(flatten)]
    key: View<'a>,
    secret: &'a str,
}

/// A key with its secret.
#[derive(Debug)]
struct Made;

impl Shown for Made {
    type View<'a> = Secret<'a>;
}

async fn create(
    State(api): State<Api>,
    Caller { holder, .. }: Caller<Admin>,
    Body(Wanted { name, scopes, expires_at }): Body<Wanted>,
) -> Result<Created<Made>, Problem> {
    let made = api.flows.create_key(&holder, NewKey { name, scopes, expires_at }).await?;
    let key = View::at(&made.key, api.flows.clock().now(true));
    let told = Created::of(&Secret { key, secret: made.secret.expose_secret() });
    Ok(told.with("cache-control", "no-store"))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Page {
    #[schemars(range(min = 1, max = page::MAX_PAGE))]
    limit: Option<u16>,
    /// The `next_cursor` of the page before.
    #[schemars(with = "KeyId")]
    cursor: Option<String>,
}

async fn list(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<Admin>,
    Params(params): Params<Page>,
) -> Result<Told<Vec<ApiKey>>, Problem> {
    let limit = page::limit(params.limit)?;
    let after = page::cursor(params.cursor.as_deref())?;
    let keys = api.flows.list_keys(owner, after, limit + 1).await?;
    let now = api.flows.clock().now(true);
    Ok(page::told(&keys, limit, |key| View::at(key, now), |key| key.id))
}

async fn show(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<Admin>,
    Id(id): Id<KeyId>,
) -> Result<Told<ApiKey>, Problem> {
    let key = api.flows.load_key(owner, id).await?;
    Ok(Told::of(&View::at(&key, api.flows.clock().now(true))))
}

async fn revoke(
    State(api): State<Api>,
    Caller { holder, .. }: Caller<Admin>,
    Id(id): Id<KeyId>,
) -> Result<Told<ApiKey>, Problem> {
    let key = api.flows.revoke_key(&holder, id).await?;
    Ok(Told::of(&View::at(&key, api.flows.clock().now(true))))
}

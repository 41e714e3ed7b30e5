//! `/livez` and `/readyz`: whether the process runs, and whether it should be sent work (S6.6).

use super::{Api, problem::Problem};
use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/livez", get(alive)).route("/readyz", get(ready))
}

async fn alive() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

async fn ready(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let unready = |code, detail: &str| Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail));
    if api.draining.load(Ordering::SeqCst) {
        return unready("draining", "this process is stopping");
    }
    match api.flows.store.ping().await {
        Ok(()) => Ok(Json(json!({ "status": "ready" }))),
        Err(_) => unready("database_unavailable", "the database does not answer"),
    }
}

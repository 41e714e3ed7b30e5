//! `/livez` and `/readyz`: whether the process runs, and whether it should be sent work (S6.6).

use super::{
    Api,
    operation::says,
    problem::Problem,
    routes::{Routes, get},
    told::{Shown, Told},
};
use axum::{extract::State, http::StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::atomic::Ordering;

pub(super) fn routes() -> Routes {
    let unready = StatusCode::SERVICE_UNAVAILABLE;
    let ready_says = says("Ask whether it should be sent work")
        .text("It should not while it stops, and while the database does not answer.")
        .refuses(unready, "draining")
        .refuses(unready, "database_unavailable");
    Routes::about("Health")
        .route("/livez", get(alive, says("Ask whether it runs")))
        .route("/readyz", get(ready, ready_says))
}

#[derive(Debug, Serialize, JsonSchema)]
struct Health {
    #[schemars(extend("enum" = ["alive", "ready"]))]
    status: &'static str,
}

impl Shown for Health {
    type View<'a> = Self;
}

async fn alive() -> Told<Health> {
    Told::of(&Health { status: "alive" })
}

async fn ready(State(api): State<Api>) -> Result<Told<Health>, Problem> {
    let unready = |code, detail: &str| Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail));
    if api.draining.load(Ordering::SeqCst) {
        return unready("draining", "this process is stopping");
    }
    match api.flows.store.ping().await {
        Ok(()) => Ok(Told::of(&Health { status: "ready" })),
        Err(_) => unready("database_unavailable", "the database does not answer"),
    }
}

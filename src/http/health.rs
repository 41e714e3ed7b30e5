//! `/livez` and `/readyz`: whether the process runs, and whether it should be sent work (S6.6).

use super::{
    Api,
    operation::says,
    problem::{Check, Problem},
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
        .text(
            "It should not while it stops, while the database does not answer, cannot write or has another schema, and while the \
             database's clock is farther from this machine's than `worker.max_clock_skew_ms`. `checks` names each of these with what to \
             do; `code` is the first. Where Redis is away or another dunlin's, or nothing is sent because the database was restored, it should all the same, and `degraded` says so.",
        )
        .refuses(unready, "draining")
        .refuses(unready, "database_unavailable")
        .refuses(unready, "database_unwritable")
        .refuses(unready, "schema_outdated")
        .refuses(unready, "schema_unknown")
        .refuses(unready, "clock_skewed");
    Routes::about("Health")
        .route("/livez", get(alive, says("Ask whether it runs")))
        .route("/readyz", get(ready, ready_says))
}

#[derive(Debug, Serialize, JsonSchema)]
struct Health {
    #[schemars(extend("enum" = ["alive", "ready"]))]
    status: &'static str,
    /// What does not work as it should while work is done all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<Check>,
}

impl Shown for Health {
    type View<'a> = Self;
}

async fn alive() -> Told<Health> {
    Told::of(&Health { status: "alive", degraded: Vec::new() })
}

async fn ready(State(api): State<Api>) -> Result<Told<Health>, Problem> {
    let draining = Check {
        code: "draining",
        detail: "this process is stopping: send work to another one, or wait for its successor".to_owned(),
    };
    let mut failing: Vec<_> =
        Some(draining).filter(|_| api.draining.load(Ordering::SeqCst)).into_iter().collect();
    let unready = api.flows.unready().await;
    failing.extend(unready.iter().map(|why| Check { code: why.code(), detail: why.to_string() }));
    if let Some(first) = failing.first() {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, first.code, first.detail.clone());
        return Err(Problem { checks: failing.into(), ..problem });
    }
    let degraded = api.flows.degraded().await;
    let degraded = degraded.iter().map(|what| Check { code: what.code(), detail: what.to_string() });
    Ok(Told::of(&Health { status: "ready", degraded: degraded.collect() }))
}

//! `/v1/test_clock`: the test environment's time, to read and to advance.

use super::{
    Api,
    caller::{Caller, JobsOperate, JobsRead},
    extract::Body,
    problem::Problem,
};
use crate::domain::clock::Time;
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/v1/test_clock", get(show)).route("/v1/test_clock/advance", post(advance))
}

/// Where to: a moment, or so many seconds on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    to: Option<Time>,
    by_s: Option<u32>,
}

async fn show(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<JobsRead>,
) -> Result<Json<Value>, Problem> {
    test_only(owner.livemode)?;
    Ok(told(api.flows.clock().now(false)))
}

async fn advance(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<JobsOperate>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    test_only(owner.livemode)?;
    let target = match body.parse::<Advance>()? {
        Advance { to: Some(to), by_s: None } => to,
        Advance { to: None, by_s: Some(seconds) } => {
            api.flows.clock().now(false) + TimeDelta::seconds(seconds.into())
        }
        Advance { .. } => {
            let detail = "send either `to`, a moment such as \"2027-01-01T00:00:00Z\", or `by_s`, seconds";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", detail).about("to"));
        }
    };
    let now = api.flows.advance_test_clock(crate::domain::clock::truncate(target)).await?;
    Ok(told(now))
}

fn test_only(livemode: bool) -> Result<(), Problem> {
    if livemode {
        let detail = "live time is nobody's to move: use a test key (dk_test_...)";
        return Err(Problem::new(StatusCode::FORBIDDEN, "test_mode_only", detail).about("Authorization"));
    }
    Ok(())
}

fn told(now: Time) -> Json<Value> {
    Json(json!({ "object": "test_clock", "status": "ready", "now": now }))
}

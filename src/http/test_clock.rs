//! `/v1/test_clock`: the test environment's time, to read and to advance.

use super::{
    Api,
    caller::{Caller, JobsOperate, JobsRead},
    extract::Body,
    operation::{Words, says},
    problem::Problem,
    routes::{Routes, get, post},
    told::{Shown, Told},
};
use crate::domain::clock::Time;
use axum::{extract::State, http::StatusCode};
use chrono::TimeDelta;
use dunlin_jobs::optional_moment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(super) fn routes() -> Routes {
    let for_tests = |words: Words| words.refuses(StatusCode::FORBIDDEN, "test_mode_only");
    let advance_says = says("Advance the test clock")
        .text("Stops at each moment at which a job is due, and answers when all that is due is done.")
        .refuses(StatusCode::CONFLICT, "clock_not_advanceable");
    Routes::about("Test clock")
        .route("/v1/test_clock", get(show, for_tests(says("Get the test clock"))))
        .route("/v1/test_clock/advance", post(advance, for_tests(advance_says)))
}

/// Where to: a moment, or so many seconds on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({ "by_s": 86400 }))]
struct Advance {
    /// A moment, at most ten years ahead.
    #[serde(default, deserialize_with = "optional_moment")]
    to: Option<Time>,
    /// Seconds; one of the two is sent.
    by_s: Option<u32>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct TestClock {
    #[schemars(extend("const" = "test_clock"))]
    object: &'static str,
    #[schemars(extend("const" = "ready"))]
    status: &'static str,
    now: Time,
}

impl Shown for TestClock {
    type View<'a> = Self;
}

async fn show(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<JobsRead>,
) -> Result<Told<TestClock>, Problem> {
    test_only(owner.livemode)?;
    Ok(told(api.flows.test_time().await?))
}

async fn advance(
    State(api): State<Api>,
    Caller { owner, holder, .. }: Caller<JobsOperate>,
    Body(target): Body<Advance>,
) -> Result<Told<TestClock>, Problem> {
    test_only(owner.livemode)?;
    let target = match target {
        Advance { to: Some(to), by_s: None } => to,
        Advance { to: None, by_s: Some(seconds) } => {
            api.flows.test_time().await? + TimeDelta::seconds(seconds.into())
        }
        Advance { .. } => {
            let detail = "send either `to`, a moment such as \"2027-01-01T00:00:00Z\", or `by_s`, seconds";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", detail).about("to"));
        }
    };
    let target = crate::domain::clock::truncate(target);
    let now = api.flows.advance_test_clock_for(&holder, target).await?;
    Ok(told(now))
}

fn test_only(livemode: bool) -> Result<(), Problem> {
    if livemode {
        let detail = "live time is nobody's to move: use a test key (dk_test_...)";
        return Err(Problem::new(StatusCode::FORBIDDEN, "test_mode_only", detail).about("Authorization"));
    }
    Ok(())
}

fn told(now: Time) -> Told<TestClock> {
    Told::of(&TestClock { object: "test_clock", status: "ready", now })
}

//! `/v1/jobs`: the work that payments have before them, and what a person does to it.

use super::{
    Api,
    caller::{Caller, JobsOperate, JobsRead},
    extract::{Body, Id, Params},
    operation::says,
    page,
    problem::Problem,
    retries::Wish,
    routes::{Routes, get, post},
    told::{Shown, Told},
};
use crate::{
    domain::clock::Time,
    store::{
        change::JobAct,
        jobs::{JobFilter, JobView},
    },
};
use axum::{extract::State, http::StatusCode};
use dunlin_jobs::{JobId, PaymentId, optional_moment};
use schemars::JsonSchema;
use serde::Deserialize;

pub(super) fn routes() -> Routes {
    let list_says = says("List jobs")
        .text("What the payments have before them, the newest first. A job that is done is gone.");
    let retry_says = says("Run a job now")
        .text("Rather than at its time. Where a decline has set that time, what holds for the retry of a payment holds here.")
        .refuses(StatusCode::CONFLICT, "work_in_hand")
        .refuses(StatusCode::CONFLICT, "job_parked")
        .refuses(StatusCode::CONFLICT, "payment_not_retriable");
    let release_says = says("Release a job")
        .text(
            "One that was set aside runs again, as if it were new; its first act is to look at its payment.",
        )
        .refuses(StatusCode::CONFLICT, "work_in_hand");
    Routes::about("Jobs")
        .route("/v1/jobs", get(list, list_says))
        .route("/v1/jobs/{id}", get(show, says("Get a job")))
        .route("/v1/jobs/{id}/retry", post(retry, retry_says))
        .route("/v1/jobs/{id}/release", post(release, release_says))
}

impl Shown for JobView {
    type View<'a> = Self;
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Page {
    #[schemars(range(min = 1, max = page::MAX_PAGE))]
    limit: Option<u16>,
    /// The `next_cursor` of the page before.
    #[schemars(with = "JobId")]
    cursor: Option<String>,
    #[schemars(with = "String", extend("enum" = JobView::STATES))]
    state: Option<String>,
    #[schemars(with = "String", extend("enum" = JobView::KINDS))]
    kind: Option<String>,
    /// Only those of this payment.
    #[schemars(with = "PaymentId")]
    payment: Option<String>,
    /// Only those that are due before then.
    #[serde(default, deserialize_with = "optional_moment")]
    due_before: Option<Time>,
}

async fn list(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<JobsRead>,
    Params(params): Params<Page>,
) -> Result<Told<Vec<JobView>>, Problem> {
    let limit = page::limit(params.limit)?;
    for (param, value, known) in
        [("state", &params.state, &JobView::STATES[..]), ("kind", &params.kind, &JobView::KINDS[..])]
    {
        if let Some(value) = value.as_deref().filter(|value| !known.contains(value)) {
            let detail = format!("{value:?} is not a {param} of jobs: one of {}", known.join(", "));
            return Err(page::refuse(param, detail));
        }
    }
    let payment = params.payment.as_deref().map(str::parse).transpose();
    let payment = payment.map_err(|error| page::refuse("payment", format!("{error}")))?;
    let filter = JobFilter {
        state: params.state,
        kind: params.kind,
        payment,
        due_before: params.due_before,
        after: page::cursor(params.cursor.as_deref())?,
        limit: limit + 1,
    };
    let jobs = api.flows.list_jobs(owner, &filter).await?;
    Ok(page::told(&jobs, limit, JobView::clone, |job| job.id.clone()))
}

async fn show(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<JobsRead>,
    Id(id): Id<JobId>,
) -> Result<Told<JobView>, Problem> {
    Ok(Told::of(&api.flows.load_job(owner, id).await?))
}

async fn retry(
    State(api): State<Api>,
    Caller { holder, .. }: Caller<JobsOperate>,
    Id(id): Id<JobId>,
    Body(Wish { reason }): Body<Wish>,
) -> Result<Told<JobView>, Problem> {
    Ok(Told::of(&api.flows.operate_job(&holder, id, JobAct::Retry, reason).await?))
}

async fn release(
    State(api): State<Api>,
    Caller { holder, .. }: Caller<JobsOperate>,
    Id(id): Id<JobId>,
    Body(Wish { reason }): Body<Wish>,
) -> Result<Told<JobView>, Problem> {
    Ok(Told::of(&api.flows.operate_job(&holder, id, JobAct::Release, reason).await?))
}

//! `/v1/audit`: what people did, newest first.

use super::{
    Api,
    caller::{Admin, Caller},
    extract::Params,
    operation::says,
    page,
    problem::Problem,
    routes::{Routes, get},
    told::{Shown, Told},
};
use crate::domain::trail::Entry;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;

pub(super) fn routes() -> Routes {
    let list_says = says("List the audit trail").text(
        "What people did to keys, to the test clock, to jobs and to payments by hand, newest first. Each entry is \
         sealed by a hash over itself and the one before.",
    );
    Routes::about("Audit trail").route("/v1/audit", get(list, list_says))
}

impl Shown for Entry {
    type View<'a> = &'a Self;
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Page {
    #[schemars(range(min = 1, max = page::MAX_PAGE))]
    limit: Option<u16>,
    /// The `next_cursor` of the page before, unchanged.
    #[schemars(regex(pattern = "^[0-9]{1,18}$"))]
    cursor: Option<String>,
}

async fn list(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<Admin>,
    Params(params): Params<Page>,
) -> Result<Told<Vec<Entry>>, Problem> {
    let limit = page::limit(params.limit)?;
    let before = page::cursor::<i64>(params.cursor.as_deref())?;
    let entries = api.flows.list_trail(owner, before, limit + 1).await?;
    Ok(page::told(&entries, limit, |entry| entry, |entry| entry.number))
}

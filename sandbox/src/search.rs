//! The search finds intents by a query in Stripe's language, some time after they changed.

use crate::{
    account::Account,
    form::{Form, Shape},
    lag::Sight,
    problem::Problem,
    query::Query,
    view::{self, IntentView},
};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Found<'a> {
    object: &'static str,
    data: Vec<IntentView<'a>>,
    has_more: bool,
    next_page: Option<String>,
    url: &'static str,
}

const KNOWN: &[(&str, Shape)] =
    &[("expand", Shape::List), ("limit", Shape::One), ("page", Shape::One), ("query", Shape::One)];
const MAX_PAGE: usize = 100;
const DEFAULT_PAGE: usize = 10;

pub(crate) fn page(account: &Account, sight: Sight<'_>, form: &Form) -> Result<Vec<u8>, Problem> {
    form.check(KNOWN)?;
    let query = Query::read(form.text("query").ok_or_else(|| Problem::missing("query"))?)?;
    let (limit, skipped) = (limit(form)?, skipped(form)?);
    let own = &account.intents;
    let rows = sight.narrow(own.listed(), |row| own.at(row));
    let intents = rows.iter().rev().filter_map(|row| own.at(*row)).map(|intent| sight.version(intent));
    let mut found = intents.filter(|intent| query.fits(intent)).skip(skipped);
    let data: Vec<_> = found.by_ref().take(limit).map(|intent| view::intent(intent)).collect();
    let has_more = found.next().is_some();
    let next_page = has_more.then(|| skipped.saturating_add(data.len()).to_string());
    let found =
        Found { object: "search_result", data, has_more, next_page, url: "/v1/payment_intents/search" };
    Ok(serde_json::to_vec(&found).unwrap_or_default())
}

fn limit(form: &Form) -> Result<usize, Problem> {
    let Some(limit) = form.integer("limit")? else { return Ok(DEFAULT_PAGE) };
    let limit = usize::try_from(limit).ok().filter(|limit| (1..=MAX_PAGE).contains(limit));
    limit.ok_or_else(|| Problem::wrong("limit", format!("Invalid limit: must be between 1 and {MAX_PAGE}")))
}

/// A page is named by how many were on the pages before it.
fn skipped(form: &Form) -> Result<usize, Problem> {
    let Some(page) = form.text("page") else { return Ok(0) };
    page.parse().map_err(|_| Problem::wrong("page", format!("Invalid page: {page}")))
}

//! A list is one page of an account's intents, newest first.

use crate::{
    account::Account,
    lag::Sight,
    params::List,
    problem::Problem,
    view::{self, IntentView},
};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Page<'a> {
    object: &'static str,
    data: Vec<IntentView<'a>>,
    has_more: bool,
    url: &'static str,
}

pub(crate) fn page<'a>(account: &'a Account, sight: Sight<'a>, query: &List) -> Result<Page<'a>, Problem> {
    let rows = match &query.customer {
        Some(customer) => account.of_customer(customer),
        None => account.all(),
    };
    let rows = sight.narrow(rows, |row| account.at(row));
    let created = |row: &usize| account.at(*row).map_or(i64::MAX, |intent| intent.facts.created);
    let mut low = rows.partition_point(|row| created(row) < query.from);
    let mut high = rows.partition_point(|row| created(row) <= query.to);
    if let Some(id) = &query.starting_after {
        let cursor = position(account, "starting_after", id)?;
        high = high.min(rows.partition_point(|row| *row < cursor));
    }
    if let Some(id) = &query.ending_before {
        let cursor = position(account, "ending_before", id)?;
        low = low.max(rows.partition_point(|row| *row <= cursor));
    }
    let found = rows.get(low..high).unwrap_or_default();
    // A page before a cursor is the one next to it, not the newest.
    let page = if query.ending_before.is_some() {
        found.get(..query.limit)
    } else {
        found.len().checked_sub(query.limit).and_then(|from| found.get(from..))
    };
    let rows = page.unwrap_or(found).iter().rev();
    let data =
        rows.filter_map(|row| account.at(*row)).map(|intent| view::intent(sight.version(intent))).collect();
    Ok(Page { object: "list", data, has_more: found.len() > query.limit, url: "/v1/payment_intents" })
}

fn position(account: &Account, param: &str, id: &str) -> Result<usize, Problem> {
    account.position(id).ok_or_else(|| Problem::no_intent(param, id))
}

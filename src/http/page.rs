//! Pages: how long one is, where the next one begins, and how it is told.

use super::problem::Problem;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use std::str::FromStr;

const MAX_PAGE: u16 = 200;
const DEFAULT_PAGE: u16 = 50;

/// How many things a page may hold.
pub(super) fn limit(wanted: Option<u16>) -> Result<u16, Problem> {
    let limit = wanted.unwrap_or(DEFAULT_PAGE);
    if (1..=MAX_PAGE).contains(&limit) {
        return Ok(limit);
    }
    Err(refuse("limit", format!("limit must be from 1 to {MAX_PAGE}")))
}

/// The id after which the page begins.
pub(super) fn cursor<I: FromStr>(cursor: Option<&str>) -> Result<Option<I>, Problem> {
    let read = |text: &str| {
        text.parse()
            .map_err(|_| refuse("cursor", "send the next_cursor of the page before, unchanged".to_owned()))
    };
    cursor.map(read).transpose()
}

/// A page of what was found, which is one more than the limit where there is a next page.
pub(super) fn told<'a, T, V: Serialize, I: Serialize>(
    found: &'a [T],
    limit: u16,
    view: impl Fn(&'a T) -> V,
    id: impl Fn(&T) -> I,
) -> Value {
    let page = &found[..found.len().min(limit.into())];
    let has_more = found.len() > page.len();
    let next = page.last().filter(|_| has_more).map(id);
    let data: Vec<_> = page.iter().map(view).collect();
    json!({ "object": "list", "data": data, "has_more": has_more, "next_cursor": next })
}

pub(super) fn refuse(param: &str, detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_parameter", detail).about(param)
}

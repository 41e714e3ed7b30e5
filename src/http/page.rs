//! Pages: how long one is, where the next one begins, and how it is told.

use super::{
    problem::Problem,
    told::{Shown, Told},
};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use std::str::FromStr;

pub(super) const MAX_PAGE: u16 = 200;
const DEFAULT_PAGE: u16 = 50;

/// A page as callers see it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ListOf{V}")]
pub(super) struct List<V> {
    #[schemars(extend("const" = "list"))]
    object: &'static str,
    data: Vec<V>,
    has_more: bool,
    /// Where the next page begins: send it as `cursor`.
    next_cursor: Option<String>,
}

impl<T: Shown> Shown for Vec<T> {
    type View<'a> = List<T::View<'a>>;
}

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
pub(super) fn told<'a, T: Shown, I: ToString>(
    found: &'a [T],
    limit: u16,
    view: impl Fn(&'a T) -> T::View<'a>,
    id: impl Fn(&T) -> I,
) -> Told<Vec<T>> {
    let page = &found[..found.len().min(limit.into())];
    let has_more = found.len() > page.len();
    let next_cursor = page.last().filter(|_| has_more).map(|last| id(last).to_string());
    let data = page.iter().map(view).collect();
    Told::of(&List { object: "list", data, has_more, next_cursor })
}

pub(super) fn refuse(param: &str, detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_parameter", detail).about(param)
}

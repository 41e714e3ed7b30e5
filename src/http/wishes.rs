//! Headers that a caller may add to a creation: how long to wait, whether a twin is meant, and its trace.

use super::{Api, described::Input, operation::Operation, problem::Problem};
use crate::domain::trace::is_traceparent;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, request::Parts},
};
use serde_json::json;
use std::time::Duration;

/// All that a caller may add to the creation of one payment.
#[derive(Debug)]
pub(super) struct Wishes {
    pub(super) patience: Option<Duration>,
    pub(super) allow_duplicate: bool,
    pub(super) traceparent: Option<String>,
}

impl FromRequestParts<Api> for Wishes {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Api) -> Result<Self, Problem> {
        let headers = &parts.headers;
        Ok(Self {
            patience: patience(headers)?,
            allow_duplicate: allows_duplicate(headers)?,
            traceparent: headers
                .get("traceparent")
                .and_then(|value| value.to_str().ok())
                .filter(|text| is_traceparent(text))
                .map(str::to_owned),
        })
    }
}

impl Input for Wishes {
    fn describe(operation: &mut Operation<'_>) {
        let description = format!(
            "`wait=N` holds the answer for up to N seconds, {MAX_WAIT} at most, until the outcome is known."
        );
        operation.takes_header(
            "Prefer",
            false,
            &description,
            &json!({ "type": "string", "examples": ["wait=5"] }),
        );
        operation.may_tell("Preference-Applied", "The wait was heeded.", &json!({ "const": "wait" }));
        let description = "The caller's trace (W3C Trace Context).";
        operation.takes_header("traceparent", false, description, &json!({ "type": "string" }));
        AllowDuplicate::describe(operation);
    }
}

/// Whether alike payments are meant, for all payments of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct AllowDuplicate(pub(super) bool);

impl FromRequestParts<Api> for AllowDuplicate {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Api) -> Result<Self, Problem> {
        allows_duplicate(&parts.headers).map(Self)
    }
}

impl Input for AllowDuplicate {
    fn describe(operation: &mut Operation<'_>) {
        let description = "`true` where a payment just like the one before is meant.";
        let schema = json!({ "type": "string", "enum": ["true", "false"] });
        operation.takes_header("X-Allow-Duplicate", false, description, &schema);
        operation.refuses(StatusCode::BAD_REQUEST, &["invalid_header"]);
    }
}

/// The longest that `Prefer: wait` holds an answer, in seconds.
const MAX_WAIT: u64 = 30;

/// `Prefer: wait=N` (RFC 7240): the caller would rather wait for the outcome. Other preferences are ignored.
fn patience(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let wait = values.flat_map(|value| value.split([',', ';'])).find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"'))
    });
    let Some(wait) = wait else { return Ok(None) };
    match wait.parse() {
        Ok(seconds) if seconds <= MAX_WAIT => Ok(Some(Duration::from_secs(seconds))),
        Ok(_) | Err(_) => {
            let detail = format!("wait must be a number of seconds from 0 to {MAX_WAIT}");
            Err(refuse("Prefer", detail))
        }
    }
}

/// `X-Allow-Duplicate: true`: a payment just like the one before is meant (S2.7).
fn allows_duplicate(headers: &HeaderMap) -> Result<bool, Problem> {
    match headers.get("x-allow-duplicate").map(|value| value.as_bytes().to_ascii_lowercase()).as_deref() {
        None | Some(b"false") => Ok(false),
        Some(b"true") => Ok(true),
        Some(_) => Err(refuse("X-Allow-Duplicate", "send true or false".to_owned())),
    }
}

fn refuse(header: &str, detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_header", detail).about(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn a_wait_is_found_among_other_preferences() {
        for value in ["wait=5", "respond-async, Wait = 5", "wait=\"5\"; foo=bar", "return=minimal;wait=5"] {
            assert_eq!(patience(&headers("prefer", value)).unwrap(), Some(Duration::from_secs(5)), "{value}");
        }
        assert_eq!(patience(&headers("prefer", "respond-async")).unwrap(), None);
        for value in ["wait=31", "wait=abc", "wait=-1", "wait="] {
            assert!(patience(&headers("prefer", value)).is_err(), "{value}");
        }
    }
}

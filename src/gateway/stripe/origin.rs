//! Origin: by what an answer shows that it is Stripe's own. A proxy or a firewall on the way speaks with the same
//! statuses, and a page of theirs proves nothing of what Stripe has done with the request.

use super::super::{Reply, text};
use serde::{Deserialize, de::DeserializeOwned};

#[derive(Debug, Deserialize)]
struct Failed {
    error: Error,
}

#[derive(Debug, Deserialize)]
struct Error {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    code: Option<String>,
}

/// A page of a list (docs.stripe.com/api/pagination).
#[derive(Debug, Deserialize)]
pub(super) struct List<T> {
    object: String,
    pub(super) data: Vec<T>,
    pub(super) has_more: bool,
}

/// Whether Stripe says, with an error of this type under this status, that it has executed nothing.
pub(super) fn is_refusal(status: u16, kind: &str) -> bool {
    // docs.stripe.com/api/errors, and the two types more that Stripe's own libraries know.
    match status {
        400 | 404 | 422 => kind == "invalid_request_error",
        401 | 403 => ["invalid_request_error", "authentication_error"].contains(&kind),
        429 => ["invalid_request_error", "rate_limit_error"].contains(&kind),
        _ => false,
    }
}

/// Whether Stripe itself has refused our credentials.
pub(super) fn refuses_credentials(reply: &Reply) -> bool {
    matches!(reply.status, 401 | 403) && refusal(reply).is_some()
}

/// Whether Stripe itself says that it does not have what was asked for.
pub(super) fn is_missing(reply: &Reply) -> bool {
    let code = refusal(reply).and_then(|error| error.code);
    matches!(reply.status, 400 | 404) && code.as_deref() == Some("resource_missing")
}

fn refusal(reply: &Reply) -> Option<Error> {
    let error = text::read::<Failed>(&reply.body)?.error;
    is_refusal(reply.status, &error.kind).then_some(error)
}

pub(super) fn page<T: DeserializeOwned>(reply: &Reply) -> Option<List<T>> {
    text::read::<List<T>>(&reply.body).filter(|list| list.object == "list")
}

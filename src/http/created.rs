//! What a request under a key has made, and whether it made it now.

use axum::{
    Json,
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// 201 each time, also where the key was used before; a header tells (S2.4).
pub(super) fn created(view: impl Serialize, fresh: bool) -> Response {
    replayed((StatusCode::CREATED, Json(view)).into_response(), fresh)
}

/// The answer, with the header where nothing was new.
pub(super) fn replayed(mut response: Response, fresh: bool) -> Response {
    if !fresh {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    response
}

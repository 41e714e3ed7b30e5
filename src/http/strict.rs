//! What a call does not take: a body where none is described, and parameters where there are none. Whoever sends them means
//! something by it, which would not be done.

use super::{extract, json, openapi::Takes, problem::Problem};
use axum::{
    Extension,
    body::{Body, HttpBody},
    extract::{MatchedPath, Request},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::Value;
use std::sync::Arc;

/// The largest body that is read to be refused.
const MOST: usize = 4096;

/// Lets through what a call takes, by its description.
pub(super) async fn check(
    Extension(takes): Extension<Arc<Takes>>,
    matched: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let Some(call) = takes.of(matched.as_str(), method) else { return next.run(request).await };
    if !call.query
        && let Err(problem) = refuse_query(&request)
    {
        return problem.into_response();
    }
    if call.body || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    match refuse_body(body).await {
        Ok(()) => next.run(Request::from_parts(parts, Body::empty())).await,
        Err(problem) => problem.into_response(),
    }
}

fn refuse_query(request: &Request) -> Result<(), Problem> {
    let query = request.uri().query().unwrap_or_default();
    match url::form_urlencoded::parse(query.as_bytes()).next() {
        None => Ok(()),
        Some((name, _)) => {
            let detail = "this call takes no parameters: leave it out, or send it where the call takes it";
            let problem = Problem::new(StatusCode::BAD_REQUEST, "invalid_parameter", detail);
            Err(problem.about(name))
        }
    }
}

/// An empty body is none, and so are an empty object and `null`.
async fn refuse_body(body: Body) -> Result<(), Problem> {
    let bytes = extract::read(body, MOST).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(());
    }
    let refuse = |code, detail: &str| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
    match json::read(&bytes)? {
        Value::Object(fields) => match fields.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => {
                Err(refuse("unknown_field", "this call takes no fields: leave the body out").about(name))
            }
        },
        Value::Null => Ok(()),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(refuse("invalid_field", "this call takes no body: leave it out").about("body"))
        }
    }
}

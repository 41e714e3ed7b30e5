//! Extractors: what the path, the query and the body say, and under which idempotency key. Each refusal names the
//! header or the field, and the remedy.

use super::{Api, described::Input, json, operation::Operation, problem::Problem};
pub(super) use crate::flow::key::fingerprint;
use crate::{
    domain::json::named_field,
    flow::{FlowError, key},
};
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{StatusCode, header, request::Parts},
};
use dunlin_jobs::{CustomerId, JobId, KeyId, MethodId, PaymentId, RefundId};
use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::str::FromStr;

/// A JSON body of at most the endpoint's size, read strictly.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let detail = format!("send the body as `Content-Type: application/json`, not as {essence:?}");
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(status, "unsupported_media_type", detail).about("Content-Type"));
        }
        let Raw(bytes) = Raw::from_request(request, api).await?;
        json::part(json::read(&bytes)?).map(Self)
    }
}

impl<T: JsonSchema> Input for Body<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.takes_body::<T>();
        operation.refuses(StatusCode::BAD_REQUEST, &["invalid_json", "json_too_deep", "body_cut_off"]);
        operation.refuses(StatusCode::PAYLOAD_TOO_LARGE, &["body_too_large"]);
        operation.refuses(StatusCode::UNSUPPORTED_MEDIA_TYPE, &["unsupported_media_type"]);
        let codes = &["invalid_field", "unknown_field", "duplicate_field"];
        operation.refuses(StatusCode::UNPROCESSABLE_ENTITY, codes);
    }
}

/// The bytes of a body, of whatever type, at most the endpoint's size.
#[derive(Debug)]
pub(super) struct Raw(pub(super) Bytes);

impl FromRequest<Api> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, _api: &Api) -> Result<Self, Problem> {
        let Limit(limit) = request.extensions().get().copied().unwrap_or(Limit(256 * 1024));
        read(request.into_body(), limit).await.map(Self)
    }
}

impl Input for Raw {
    fn describe(operation: &mut Operation<'_>) {
        operation.takes_body::<Value>();
        operation.refuses(StatusCode::BAD_REQUEST, &["body_cut_off"]);
        operation.refuses(StatusCode::PAYLOAD_TOO_LARGE, &["body_too_large"]);
    }
}

/// How large the bodies of a route may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit(pub(super) usize);

/// Reads a body. One that is too large is read on for a while and thrown away, since a client that is cut off
/// while it sends does not see the answer.
pub(super) async fn read(body: axum::body::Body, limit: usize) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut size = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| {
            let detail = "the body ended before it was whole: send it again";
            Problem::new(StatusCode::BAD_REQUEST, "body_cut_off", detail)
        })?;
        size += chunk.len();
        if size <= limit {
            bytes.extend_from_slice(&chunk);
        } else if size > limit.saturating_mul(READ_ON) {
            break;
        }
    }
    if size > limit {
        let detail = format!("the body is larger than {limit} bytes: send less at a time");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail));
    }
    Ok(bytes.into())
}

/// How many times its limit a body may be before it is cut off.
const READ_ON: usize = 8;

/// The query string, with unknown parameters refused.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Api) -> Result<Self, Problem> {
        Query::<T>::try_from_uri(&parts.uri).map(|Query(params)| Self(params)).map_err(|rejection| {
            let told = rejection.body_text();
            let told = told.strip_prefix("Failed to deserialize query string: ").unwrap_or(&told);
            let (_, name) = named_field(told);
            let param = name.or_else(|| told.split_once(": ").map(|(param, _)| param));
            let problem = Problem::new(StatusCode::BAD_REQUEST, "invalid_parameter", told);
            match param {
                Some(param) => problem.about(param),
                None => problem,
            }
        })
    }
}

impl<T: JsonSchema> Input for Params<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.takes_query::<T>();
        operation.refuses(StatusCode::BAD_REQUEST, &["invalid_parameter"]);
    }
}

/// What a path names by its id.
pub(super) trait Resource: FromStr + JsonSchema {
    const NAME: &'static str;
    /// How one is come by in a shell, for whoever tries a call.
    const SHELL: &'static str;
}

/// A resource whose newest one is found in a list.
macro_rules! listed {
    ($id:ident, $name:literal, $prefix:literal in $list:literal) => {
        impl Resource for $id {
            const NAME: &'static str = $name;
            const SHELL: &'static str = concat!(
                "curl -sS \"$url",
                $list,
                "\" -H \"Authorization: Bearer $key\" |\n    grep -o '",
                $prefix,
                "_[0-9a-f]*' | head -n 1"
            );
        }
    };
}

listed!(PaymentId, "payment", "pay" in "/v1/payments?limit=1");
listed!(RefundId, "refund", "rfd" in "/v1/refunds?limit=1");
listed!(JobId, "job", "job" in "/v1/jobs?limit=1");
listed!(CustomerId, "customer", "cus" in "/v1/customers?limit=1");
listed!(MethodId, "payment method", "met" in "/v1/customers");

impl Resource for KeyId {
    const NAME: &'static str = "API key";
    // A new one, so that nobody tries the call on the key that they call with.
    const SHELL: &'static str = "curl -sS \"$url/v1/api_keys\" -H \"Authorization: Bearer $key\" \\\n    \
                                 -H \"Content-Type: application/json\" \\\n    \
                                 -d '{\"name\":\"try\",\"scopes\":[\"payments:read\"]}' | grep -o 'key_[0-9a-f]*'";
}

/// The id in the path; what cannot be one names nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Id<I>(pub(super) I);

impl<I: Resource> FromRequestParts<Api> for Id<I> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, api).await.ok();
        path.and_then(|Path(text)| text.parse().ok())
            .map(Self)
            .ok_or_else(|| FlowError::NotFound(I::NAME).into())
    }
}

impl<I: Resource> Input for Id<I> {
    fn describe(operation: &mut Operation<'_>) {
        operation.names::<I>(&format!("The `id` of the {}.", I::NAME), Some(I::SHELL));
        operation.refuses(StatusCode::NOT_FOUND, &["not_found"]);
    }
}

/// The name of a gateway account, in the path.
#[derive(Debug, Clone)]
pub(super) struct Account(pub(super) String);

impl FromRequestParts<Api> for Account {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, api).await.ok();
        path.map(|Path(name)| Self(name)).ok_or_else(|| FlowError::NotFound("gateway account").into())
    }
}

impl Input for Account {
    fn describe(operation: &mut Operation<'_>) {
        operation.names::<String>(
            "The name of the gateway account.",
            Some(
                "curl -sS \"$url/v1/gateways\" -H \"Authorization: Bearer $key\" |\n    \
                 grep -o '\"name\":\"[^\"]*' | head -n 1 | cut -d'\"' -f4",
            ),
        );
        operation.refuses(StatusCode::NOT_FOUND, &["not_found"]);
    }
}

/// The header that a POST that moves money must have (S2.1).
#[derive(Debug, Clone)]
pub(super) struct IdempotencyKey(pub(super) String);

impl FromRequestParts<Api> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Api) -> Result<Self, Problem> {
        sent_key(parts)?.map(Self).ok_or_else(|| {
            let detail =
                "send an Idempotency-Key: one new random text per operation, the same for its retries";
            let problem = Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_missing", detail);
            problem.about("Idempotency-Key")
        })
    }
}

impl Input for IdempotencyKey {
    fn describe(operation: &mut Operation<'_>) {
        takes_key(operation, true);
        operation.refuses(StatusCode::BAD_REQUEST, &["idempotency_key_missing"]);
    }
}

/// The header that a POST may have that makes something and moves no money.
#[derive(Debug, Clone)]
pub(super) struct OptionalKey(pub(super) Option<String>);

impl FromRequestParts<Api> for OptionalKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Api) -> Result<Self, Problem> {
        sent_key(parts).map(Self)
    }
}

impl Input for OptionalKey {
    fn describe(operation: &mut Operation<'_>) {
        takes_key(operation, false);
    }
}

fn sent_key(parts: &Parts) -> Result<Option<String>, Problem> {
    let mut values = parts.headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        let detail = "send one Idempotency-Key, not several";
        let problem = Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_invalid", detail);
        return Err(problem.about("Idempotency-Key"));
    }
    check_key(value.to_str().unwrap_or_default(), "Idempotency-Key").map(Some)
}

fn takes_key(operation: &mut Operation<'_>, required: bool) {
    let schema =
        json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$" });
    let description = "One new random text per operation, the same for its retries.";
    operation.takes_header("Idempotency-Key", required, description, &schema);
    operation.refuses(StatusCode::BAD_REQUEST, &["idempotency_key_invalid"]);
    operation.refuses(StatusCode::UNPROCESSABLE_ENTITY, &["idempotency_key_reused"]);
    let replayed = "The key was used before: this is what it made then.";
    operation.may_tell("Idempotent-Replayed", replayed, &json!({ "const": "true" }));
}

/// Takes a key as it was sent, or says what is wrong with it.
pub(super) fn check_key(sent: &str, param: &str) -> Result<String, Problem> {
    key::read(sent).map_err(|detail| {
        Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_invalid", detail).about(param)
    })
}

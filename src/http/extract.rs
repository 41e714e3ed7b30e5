//! Extractors: who calls, what the body says, under which idempotency key. Each refusal names the header or
//! the field, and the remedy.

use super::{Api, problem::Problem};
use crate::{flow::FlowError, store::Owner};
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use secrecy::SecretString;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// Who calls: the tenant and environment of a valid API key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller(pub(super) Owner);

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let unauthorized = |detail: &str| {
            Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).about("Authorization")
        };
        let secret = credential(&parts.headers).ok_or_else(|| {
            unauthorized("send your API key as `Authorization: Bearer dk_test_...` or as `x-api-key`")
        })?;
        let holder = api.flows.store.find_key(&secret).await.map_err(FlowError::from)?;
        holder.map(|holder| Self(holder.owner)).ok_or_else(|| {
            unauthorized("the API key is unknown, expired or revoked: check it, or create another")
        })
    }
}

fn credential(headers: &HeaderMap) -> Option<SecretString> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(header::AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.or_else(|| text("x-api-key")).filter(|token| !token.is_empty()).map(SecretString::from)
}

/// A JSON body of at most the endpoint's size.
#[derive(Debug)]
pub(super) struct Body(pub(super) Bytes);

impl FromRequest<Api> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, _api: &Api) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let detail = format!("send the body as `Content-Type: application/json`, not as {essence:?}");
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(status, "unsupported_media_type", detail).about("Content-Type"));
        }
        let Limit(limit) = request.extensions().get().copied().unwrap_or(Limit(256 * 1024));
        axum::body::to_bytes(request.into_body(), limit).await.map(Self).map_err(|_| {
            let detail = format!("the body is larger than {limit} bytes, or was cut off: send less at a time");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
        })
    }
}

/// How large the bodies of a route may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit(pub(super) usize);

impl Body {
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let mut deserializer = serde_json::Deserializer::from_slice(&self.0);
        let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = error.path().to_string();
            unreadable(error.inner(), &path)
        })?;
        deserializer.end().map_err(|error| unreadable(&error, "."))?;
        Ok(value)
    }
}

/// Reads one part of a body that was taken apart before.
pub(super) fn parse_part<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        unreadable(error.inner(), &path)
    })
}

fn unreadable(error: &serde_json::Error, path: &str) -> Problem {
    use serde_json::error::Category;
    match error.classify() {
        Category::Data => {
            let text = error.to_string();
            let told = text.split(" at line ").next().unwrap_or(&text);
            // Serde names an unknown field in the message and its parent in the path.
            let unknown = told.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
            let missing = told.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
            let param = unknown.or(missing).map_or_else(|| path.to_owned(), str::to_owned);
            let code = if unknown.is_some() { "unknown_field" } else { "invalid_field" };
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, redact(told)).about(param)
        }
        Category::Syntax | Category::Eof | Category::Io => {
            let detail = format!("the body is not valid JSON (line {}, column {})", error.line(), error.column());
            Problem::new(StatusCode::BAD_REQUEST, "invalid_json", detail)
        }
    }
}

/// A value of the wrong type is quoted by serde; one that looks like a card number must not be sent back.
fn redact(told: &str) -> String {
    if crate::domain::card::looks_like_card_number(told) {
        "this looks like a card number, which dunlin never takes: send the gateway's token instead".to_owned()
    } else {
        told.to_owned()
    }
}

/// The query string, with unknown parameters refused.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Api) -> Result<Self, Problem> {
        Query::<T>::try_from_uri(&parts.uri).map(|Query(params)| Self(params)).map_err(|rejection| {
            let detail = rejection.body_text();
            Problem::new(StatusCode::BAD_REQUEST, "invalid_parameter", redact(&detail))
        })
    }
}

/// The header that a POST that moves money must have (S2.1).
#[derive(Debug, Clone)]
pub(super) struct IdempotencyKey(pub(super) String);

impl FromRequestParts<Api> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Api) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get("idempotency-key") else {
            let detail = "send an Idempotency-Key: one new random text per operation, the same for its retries";
            let problem = Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_missing", detail);
            return Err(problem.about("Idempotency-Key"));
        };
        check_key(value.to_str().unwrap_or_default(), "Idempotency-Key").map(Self)
    }
}

/// A key has 1 to 255 visible characters; 128 random bits are good.
pub(super) fn check_key(key: &str, param: &str) -> Result<String, Problem> {
    let refuse = |detail: &str| {
        Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_invalid", detail).about(param)
    };
    if key.is_empty() || key.len() > 255 || !key.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        return Err(refuse("the key must have 1 to 255 printable ASCII characters"));
    }
    if crate::domain::card::looks_like_card_number(key) {
        return Err(refuse("the key looks like a card number: use random text"));
    }
    Ok(key.to_owned())
}

/// What a key stands for: the call and all that was asked, whatever its spacing and order (S2.2).
pub(super) fn fingerprint<T: Serialize>(scope: &str, request: &T) -> String {
    let mut hasher = Sha256::new();
    hasher.update(scope);
    hasher.update([0]);
    hasher.update(serde_json::to_vec(request).unwrap_or_default());
    hasher.update([0]);
    hasher.update(crate::domain::event::API_VERSION);
    hex::encode(hasher.finalize())
}

//! Problems: errors as callers see them, in the shape of RFC 9457, with the field and the remedy.

use crate::{
    domain::{
        card::{looks_like_card_number, shown},
        scope::Scope,
    },
    flow::{ErrorKind, FlowError, Named},
};
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use dunlin_jobs::{CustomerId, MethodId, PaymentId};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer, ser::SerializeMap};

#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) detail: String,
    /// The field, header or parameter that is wrong.
    pub(super) param: Option<Box<str>>,
    /// What the request collides with.
    pub(super) thing: Option<Named>,
    /// The scope that the API key lacks.
    pub(super) scope: Option<Scope>,
    /// Everything that fails, where several things were looked at.
    pub(super) checks: Box<[Check]>,
    pub(super) request_id: Option<Box<str>>,
}

/// One thing that was looked at and is not as it should be.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Check {
    /// What to act on.
    pub(super) code: &'static str,
    /// What is wrong and what to do, for people.
    pub(super) detail: String,
}

impl JsonSchema for Problem {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Problem".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "What went wrong (RFC 9457).",
            "required": ["type", "title", "status", "code", "detail"],
            "properties": {
                "type": { "type": "string", "pattern": "^urn:dunlin:problem:" },
                "title": { "type": "string" },
                "status": { "type": "integer" },
                "code": { "type": "string", "description": "What to act on." },
                "detail": { "type": "string", "description": "What is wrong and what to do, for people." },
                "param": { "type": "string", "description": "The field, header or parameter that is wrong." },
                "request_id": { "type": "string" },
                "payment": generator.subschema_for::<PaymentId>(),
                "customer": generator.subschema_for::<CustomerId>(),
                "payment_method": generator.subschema_for::<MethodId>(),
                "scope": generator.subschema_for::<Scope>(),
                "checks": generator.subschema_for::<Vec<Check>>(),
            },
        })
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &format_args!("urn:dunlin:problem:{}", self.code))?;
        map.serialize_entry("title", self.status.canonical_reason().unwrap_or("Error"))?;
        map.serialize_entry("status", &self.status.as_u16())?;
        map.serialize_entry("code", self.code)?;
        map.serialize_entry("detail", &self.detail)?;
        for (name, value) in [("param", &self.param), ("request_id", &self.request_id)] {
            if let Some(value) = value {
                map.serialize_entry(name, value)?;
            }
        }
        if let Some(thing) = self.thing {
            map.serialize_entry(thing.field(), &format_args!("{thing}"))?;
        }
        if let Some(scope) = self.scope {
            map.serialize_entry("scope", &scope)?;
        }
        if !self.checks.is_empty() {
            map.serialize_entry("checks", &self.checks)?;
        }
        map.end()
    }
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = shown(detail.into());
        Self {
            status,
            code,
            detail,
            param: None,
            thing: None,
            scope: None,
            checks: Box::default(),
            request_id: None,
        }
    }

    pub(super) fn insufficient_scope(scope: Scope, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::FORBIDDEN, "insufficient_scope", detail);
        Self { scope: Some(scope), ..problem }
    }

    pub(super) fn about(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into())
            .filter(|param| !looks_like_card_number(param))
            .map(|param| shown(param).into());
        self
    }

    /// The answer itself; the request's id is known only at the outermost layer.
    pub(super) fn render(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status, Body::from(body)).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        // No rate is slower than one request a second.
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(scope) = self.scope {
            // RFC 6750, section 3.1.
            let asked = format!("Bearer error=\"{}\", scope=\"{scope}\"", self.code);
            response
                .headers_mut()
                .extend(HeaderValue::from_str(&asked).ok().map(|asked| (header::WWW_AUTHENTICATE, asked)));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<FlowError> for Problem {
    fn from(error: FlowError) -> Self {
        let kind = error.kind();
        let detail = error.to_string();
        match error {
            FlowError::Unproven(_) => Self::new(StatusCode::BAD_REQUEST, "signature_invalid", detail),
            FlowError::NotFound(_) => Self::new(StatusCode::NOT_FOUND, "not_found", detail),
            FlowError::Invalid { field, detail } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", detail).about(field)
            }
            FlowError::Ungivable(scope) => Self::insufficient_scope(scope, detail).about("scopes"),
            FlowError::KeyReused { made } => {
                let detail = format!(
                    "{detail}, which made {made}: send that request again unchanged, or use a new key for this one"
                );
                let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail);
                Self { thing: Some(made), ..problem.about("Idempotency-Key") }
            }
            FlowError::Conflict { code, detail, payment } => {
                let thing = payment.map(Named::Payment);
                Self { thing, ..Self::new(StatusCode::CONFLICT, code, detail) }
            }
            FlowError::Exists { code, detail, thing } => {
                Self { thing: Some(thing), ..Self::new(StatusCode::CONFLICT, code, detail) }
            }
            FlowError::Later(_) | FlowError::Store(_) if kind == ErrorKind::Later => {
                let detail = format!("{detail}; nothing was lost: send it again under the same key");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            }
            FlowError::Later(_) | FlowError::Store(_) => {
                tracing::error!(%error, "a request failed");
                let detail =
                    "something is wrong on our side; the log has the details under this request's id";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
            }
        }
    }
}

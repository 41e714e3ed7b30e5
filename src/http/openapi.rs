//! `/openapi.json` and `/docs`: what the API is, for programs and for people, told by its own routes.

use super::{
    described::Output,
    docs,
    operation::{Operation, Schemas, Taken, says},
    routes::{Call, Routes, get},
};
use crate::domain::event::API_VERSION;
use axum::{
    Extension,
    body::Bytes,
    http::{HeaderName, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::json_schema;
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub(super) fn routes() -> Routes {
    Routes::about("About")
        .route("/openapi.json", get(openapi, says("Describe the API").text("This document.")))
        .route("/docs", get(page, says("Explain the API").text("The same for people.")))
}

/// The description of all routes, in both forms.
#[derive(Debug)]
pub(super) struct Document {
    json: Bytes,
    page: Bytes,
}

/// What each call takes, by its path and its method.
#[derive(Debug, Default)]
pub(super) struct Takes(Vec<(&'static str, &'static str, Taken)>);

impl Takes {
    pub(super) fn of(&self, path: &str, method: &Method) -> Option<Taken> {
        let is_it = |known: &str, by: &str| known == path && by.eq_ignore_ascii_case(method.as_str());
        self.0.iter().find(|(known, by, _)| is_it(known, by)).map(|(_, _, taken)| *taken)
    }

    pub(super) fn by(calls: &[Call]) -> Self {
        let mut schemas = Schemas::new();
        let taken = calls.iter().filter_map(|call| {
            let mut operation = Operation::new(call.path, &mut schemas);
            (call.describe)(&mut operation);
            Some((call.path, call.method, operation.taken()?))
        });
        Self(taken.collect())
    }
}

impl Document {
    pub(super) fn of(calls: &[Call]) -> Self {
        let told = describe(calls);
        Self { json: told.to_string().into(), page: docs::page(&told).into() }
    }
}

fn describe(calls: &[Call]) -> Value {
    let mut schemas = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    let mut tags: Vec<&str> = Vec::new();
    for call in calls {
        let mut operation = Operation::new(call.path, &mut schemas);
        (call.describe)(&mut operation);
        let told = operation.told(call.tag, &call.words, call.max_body_bytes);
        paths.entry(call.path).or_insert_with(|| json!({}))[call.method] = told;
        if !tags.contains(&call.tag) {
            tags.push(call.tag);
        }
    }
    let tags: Vec<_> = tags.into_iter().map(|name| json!({ "name": name })).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "dunlin",
            "version": API_VERSION,
            "summary": "A payment processor that is a job queue at heart.",
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas.kept(),
            "headers": {
                "Request-Id": {
                    "description": "Names the request in the log and in a problem.",
                    "required": true,
                    "schema": { "type": "string", "pattern": "^req_[0-9a-f]{32}$" },
                },
            },
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "An API key." },
                "x-api-key": {
                    "type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same API key.",
                },
            },
        },
    })
}

const ABOUT: &str = "\
Amounts are whole numbers in the currency's minor unit: 1250 is 12.50 EUR, and 1250 JPY is 1250 yen. Moments are \
in UTC. A field or a parameter that is not known is refused by name. Each problem has a `code` to act on, and a \
`detail` that says what to do.";

/// The document, as JSON.
#[derive(Debug)]
struct Described(Bytes);

impl IntoResponse for Described {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], self.0).into_response()
    }
}

impl Output for Described {
    fn describe(operation: &mut Operation<'_>) {
        let schema = json_schema!({ "type": "object", "required": ["openapi", "info", "paths"] });
        operation.tells_as(StatusCode::OK, "application/json", &schema);
    }
}

/// The document, as a page.
#[derive(Debug)]
struct Page(Bytes);

/// The page brings its own style, and loads nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let headers: [(HeaderName, &str); 4] = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
        ];
        (headers, self.0).into_response()
    }
}

impl Output for Page {
    fn describe(operation: &mut Operation<'_>) {
        operation.tells_as(StatusCode::OK, "text/html", &json_schema!({ "type": "string" }));
    }
}

async fn openapi(Extension(document): Extension<Arc<Document>>) -> Described {
    Described(document.json.clone())
}

async fn page(Extension(document): Extension<Arc<Document>>) -> Page {
    Page(document.page.clone())
}

//! One call of the API as its handler's types tell it: what it takes, who may make it, what it answers.

use super::problem::Problem;
use crate::domain::scope::Scope;
use axum::http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The schemas of all that is asked and told. What is told is kept by name, what is asked stands where it is asked.
#[derive(Debug)]
pub(super) struct Schemas {
    asked: SchemaGenerator,
    told: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.meta_schema = None;
                settings.definitions_path = "/components/schemas".into();
            })
        };
        Self {
            asked: settings().with(|settings| settings.inline_subschemas = true).for_deserialize().into(),
            told: settings().for_serialize().into(),
        }
    }

    /// What is kept by name.
    pub(super) fn kept(mut self) -> Map<String, Value> {
        self.told.take_definitions(true)
    }
}

/// What a call is in words, and which refusals are its own.
#[derive(Debug, Clone)]
pub(super) struct Words {
    summary: &'static str,
    text: &'static str,
    refusals: Vec<(StatusCode, &'static str)>,
}

/// A call in a few words, which are its name too.
pub(super) fn says(summary: &'static str) -> Words {
    Words { summary, text: "", refusals: Vec::new() }
}

impl Words {
    /// What a caller should know beside.
    pub(super) fn text(self, text: &'static str) -> Self {
        Self { text, ..self }
    }

    /// A refusal that no type tells of.
    pub(super) fn refuses(mut self, status: StatusCode, code: &'static str) -> Self {
        self.refusals.push((status, code));
        self
    }
}

#[derive(Debug)]
pub(super) struct Operation<'a> {
    path: &'static str,
    schemas: &'a mut Schemas,
    scope: Option<Scope>,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: BTreeMap<u16, Value>,
    problems: BTreeMap<u16, BTreeSet<&'static str>>,
    /// Headers that a success may have.
    headers: Map<String, Value>,
    /// Whether its callers follow no description of ours.
    foreign: bool,
}

/// What a call takes beside its path and its headers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    pub(super) body: bool,
    pub(super) query: bool,
}

impl<'a> Operation<'a> {
    pub(super) fn new(path: &'static str, schemas: &'a mut Schemas) -> Self {
        Self {
            path,
            schemas,
            scope: None,
            parameters: Vec::new(),
            body: None,
            answers: BTreeMap::new(),
            problems: BTreeMap::new(),
            headers: Map::new(),
            foreign: false,
        }
    }

    /// Its callers send what they like beside the body.
    pub(super) fn is_foreign(&mut self) {
        self.foreign = true;
    }

    /// What it takes; none where nobody is held to it.
    pub(super) fn taken(&self) -> Option<Taken> {
        let query = self.parameters.iter().any(|parameter| parameter["in"] == "query");
        let is_held = !self.foreign && self.path.starts_with("/v1/");
        is_held.then_some(Taken { body: self.body.is_some(), query })
    }

    pub(super) fn needs(&mut self, scope: Scope) {
        self.scope = Some(scope);
    }

    pub(super) fn refuses(&mut self, status: StatusCode, codes: &[&'static str]) {
        self.problems.entry(status.as_u16()).or_default().extend(codes);
    }

    /// The one thing that the path names; `shell` is a command that prints one.
    pub(super) fn names<T: JsonSchema>(&mut self, description: &str, shell: Option<&str>) {
        let name = self.path.split(['{', '}']).nth(1).unwrap_or_default();
        let mut parameter = json!({
            "name": name, "in": "path", "required": true, "description": description,
            "schema": self.schemas.asked.subschema_for::<T>(),
        });
        if let Some(shell) = shell {
            parameter["x-shell"] = shell.into();
        }
        self.parameters.push(parameter);
    }

    pub(super) fn takes_header(&mut self, name: &str, required: bool, description: &str, schema: &Value) {
        self.parameters.push(json!({
            "name": name, "in": "header", "required": required, "description": description, "schema": schema,
        }));
    }

    pub(super) fn takes_query<T: JsonSchema>(&mut self) {
        let schema = self.schemas.asked.subschema_for::<T>();
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, schema) in properties.into_iter().flatten() {
            let mut schema = schema.clone();
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            never_null(&mut schema);
            let mut parameter = json!({ "name": name, "in": "query", "required": false, "schema": schema });
            if let Some(description) = description {
                parameter["description"] = description;
            }
            self.parameters.push(parameter);
        }
    }

    pub(super) fn takes_body<T: JsonSchema>(&mut self) {
        let mut schema = self.schemas.asked.subschema_for::<T>();
        let examples = schema.remove("examples");
        let mut content = json!({ "schema": schema });
        if let Some(example) = examples.as_ref().and_then(|examples| examples.get(0)) {
            content["example"] = example.clone();
        }
        self.body = Some(json!({ "required": true, "content": { "application/json": content } }));
    }

    /// A header that a success may have.
    pub(super) fn may_tell(&mut self, header: &str, description: &str, schema: &Value) {
        self.headers.insert(header.to_owned(), json!({ "description": description, "schema": schema }));
    }

    pub(super) fn tells<T: JsonSchema>(&mut self, status: StatusCode) {
        let schema = self.schemas.told.subschema_for::<T>();
        self.tells_as(status, "application/json", &schema);
    }

    pub(super) fn tells_as(&mut self, status: StatusCode, kind: &str, schema: &Schema) {
        let reason = status.canonical_reason().unwrap_or_default();
        let answer = json!({ "description": reason, "content": { (kind): { "schema": schema } } });
        self.answers.insert(status.as_u16(), answer);
    }

    /// All of it, as OpenAPI says it.
    pub(super) fn told(mut self, tag: &str, words: &Words, max_body_bytes: Option<usize>) -> Value {
        for (status, code) in &words.refusals {
            self.refuses(*status, &[code]);
        }
        self.refuses(StatusCode::SERVICE_UNAVAILABLE, &["timeout"]);
        if let Some(Taken { body, .. }) = self.taken() {
            self.refuses(StatusCode::BAD_REQUEST, &["invalid_parameter"]);
            if !body {
                self.refuses(StatusCode::BAD_REQUEST, &["invalid_json", "json_too_deep", "body_cut_off"]);
                self.refuses(StatusCode::PAYLOAD_TOO_LARGE, &["body_too_large"]);
                let codes = &["invalid_field", "unknown_field", "duplicate_field"];
                self.refuses(StatusCode::UNPROCESSABLE_ENTITY, codes);
            }
        }
        let answers = self.all_answers();
        let text: Vec<_> = Some(words.text.to_owned())
            .into_iter()
            .chain(self.scope.map(|scope| format!("Needs the scope `{scope}`.")))
            .chain(
                self.body
                    .as_ref()
                    .and(max_body_bytes)
                    .map(|most| format!("The body has at most {most} bytes.")),
            )
            .filter(|part| !part.is_empty())
            .collect();
        let mut told = json!({
            "tags": [tag],
            "operationId": words.summary.to_lowercase().replace(' ', "_"),
            "summary": words.summary,
            "description": text.join(" "),
            "responses": answers,
            "security": security(self.scope),
        });
        if !self.parameters.is_empty() {
            told["parameters"] = self.parameters.into();
        }
        if let Some(body) = self.body {
            told["requestBody"] = body;
        }
        told
    }

    fn all_answers(&mut self) -> Map<String, Value> {
        let request_id = json!({ "$ref": "#/components/headers/Request-Id" });
        let mut answers = Map::new();
        for (status, mut answer) in std::mem::take(&mut self.answers) {
            let mut headers = self.headers.clone();
            headers.insert("Request-Id".to_owned(), request_id.clone());
            answer["headers"] = headers.into();
            answers.insert(status.to_string(), answer);
        }
        let problem = self.schemas.told.subschema_for::<Problem>();
        for (status, codes) in &self.problems {
            let reason = StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason());
            let own = json!({ "properties": { "status": { "const": status }, "code": { "enum": codes } } });
            answers.insert(
                status.to_string(),
                json!({
                    "description": reason.unwrap_or_default(),
                    "headers": problem_headers(*status, &request_id),
                    "content": { "application/problem+json": { "schema": { "allOf": [problem, own] } } },
                }),
            );
        }
        answers
    }
}

fn problem_headers(status: u16, request_id: &Value) -> Value {
    let mut headers = json!({ "Request-Id": request_id });
    match status {
        401 | 403 => headers["WWW-Authenticate"] = json!({ "schema": { "type": "string" } }),
        429 | 503 => {
            headers["Retry-After"] = json!({ "schema": { "type": "string", "pattern": "^[0-9]+$" } });
        }
        _ => {}
    }
    headers
}

/// Either header lets in; the scope stands where OpenAPI has room for what a key may do.
fn security(scope: Option<Scope>) -> Value {
    match scope {
        Some(scope) => json!([{ "bearer": [scope] }, { "x-api-key": [scope] }]),
        None => json!([]),
    }
}

/// A query says nothing by leaving out, never by `null`.
fn never_null(schema: &mut Value) {
    if schema.get("default") == Some(&Value::Null)
        && let Some(schema) = schema.as_object_mut()
    {
        schema.remove("default");
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
}

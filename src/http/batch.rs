//! `/v1/payments/batch`: many payments in one request, each with its own key and its own result (S2.8).

use super::{
    Api,
    caller::{Caller, PaymentsWrite},
    extract::{Body, check_key},
    json,
    operation::says,
    payments::not_made,
    problem::Problem,
    routes::{Routes, post},
    told::{Shown, Told},
    wishes::AllowDuplicate,
};
use crate::{
    domain::{event::View, payment::Payment},
    flow::payments::Request,
};
use axum::{extract::State, http::StatusCode};
use dunlin_jobs::NewPayment;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(super) fn routes() -> Routes {
    let create_says = says("Create many payments")
        .text("Each has its own key and its own result: what is wrong with one is told in its place.");
    Routes::about("Payments").route("/v1/payments/batch", post(create, create_says))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = examples())]
struct Batch {
    #[schemars(schema_with = "items")]
    payments: Vec<Value>,
}

/// Each item is a payment's fields and its key.
fn items(generator: &mut SchemaGenerator) -> Schema {
    let mut item = generator.subschema_for::<NewPayment>();
    item.remove("examples");
    if let Some(Value::Object(properties)) = item.get_mut("properties") {
        properties.insert(
            "idempotency_key".to_owned(),
            json!({ "type": "string", "minLength": 1, "maxLength": 255 }),
        );
    }
    if let Some(Value::Array(required)) = item.get_mut("required") {
        required.push("idempotency_key".into());
    }
    json_schema!({ "type": "array", "minItems": 1, "items": item })
}

fn examples() -> Value {
    let item = |key: &str| {
        let mut item = NewPayment::example();
        item["idempotency_key"] = key.into();
        item
    };
    json!({ "payments": [item("try-1"), item("try-2")] })
}

/// What became of each, in the order in which they came.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Batch")]
struct Results {
    #[schemars(extend("const" = "batch"))]
    object: &'static str,
    accepted: usize,
    refused: usize,
    data: Vec<Item>,
}

impl Shown for Results {
    type View<'a> = Self;
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "BatchItem")]
enum Item {
    Accepted {
        status: u16,
        /// The key was used before: this is what it made then.
        idempotent_replayed: bool,
        #[schemars(with = "View<'_>")]
        payment: Value,
    },
    Refused {
        status: u16,
        error: Problem,
    },
}

async fn create(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsWrite>,
    AllowDuplicate(allow_duplicate): AllowDuplicate,
    Body(batch): Body<Batch>,
) -> Result<Told<Results>, Problem> {
    let most = api.settings.max_batch_items;
    if batch.payments.is_empty() || batch.payments.len() > most {
        let detail = format!("send 1 to {most} payments at a time, not {}", batch.payments.len());
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", detail);
        return Err(problem.about("payments"));
    }
    let items = batch.payments.into_iter().map(|item| read(item, allow_duplicate));
    let (mut requests, mut readable) = (Vec::new(), Vec::new());
    for item in items {
        readable.push(item.map(|request| requests.push(request)));
    }
    let mut taken = api.flows.create_payments(owner, requests).await?.into_iter();
    let results: Vec<Result<(Payment, bool), Problem>> = readable
        .into_iter()
        .map(|item| {
            item?;
            let committed = taken.next().ok_or_else(not_made)??;
            Ok((committed.payment.ok_or_else(not_made)?, !committed.fresh))
        })
        .collect();
    let accepted = results.iter().filter(|result| result.is_ok()).count();
    let refused = results.len() - accepted;
    let data = results.into_iter().map(told).collect();
    Ok(Told::of(&Results { object: "batch", accepted, refused, data }))
}

/// One item; whatever is wrong with it is its own affair.
fn read(mut item: Value, allow_duplicate: bool) -> Result<Request, Problem> {
    let key = match item.as_object_mut().map(|fields| fields.remove("idempotency_key")) {
        Some(Some(Value::String(key))) => check_key(&key, "idempotency_key")?,
        Some(Some(_)) => {
            let detail = "the idempotency_key must be a text";
            let problem = Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_invalid", detail);
            return Err(problem.about("idempotency_key"));
        }
        Some(None) => {
            let detail = "each payment of a batch needs an idempotency_key of its own";
            let problem = Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_missing", detail);
            return Err(problem.about("idempotency_key"));
        }
        // What is no object is told so where it is read.
        None => String::new(),
    };
    let mut request = Request::under(key, json::part(item)?);
    request.allow_duplicate = allow_duplicate;
    Ok(request)
}

fn told(result: Result<(Payment, bool), Problem>) -> Item {
    match result {
        Ok((payment, idempotent_replayed)) => {
            Item::Accepted { status: 201, idempotent_replayed, payment: json!(View::from(&payment)) }
        }
        Err(error) => Item::Refused { status: error.status.as_u16(), error },
    }
}

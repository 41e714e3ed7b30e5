//! Many replicas: an API and workers in processes of their own, over one database.

mod owners;
mod redis;
mod roles;
mod rolling;

use crate::support::process::{Answer, Caller};
use serde_json::{Value, json};

/// What a customer pays with this card.
fn paid_by(card: &str) -> Value {
    json!({
        "amount": 1250, "currency": "EUR", "customer": "cus_1",
        "method": { "type": "card", "payment_method": card },
    })
}

/// Makes that many payments in one request.
async fn pay_many(caller: &Caller, count: usize) -> Vec<String> {
    let item = |n: usize| {
        let mut item = paid_by("pm_card_visa");
        item["idempotency_key"] = json!(format!("many-{n}"));
        item
    };
    let body = json!({ "payments": (0..count).map(item).collect::<Vec<_>>() });
    let answer = caller.post("/v1/payments/batch", None, &body).await;
    let made = answer.body["data"].as_array().unwrap();
    made.iter().map(|item| item["payment"]["id"].as_str().unwrap().to_owned()).collect()
}

/// Makes a payment under a key; it has to be taken.
async fn pay(caller: &Caller, key: &str, card: &str) -> String {
    let Answer { status, body, .. } = caller.post("/v1/payments", Some(key), &paid_by(card)).await;
    assert_eq!(status, 201, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

//! Many replicas: an API and workers in processes of their own, over one database.

mod roles;

use crate::support::process::{Answer, Caller};
use serde_json::{Value, json};

/// What a customer pays with this card.
fn paid_by(card: &str) -> Value {
    json!({
        "amount": 1250, "currency": "EUR", "customer": "cus_1",
        "method": { "type": "card", "payment_method": card },
    })
}

/// Makes a payment under a key; it has to be taken.
async fn pay(caller: &Caller, key: &str, card: &str) -> String {
    let Answer { status, body, .. } = caller.post("/v1/payments", Some(key), &paid_by(card)).await;
    assert_eq!(status, 201, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

//! `/v1/payments/batch`: each item for itself.

use super::{Api, assert_problem, payment};
use crate::support::{both, database::Database, process::captures};
use serde_json::{Value, json};

both! { a_batch_takes_what_it_can_and_says_what_it_cannot }

fn item(key: &str, method: &str) -> Value {
    let mut item = payment(method);
    item["idempotency_key"] = json!(key);
    item
}

async fn a_batch_takes_what_it_can_and_says_what_it_cannot(database: Database) {
    let api = Api::start(database, &[]);
    let mut zero = item("zero", "pm_card_visa");
    zero["amount"] = json!(0);
    let mut float = item("float", "pm_card_visa");
    float["amount"] = json!(12.5);
    let mut unknown = item("unknown", "pm_card_visa");
    unknown["colour"] = json!("red");
    let body = json!({ "payments": [
        item("a", "pm_card_visa"), zero, item("b", "pm_card_visa"), float, unknown, payment("pm_card_visa"),
        item("a", "pm_card_visa"), item("a", "pm_card_mastercard"), 5, [], { "idempotency_key": 7 },
        item("Rechnung Ü-1", "pm_card_visa"),
    ]});

    let first = api.caller.post("/v1/payments/batch", None, &body).await;
    let again = api.caller.post("/v1/payments/batch", None, &body).await;

    assert_eq!((first.status, again.status), (200, 200), "{}", first.body);
    let told: Vec<_> = first.body["data"].as_array().unwrap().iter().map(told).collect();
    let invalid = |param: &str| format!("422 invalid_field {param}");
    let expected = [
        "201 new".to_owned(),
        invalid("amount"),
        "201 new".to_owned(),
        invalid("amount"),
        "422 unknown_field colour".to_owned(),
        "400 idempotency_key_missing idempotency_key".to_owned(),
        "201 replayed".to_owned(),
        "422 idempotency_key_reused Idempotency-Key".to_owned(),
        invalid(""),
        invalid(""),
        "400 idempotency_key_invalid idempotency_key".to_owned(),
        "201 new".to_owned(),
    ];
    assert_eq!(told, expected);
    assert_eq!((&first.body["accepted"], &first.body["refused"]), (&json!(4), &json!(8)));
    for (one, two) in
        first.body["data"].as_array().unwrap().iter().zip(again.body["data"].as_array().unwrap())
    {
        assert_eq!(one["status"], two["status"]);
        assert_eq!(one["payment"]["id"], two["payment"]["id"]);
        assert_eq!(two["idempotent_replayed"], if two["status"] == 201 { json!(true) } else { json!(null) });
    }
    let payments = api.list("").await;
    assert_eq!(payments.len(), 3);
    for payment in payments {
        api.caller.wait_for(payment["id"].as_str().unwrap(), "succeeded").await;
    }
    assert!(captures(&api.serve.sandbox).await.into_values().eq([1, 1, 1]));
}

fn told(result: &Value) -> String {
    match result["error"]["code"].as_str() {
        Some(code) => {
            let param = result["error"]["param"].as_str().unwrap_or_default();
            format!("{} {code} {param}", result["status"])
        }
        None if result["idempotent_replayed"] == true => format!("{} replayed", result["status"]),
        None => format!("{} new", result["status"]),
    }
}

#[tokio::test]
async fn a_batch_has_one_to_a_thousand_items_and_nothing_else() {
    let api = Api::sqlite();
    let many: Vec<_> = (0..1001).map(|_| json!({})).collect();

    let none = api.caller.post("/v1/payments/batch", None, &json!({ "payments": [] })).await;
    let many = api.caller.post("/v1/payments/batch", None, &json!({ "payments": many })).await;
    let list = api.caller.post("/v1/payments/batch", None, &json!([item("a", "pm_card_visa")])).await;
    let more = api.caller.post("/v1/payments/batch", None, &json!({ "payments": [], "dry": 1 })).await;
    let large = "x".repeat(4 * 1024 * 1024);
    let large = api.caller.post("/v1/payments/batch", None, &json!({ "payments": [large] })).await;

    assert_problem(&none, 422, "invalid_field", Some("payments"));
    assert_problem(&many, 422, "invalid_field", Some("payments"));
    assert_problem(&list, 422, "invalid_field", None);
    assert_problem(&more, 422, "unknown_field", Some("dry"));
    assert_problem(&large, 413, "body_too_large", None);
    assert!(api.list("").await.is_empty());
}

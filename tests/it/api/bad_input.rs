//! Wrong content: each field is named, the remedy is told, and nothing is kept.

use super::{Api, assert_problem, payment};
use crate::support::{both, database::Database};
use serde_json::{Value, json};

both! { a_field_that_is_wrong_is_named_and_nothing_is_made }

/// A good payment with one field changed: what is changed, the code, the field that is named, a word of the remedy.
type Case = (&'static str, Value, &'static str, &'static str, &'static str);

fn amounts() -> Vec<Case> {
    let whole = "whole number of minor units";
    vec![
        ("amount", json!(0), "invalid_field", "amount", "more than 0"),
        ("amount", json!(-1250), "invalid_field", "amount", "more than 0"),
        ("amount", json!(12.5), "invalid_field", "amount", whole),
        ("amount", json!(1250.0), "invalid_field", "amount", whole),
        ("amount", json!("12.50"), "invalid_field", "amount", whole),
        ("amount", Value::Null, "invalid_field", "amount", whole),
        ("amount", json!([1250]), "invalid_field", "amount", whole),
        ("amount", json!(i64::MIN), "invalid_field", "amount", "too large"),
        ("amount", json!(i64::MAX), "invalid_field", "amount", "too large"),
        ("amount", json!(u64::MAX), "invalid_field", "amount", "too large"),
        ("amount", json!(9_007_199_254_740_992_i64), "invalid_field", "amount", "too large"),
        ("amount", json!(100_000_000), "invalid_field", "amount", "more than"),
    ]
}

fn fields() -> Vec<Case> {
    let card = |field: &str, value: Value| {
        let mut method = json!({ "type": "card", "payment_method": "pm_card_visa" });
        method[field] = value;
        method
    };
    let many: serde_json::Map<_, _> = (0..51).map(|n| (format!("k{n}"), json!("v"))).collect();
    vec![
        ("currency", json!("EURO"), "invalid_field", "currency", "ISO 4217"),
        ("currency", json!("XAU"), "invalid_field", "currency", "ISO 4217"),
        ("currency", json!(978), "invalid_field", "currency", "string"),
        ("currency", Value::Null, "invalid_field", "currency", "string"),
        ("colour", json!("red"), "unknown_field", "colour", "expected one of"),
        ("status", json!("succeeded"), "unknown_field", "status", "expected one of"),
        ("method", json!("pm_card_visa"), "invalid_field", "method", "object"),
        ("method", json!(["card", "pm_card_visa"]), "invalid_field", "method", "object"),
        ("method", json!({}), "invalid_field", "method.type", "missing"),
        ("method", json!({ "type": "card" }), "invalid_field", "method.payment_method", "missing"),
        ("method", card("type", json!("cash")), "invalid_field", "method.type", "expected `card`"),
        ("method", card("cvc", json!("123")), "unknown_field", "method.cvc", "expected"),
        ("method", card("payment_method", json!("")), "invalid_field", "method.payment_method", "empty"),
        (
            "method",
            card("payment_method", json!("a\u{0}b")),
            "invalid_field",
            "method.payment_method",
            "control",
        ),
        ("gateway", json!("nowhere"), "invalid_field", "gateway", "no gateway account"),
        ("customer", json!(""), "invalid_field", "customer", "empty"),
        ("customer", json!("  "), "invalid_field", "customer", "empty"),
        ("customer", json!("a\u{0}"), "invalid_field", "customer", "control"),
        ("customer", json!("a\nb"), "invalid_field", "customer", "control"),
        ("customer", json!("x".repeat(256)), "invalid_field", "customer", "255"),
        ("customer", json!(5), "invalid_field", "customer", "string"),
        ("reference", json!("x".repeat(256)), "invalid_field", "reference", "255"),
        ("description", json!("x".repeat(501)), "invalid_field", "description", "500"),
        ("description", json!("\u{7}"), "invalid_field", "description", "control"),
        ("metadata", json!(many), "invalid_field", "metadata", "50"),
        ("metadata", json!([]), "invalid_field", "metadata", "map"),
        ("metadata", json!({ "a": 1 }), "invalid_field", "metadata.a", "string"),
        ("metadata", json!({ "": "v" }), "invalid_field", "metadata", "1 to 40"),
        ("metadata", json!({ "x".repeat(41): "v" }), "invalid_field", "metadata", "1 to 40"),
        ("metadata", json!({ "a\u{0}": "v" }), "invalid_field", "metadata", "control"),
        ("metadata", json!({ "a": "v\u{0}" }), "invalid_field", "metadata.a", "control"),
        ("metadata", json!({ "a": "x".repeat(501) }), "invalid_field", "metadata.a", "500"),
    ]
}

async fn a_field_that_is_wrong_is_named_and_nothing_is_made(database: Database) {
    let api = Api::start(database, &[]);

    for (field, value, code, param, remedy) in amounts().into_iter().chain(fields()) {
        let mut body = payment("pm_card_visa");
        body[field] = value;
        let refused = api.create("a", &body).await;
        assert_problem(&refused, 422, code, Some(param));
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains(remedy), "{field}: {detail:?} should say {remedy:?}");
    }
    assert!(api.list("").await.is_empty());
    let good = api.create("a", &payment("pm_card_visa")).await;
    assert_eq!(good.status, 201, "none of the refused ones has kept the key");
}

#[tokio::test]
async fn amounts_follow_their_currency() {
    let api = Api::sqlite();
    let with = |amount: i64, currency: &str| {
        let mut body = payment("pm_card_visa");
        body["amount"] = json!(amount);
        body["currency"] = json!(currency);
        body
    };

    for (key, amount, currency) in [("a", 1251, "KWD"), ("b", 1250, "MGA"), ("c", 1_000_000, "ISK")] {
        let refused = api.create(key, &with(amount, currency)).await;
        assert_problem(&refused, 422, "invalid_field", Some("amount"));
    }
    assert!(api.list("").await.is_empty());
    for (key, amount, currency) in [("a", 1250, "KWD"), ("b", 100, "JPY"), ("c", 99_999_999, "eur")] {
        let taken = api.create(key, &with(amount, currency)).await;
        assert_eq!(taken.status, 201, "{}", taken.body);
        let id = super::id(&taken.body);
        assert_eq!(api.caller.wait_for(&id, "succeeded").await["amount"], amount);
    }
}

#[tokio::test]
async fn a_name_said_twice_is_refused() {
    let api = Api::sqlite();

    for (body, param) in [
        (r#"{"amount":1,"amount":2}"#, "amount"),
        (r#"{"amount":1,"metadata":{"a":"1","a":"2"}}"#, "metadata.a"),
        (r#"{"method":{"type":"card","type":"card"}}"#, "method.type"),
    ] {
        let refused = api.send(body).await;
        assert_problem(&refused, 422, "duplicate_field", Some(param));
    }
    let batch = r#"{"payments":[{"amount":1,"amount":2}]}"#;
    let request = |http: &reqwest::Client, url: &str| {
        http.post(format!("{url}/v1/payments/batch"))
            .bearer_auth(&api.serve.key)
            .header("content-type", "application/json")
            .body(batch)
    };
    assert_problem(&api.caller.raw(request).await, 422, "duplicate_field", Some("payments[0].amount"));
    for missing in ["amount", "currency", "method"] {
        let mut body = payment("pm_card_visa");
        body.as_object_mut().unwrap().remove(missing);
        assert_problem(&api.create("a", &body).await, 422, "invalid_field", Some(missing));
    }
    assert!(api.list("").await.is_empty());
}

#[tokio::test]
async fn text_of_every_script_comes_back_as_it_was_sent() {
    let api = Api::sqlite();
    let mut body = payment("pm_card_visa");
    body["description"] = json!("Käse 🧀 \u{202e}abc' OR 1=1; -- \\ \" <b>");
    body["reference"] = json!("x".repeat(255));
    body["metadata"] = json!({ "note": "two\nlines", "ключ": "值" });

    let made = api.create("a", &body).await;

    assert_eq!(made.status, 201, "{}", made.body);
    for field in ["description", "reference", "metadata"] {
        assert_eq!(made.body[field], body[field]);
    }
    assert_eq!(api.caller.wait_for(&super::id(&made.body), "succeeded").await["metadata"], body["metadata"]);
}

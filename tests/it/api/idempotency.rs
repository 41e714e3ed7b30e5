//! Keys: the same request again is the same payment, whatever its spelling; another request is refused.

use super::{Api, assert_problem, id, payment};
use crate::support::{both, database::Database};
use serde_json::json;

both! { the_same_request_again_answers_with_the_same_payment }

async fn the_same_request_again_answers_with_the_same_payment(database: Database) {
    let api = Api::start(database, &[]);
    let first = api.create("a", &payment("pm_card_visa")).await;
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let id = id(&first.body);
    let paid = api.caller.wait_for(&id, "succeeded").await;

    let again = api.create("a", &payment("pm_card_visa")).await;
    let other = api.create("a", &payment("pm_card_mastercard")).await;

    assert_eq!((again.status, &again.body), (201, &paid), "a replay tells how the payment is now");
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_problem(&other, 422, "idempotency_key_reused", Some("Idempotency-Key"));
    assert_eq!(other.body["payment"], json!(id));
    assert_eq!(api.list("").await.len(), 1);
    assert_eq!(api.captures(&id).await, 1);
}

#[tokio::test]
async fn a_refused_request_may_be_mended_and_sent_under_its_key() {
    let api = Api::sqlite();
    let mut wrong = payment("pm_card_visa");
    wrong["amount"] = json!(0);

    let refused = api.create("a", &wrong).await;
    let mended = api.create("a", &payment("pm_card_visa")).await;

    assert_problem(&refused, 422, "invalid_field", Some("amount"));
    assert_eq!(mended.status, 201, "{}", mended.body);
    assert!(!mended.headers.contains_key("idempotent-replayed"));
}

#[tokio::test]
async fn spacing_and_order_do_not_make_another_request() {
    let api = Api::sqlite();
    let one = r#"{"amount":1250,"currency":"EUR","metadata":{"a":"1","b":"2"},
        "method":{"type":"card","payment_method":"pm_card_visa"}}"#;
    let two = r#" {"method" : {"payment_method":"pm_card_visa","type":"card"},
        "metadata":{"b":"2","a":"\u0031"}, "customer":null, "currency":"eur", "amount":1250 } "#;

    let first = api.send(one).await;
    let second = api.send(two).await;
    let third = api.send(two.replace("1250", "1251")).await;

    assert_eq!((first.status, second.status), (201, 201), "{}", second.body);
    assert_eq!(id(&first.body), id(&second.body));
    assert_eq!(second.headers["idempotent-replayed"], "true");
    assert_problem(&third, 422, "idempotency_key_reused", Some("Idempotency-Key"));
}

#[tokio::test]
async fn a_key_must_be_there_once_and_printable() {
    let api = Api::sqlite();
    let body = payment("pm_card_visa");

    let missing = api.caller.post("/v1/payments", None, &body).await;
    let long = api.create(&"k".repeat(256), &body).await;
    let blank = api.create(" ", &body).await;
    let two = api.create_with("a", ("idempotency-key", "b"), &body).await;
    let most = api.create(&"k".repeat(255), &body).await;

    assert_problem(&missing, 400, "idempotency_key_missing", Some("Idempotency-Key"));
    for refused in [long, blank, two] {
        assert_problem(&refused, 400, "idempotency_key_invalid", Some("Idempotency-Key"));
    }
    assert_eq!(most.status, 201, "{}", most.body);
    assert_eq!(api.list("").await.len(), 1);
}

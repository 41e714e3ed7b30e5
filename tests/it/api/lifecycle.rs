//! What becomes of a payment: charged, declined and retried, canceled.

use super::{Api, assert_problem, id, payment};
use crate::support::{both, database::Database};
use serde_json::json;

both! { a_charge_succeeds_and_is_captured_once a_declined_charge_waits_and_then_succeeds }

async fn a_charge_succeeds_and_is_captured_once(database: Database) {
    let api = Api::start(database, &[]);

    let created = api.create("a", &payment("pm_card_visa")).await;

    assert_eq!(created.status, 201, "{}", created.body);
    assert!(created.headers.contains_key("request-id"));
    let id = id(&created.body);
    let paid = api.caller.wait_for(&id, "succeeded").await;
    assert_eq!((&paid["amount"], &paid["amount_received"]), (&json!(1250), &json!(1250)));
    assert_eq!(paid["failure"], json!(null));
    assert_eq!(api.captures(&id).await, 1);
}

async fn a_declined_charge_waits_and_then_succeeds(database: Database) {
    let api = Api::start(database, &[]);
    let id = api.pay("a", "pm_sandbox_insufficient_funds_2").await;

    let waiting = api.caller.wait_for(&id, "retrying").await;

    assert_eq!(waiting["failure"]["code"], "insufficient_funds", "{waiting}");
    let next = waiting["next_attempt_at"].as_str().unwrap();
    assert!(next > waiting["updated_at"].as_str().unwrap(), "{waiting}");
    let target = json!({ "to": next });
    let clock = api.caller.post("/v1/test_clock/advance", None, &target).await;
    assert_eq!(clock.status, 200, "{}", clock.body);
    let again = api.caller.get(&format!("/v1/payments/{id}")).await.body;
    assert_eq!((&again["status"], &again["attempt_count"]), (&json!("retrying"), &json!(2)), "{again}");
    assert_eq!(api.captures(&id).await, 0);

    api.advance(10 * 86_400).await;

    let paid = api.caller.get(&format!("/v1/payments/{id}")).await.body;
    assert_eq!((&paid["status"], &paid["next_attempt_at"]), (&json!("succeeded"), &json!(null)), "{paid}");
    assert_eq!(api.captures(&id).await, 1);
}

#[tokio::test]
async fn a_caller_may_wait_for_the_outcome() {
    let api = Api::sqlite();

    let answer = api.create_with("a", ("prefer", "wait=5"), &payment("pm_card_visa")).await;
    let declined =
        api.create_with("b", ("prefer", "wait=5"), &payment("pm_card_chargeDeclinedFraudulent")).await;
    let unsettled = api.create_with("c", ("prefer", "wait=0"), &payment("pm_sandbox_slow_400")).await;

    assert_eq!((answer.status, &answer.body["status"]), (201, &json!("succeeded")));
    assert_eq!(answer.headers["preference-applied"], "wait");
    assert_eq!((declined.status, &declined.body["status"]), (201, &json!("failed")));
    assert!(["pending", "processing"].contains(&unsettled.body["status"].as_str().unwrap()));
    api.caller.wait_for(&id(&unsettled.body), "succeeded").await;
}

#[tokio::test]
async fn a_canceled_payment_is_never_charged_again() {
    let api = Api::sqlite();
    let id = api.pay("a", "pm_sandbox_insufficient_funds_1").await;
    api.caller.wait_for(&id, "retrying").await;
    let cancel = format!("/v1/payments/{id}/cancel");

    let canceled = api.caller.post(&cancel, None, &json!({})).await;
    let again = api.caller.post(&cancel, None, &json!({})).await;

    assert_eq!((canceled.status, &canceled.body["status"]), (200, &json!("canceled")));
    assert_eq!((again.status, &again.body), (200, &canceled.body));
    assert_eq!(api.advance(60 * 86_400).await.status, 200);
    assert_eq!(api.caller.get(&format!("/v1/payments/{id}")).await.body, canceled.body);
    assert_eq!(api.captures(&id).await, 0);
}

#[tokio::test]
async fn a_paid_payment_cannot_be_canceled() {
    let api = Api::sqlite();
    let id = api.pay("a", "pm_card_visa").await;
    api.caller.wait_for(&id, "succeeded").await;

    let refused = api.caller.post(&format!("/v1/payments/{id}/cancel"), None, &json!({})).await;

    assert_problem(&refused, 409, "payment_not_cancelable", None);
    assert_eq!(refused.body["payment"], json!(id));
    assert_eq!(api.caller.get(&format!("/v1/payments/{id}")).await.body["status"], "succeeded");
}

#[tokio::test]
async fn the_test_clock_goes_forward_only() {
    let api = Api::sqlite();
    let before = api.caller.get("/v1/test_clock").await.body["now"].as_str().unwrap().to_owned();

    let moved = api.advance(86_400).await;

    assert_eq!(moved.status, 200, "{}", moved.body);
    assert!(moved.body["now"].as_str().unwrap() > before.as_str());
    for (body, param) in [
        (json!({ "to": before }), "to"),
        (json!({ "to": "2999-01-01T00:00:00Z" }), "to"),
        (json!({ "to": "+262142-01-01T00:00:00Z" }), "to"),
        (json!({ "to": "tomorrow" }), "to"),
        (json!({}), "to"),
        (json!({ "to": before, "by_s": 1 }), "to"),
        (json!({ "by_s": -1 }), "by_s"),
    ] {
        let refused = api.caller.post("/v1/test_clock/advance", None, &body).await;
        assert_problem(&refused, 422, "invalid_field", Some(param));
    }
}

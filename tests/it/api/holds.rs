//! `/v1/gateways`: an account is put on hold and released, and shows how it stands.

use super::{Api, assert_problem};
use crate::support::{both, database::Database};
use serde_json::{Value, json};

both! {
    an_account_is_held_and_released
    a_rejection_shows_the_gateways_own_code
}

async fn an_account_is_held_and_released(database: Database) {
    let api = Api::start(database, &[]);
    let gateway = async || api.caller.get("/v1/gateways").await.body["data"][0].clone();
    let active = gateway().await;

    let reason = json!({ "reason": "they work on it" });
    let held = api.caller.post("/v1/gateways/sandbox/hold", None, &reason).await;
    let payment = api.pay("a", "pm_card_visa").await;
    let shown = gateway().await;
    let waits = api.caller.get(&format!("/v1/payments/{payment}")).await;
    let unknown = api.caller.post("/v1/gateways/nobody/hold", None, &json!({})).await;
    let released = api.caller.post("/v1/gateways/sandbox/release", None, &json!({})).await;
    api.caller.wait_for(&payment, "succeeded").await;

    assert_eq!((&active["status"], &active["hold"]), (&json!("active"), &Value::Null));
    assert_eq!(held.status, 200, "{}", held.body);
    assert_eq!(shown, held.body);
    assert_eq!((&shown["status"], &shown["hold"]["reason"]), (&json!("on_hold"), &json!("person")));
    assert_eq!(shown["hold"]["detail"], "they work on it");
    assert_eq!(waits.body["status"], "pending");
    assert_problem(&unknown, 404, "not_found", None);
    assert_eq!((released.status, &released.body["status"]), (200, &json!("active")), "{}", released.body);
}

// S1.22
async fn a_rejection_shows_the_gateways_own_code(database: Database) {
    let api = Api::start(database, &[]);

    let unknown = api.pay("a", "pm_nobody_has_it").await;
    let waits = api.caller.wait_for(&unknown, "requires_action").await;

    assert_eq!(waits["failure"]["code"], "resource_missing", "{waits}");
    let message = waits["failure"]["message"].as_str().unwrap();
    assert!(message.contains("No such PaymentMethod") && message.ends_with("(payment_method)"), "{message}");
    assert_eq!(api.captures(&unknown).await, 0);
}

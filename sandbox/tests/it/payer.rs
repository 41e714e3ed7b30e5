//! Payers who pay an intent past the caller who made it.

use crate::caller::{Caller, bank, caller, charge};
use serde_json::json;

fn declined(caller: &Caller<'_>, card: &str) -> String {
    let answer = caller.create(&charge(card));
    answer.body["error"]["payment_intent"]["id"].as_str().unwrap().to_owned()
}

/// How many endpoints have still to be told of the latest success.
fn untold(caller: &Caller<'_>) -> i64 {
    let events = caller.get("/v1/events?limit=1&type=payment_intent.succeeded").body;
    events["data"][0]["pending_webhooks"].as_i64().unwrap()
}

#[test]
fn a_declined_intent_is_paid_once_and_told_of() {
    let bank = bank();
    let caller = caller(&bank);
    caller.post(
        "/v1/webhook_endpoints",
        "url=http://127.0.0.1:9/hook&enabled_events[]=payment_intent.succeeded",
    );
    let id = declined(&caller, "pm_card_chargeDeclinedInsufficientFunds");
    let wanted = json!({ "intent": id }).to_string();

    let paid = caller.post("/_sandbox/pay", &wanted);
    let again = caller.post("/_sandbox/pay", &wanted);

    assert_eq!((paid.status, &paid.body["status"]), (200, &json!("succeeded")));
    assert_eq!(
        (again.status, &again.body["error"]["code"]),
        (400, &json!("payment_intent_unexpected_state"))
    );
    assert_eq!(caller.captures(), 1);
    assert_eq!(untold(&caller), 1);
    let late = caller.confirm(&id, "payment_method=pm_card_visa");
    assert_eq!(late.body["error"]["payment_intent"]["latest_charge"], paid.body["latest_charge"]);
}

#[test]
fn a_payer_may_be_declined_and_their_events_lost() {
    let bank = bank();
    let caller = caller(&bank);
    caller.post(
        "/v1/webhook_endpoints",
        "url=http://127.0.0.1:9/hook&enabled_events[]=payment_intent.succeeded",
    );
    let id = declined(&caller, "pm_card_chargeDeclinedInsufficientFunds");
    let pay = |method: &str| {
        let wanted = json!({ "intent": id, "payment_method": method, "tell": false });
        caller.post("/_sandbox/pay", &wanted.to_string())
    };

    let refused = pay("pm_card_chargeDeclined");
    let paid = pay("pm_card_visa");

    assert_eq!(refused.body["status"], "requires_payment_method");
    assert_eq!(paid.body["status"], "succeeded");
    assert_eq!(untold(&caller), 0);
}

#[test]
fn what_nobody_made_is_not_paid() {
    let bank = bank();
    let caller = caller(&bank);

    assert_eq!(caller.post("/_sandbox/pay", &json!({ "intent": "pi_none" }).to_string()).status, 404);
    assert_eq!(caller.post("/_sandbox/pay", "intent=pi_none").status, 400);
}

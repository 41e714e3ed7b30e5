//! Payments that take their time: processing, and what becomes of them when the clock has moved.

use crate::caller::{Caller, START, bank, caller, charge};
use serde_json::json;

fn bank_debit(token: &str) -> String {
    format!("{}&payment_method_types[]=us_bank_account", charge(token))
}

fn names(caller: &Caller<'_>) -> Vec<String> {
    let events = caller.get("/v1/events?limit=100").body;
    let names = events["data"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap());
    names.rev().map(str::to_owned).collect()
}

#[test]
fn a_debit_is_processing_and_captured_when_its_time_has_come() {
    let bank = bank();
    let caller = caller(&bank);

    let created = caller.create(&charge("pm_sandbox_settles_after_60"));
    caller.travel(59);
    let (before, captures) = (caller.retrieve(&created.id()), caller.captures());
    caller.travel(60);
    let after = caller.retrieve(&created.id());

    assert_eq!((created.status, &created.body["status"]), (200, &"processing".into()));
    assert_eq!((&before.body["status"], captures), (&"processing".into(), 0.into()));
    assert_eq!((&after.body["status"], &after.body["amount_received"]), (&"succeeded".into(), &1000.into()));
    assert_eq!(after.body["latest_charge"], created.body["latest_charge"]);
    assert_eq!(caller.captures(), 1);
}

#[test]
fn a_debit_that_comes_back_fails_and_can_be_tried_again() {
    let bank = bank();
    let caller = caller(&bank);
    let created = caller.create(&charge("pm_sandbox_fails_after_60"));
    caller.travel(60);

    let failed = caller.retrieve(&created.id());
    let charge = caller.get(&format!("/v1/charges/{}", created.body["latest_charge"].as_str().unwrap())).body;
    let paid = caller.confirm(&created.id(), "payment_method=pm_card_visa");

    assert_eq!(failed.body["status"], "requires_payment_method");
    assert_eq!(failed.body["last_payment_error"]["code"], "payment_intent_payment_attempt_failed");
    assert_eq!(
        (&charge["status"], &charge["failure_code"]),
        (&"failed".into(), &"insufficient_funds".into())
    );
    assert_eq!(paid.body["status"], "succeeded");
    assert_eq!(caller.captures(), 1);
}

#[test]
fn what_is_processing_is_neither_confirmed_nor_canceled() {
    let bank = bank();
    let caller = caller(&bank);
    let id = caller.create(&bank_debit("pm_usBankAccount_processing")).id();
    caller.travel(1_000_000);

    let confirmed = caller.confirm(&id, "payment_method=pm_card_visa");
    let canceled = caller.post(&format!("/v1/payment_intents/{id}/cancel"), "");

    for refused in [confirmed, canceled] {
        assert_eq!(refused.body["error"]["code"], "payment_intent_unexpected_state");
        assert_eq!(refused.body["error"]["payment_intent"]["status"], "processing");
    }
    assert_eq!(caller.captures(), 0);
}

#[test]
fn each_account_says_why_its_debit_came_back() {
    let bank = bank();
    let caller = caller(&bank);
    let cases = [
        ("pm_usBankAccount_accountClosed", "account_closed"),
        ("pm_usBankAccount_noAccount", "no_account"),
        ("pm_usBankAccount_insufficientFunds", "insufficient_funds"),
        ("pm_usBankAccount_debitNotAuthorized", "debit_not_authorized"),
    ];
    let ids = cases.map(|(token, _)| caller.create(&bank_debit(token)).body["latest_charge"].clone());
    caller.travel(60);

    for (id, (token, code)) in ids.iter().zip(cases) {
        let charge = caller.get(&format!("/v1/charges/{}", id.as_str().unwrap())).body;
        assert_eq!(charge["failure_code"], code, "{token}");
        assert_eq!(charge["payment_method_details"]["type"], "us_bank_account");
    }
}

#[test]
fn a_method_must_fit_the_types_and_the_currency() {
    let bank = bank();
    let caller = caller(&bank);
    let euros = |body: String| body.replace("usd", "eur");

    let other_type =
        caller.create(&format!("{}&payment_method_types[]=card", charge("pm_usBankAccount_success")));
    let other_currency = caller.create(&euros(bank_debit("pm_usBankAccount_success")));
    let sepa =
        caller.create(&euros(format!("{}&payment_method_types[]=sepa_debit", charge("pm_success_de"))));
    let any = caller.create(&charge("pm_usBankAccount_success"));

    for refused in [other_type, other_currency] {
        assert_eq!(refused.status, 400);
        assert_eq!(refused.body["error"]["code"], "payment_intent_incompatible_payment_method");
    }
    assert_eq!(sepa.body["status"], "processing");
    assert_eq!(any.body["payment_method_types"], json!(["card", "us_bank_account"]));
}

#[test]
fn what_settles_in_one_leap_settles_in_its_order_and_at_its_time() {
    let bank = bank();
    let caller = caller(&bank);
    let late = caller.create(&charge("pm_sandbox_settles_after_90"));
    let soon = caller.create(&charge("pm_sandbox_settles_after_30"));

    caller.travel(1000);
    let captures = caller.get("/_sandbox/captures").body["captures"].clone();

    let expected = [(soon.id(), START + 30), (late.id(), START + 90)];
    for (capture, (intent, at)) in captures.as_array().unwrap().iter().zip(expected) {
        assert_eq!((&capture["intent"], &capture["at"]), (&intent.into(), &at.into()));
    }
}

#[test]
fn an_update_while_it_is_processing_is_kept_when_it_settles() {
    let bank = bank();
    let caller = caller(&bank);
    let id = caller.create(&format!("{}&metadata[a]=1", charge("pm_sandbox_settles_after_60"))).id();

    caller.post(&format!("/v1/payment_intents/{id}"), "metadata[b]=2&metadata[a]=");
    caller.travel(60);

    let settled = caller.retrieve(&id).body;
    assert_eq!((&settled["status"], &settled["metadata"]), (&"succeeded".into(), &json!({ "b": "2" })));
    assert_eq!(caller.captures(), 1);
}

#[test]
fn each_step_is_told_once() {
    let bank = bank();
    let caller = caller(&bank);
    caller.create(&charge("pm_sandbox_settles_after_60"));
    caller.travel(60);

    let expected = [
        "payment_intent.created",
        "charge.pending",
        "payment_intent.processing",
        "charge.succeeded",
        "payment_intent.succeeded",
    ];
    assert_eq!(names(&caller), expected);
}

//! Refunds: never more than was taken, each in the ledger, and some of them late or in vain.

use crate::caller::{Answer, Caller, START, answer, bank, caller, charge, other_caller};
use serde_json::json;

fn refund(caller: &Caller<'_>, body: &str) -> Answer {
    caller.post("/v1/refunds", body)
}

fn paid(caller: &Caller<'_>, card: &str) -> (String, String) {
    let intent = caller.create(&charge(card));
    (intent.id(), intent.body["latest_charge"].as_str().unwrap().to_owned())
}

#[test]
fn a_payment_is_refunded_in_parts_and_not_beyond() {
    let bank = bank();
    let caller = caller(&bank);
    let (intent, charge) = paid(&caller, "pm_card_visa");

    let part = refund(&caller, &format!("payment_intent={intent}&amount=400&reason=duplicate&metadata[a]=b"));
    let too_much = refund(&caller, &format!("payment_intent={intent}&amount=601"));
    let rest = refund(&caller, &format!("charge={charge}"));
    let nothing = refund(&caller, &format!("payment_intent={intent}"));

    assert_eq!((&part.body["amount"], &part.body["status"]), (&400.into(), &"succeeded".into()));
    assert_eq!((&part.body["charge"], &part.body["payment_intent"]), (&json!(charge), &json!(intent)));
    assert_eq!(too_much.body["error"]["param"], "amount");
    assert_eq!(rest.body["amount"], 600);
    assert_eq!((nothing.status, &nothing.body["error"]["code"]), (400, &"charge_already_refunded".into()));
    let charge = caller.get(&format!("/v1/charges/{charge}")).body;
    assert_eq!((&charge["amount_refunded"], &charge["refunded"]), (&1000.into(), &true.into()));
}

#[test]
fn every_refund_is_a_line_of_the_ledger() {
    let bank = bank();
    let caller = caller(&bank);
    let (intent, charge) = paid(&caller, "pm_card_visa");
    let body = format!("payment_intent={intent}&amount=400&metadata[a]=b");

    let first = answer(caller.send("POST", "/v1/refunds", Some("k1"), &body));
    let again = answer(caller.send("POST", "/v1/refunds", Some("k1"), &body));

    assert!(again.is_replay());
    let line = json!({
        "seq": 1, "refund": first.id(), "charge": charge, "intent": intent, "direction": "out", "amount": 400,
        "currency": "usd", "metadata": { "a": "b" }, "idempotency_key": "k1", "account": "irst", "at": START,
    });
    assert_eq!(caller.get("/_sandbox/refunds").body, json!({ "refunds": [line], "has_more": false }));
    let ledger = caller.get("/_sandbox/ledger").body;
    assert_eq!((&ledger["refunds"], &ledger["refunded"]), (&1.into(), &json!({ "usd": 400 })));
}

#[test]
fn a_pending_refund_succeeds_later() {
    let bank = bank();
    let caller = caller(&bank);
    let (intent, _) = paid(&caller, "pm_card_pendingRefund");

    let pending = refund(&caller, &format!("payment_intent={intent}"));
    caller.travel(60);
    let settled = caller.get(&format!("/v1/refunds/{}", pending.id()));

    assert_eq!((&pending.body["status"], &settled.body["status"]), (&"pending".into(), &"succeeded".into()));
    assert_eq!(caller.get("/_sandbox/ledger").body["refunded"], json!({ "usd": 1000 }));
}

#[test]
fn a_refund_that_fails_brings_the_money_back_and_can_be_made_again() {
    let bank = bank();
    let caller = caller(&bank);
    let (intent, charge) = paid(&caller, "pm_card_refundFail");

    let made = refund(&caller, &format!("payment_intent={intent}"));
    caller.travel(60);
    let failed = caller.get(&format!("/v1/refunds/{}", made.id()));
    let ledger = caller.get("/_sandbox/ledger").body;
    let again = refund(&caller, &format!("payment_intent={intent}"));

    assert_eq!((&made.body["status"], &failed.body["status"]), (&"succeeded".into(), &"failed".into()));
    assert_eq!((&ledger["refunds"], &ledger["refunded"]), (&2.into(), &json!({ "usd": 0 })));
    assert_eq!(again.status, 200);
    assert_eq!(caller.get(&format!("/v1/charges/{charge}")).body["amount_refunded"], 1000);
}

#[test]
fn what_was_not_taken_is_not_given_back() {
    let bank = bank();
    let caller = caller(&bank);
    let declined = caller.create(&charge("pm_card_chargeDeclined")).body["error"]["payment_intent"].clone();
    let processing = caller.create(&charge("pm_sandbox_settles_after_60")).id();

    let bodies = [
        format!("payment_intent={}", declined["id"].as_str().unwrap()),
        format!("charge={}", declined["latest_charge"].as_str().unwrap()),
        format!("payment_intent={processing}"),
        String::new(),
        "amount=5".to_owned(),
    ];

    for body in bodies {
        assert_eq!(refund(&caller, &body).status, 400, "{body}");
    }
    assert_eq!(refund(&caller, "charge=ch_none").status, 404);
    assert_eq!(caller.get("/_sandbox/ledger").body["refunds"], 0);
}

#[test]
fn nobody_refunds_for_another_account() {
    let bank = bank();
    let (intent, charge) = paid(&caller(&bank), "pm_card_visa");
    let other = other_caller(&bank);

    for body in [format!("payment_intent={intent}"), format!("charge={charge}")] {
        assert_eq!(refund(&other, &body).status, 404);
    }
    assert_eq!(other.get(&format!("/v1/charges/{charge}")).status, 404);
}

#[test]
fn refunds_and_charges_are_listed_by_what_they_belong_to() {
    let bank = bank();
    let caller = caller(&bank);
    let (first, charge) = paid(&caller, "pm_card_visa");
    let (second, _) = paid(&caller, "pm_card_visa");
    let one = refund(&caller, &format!("payment_intent={first}&amount=1")).id();
    let two = refund(&caller, &format!("charge={charge}&amount=2")).id();
    let three = refund(&caller, &format!("payment_intent={second}&amount=3")).id();
    let ids = |target: &str| -> Vec<String> {
        let page = caller.get(target).body;
        page["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    };

    assert_eq!(ids("/v1/refunds"), [three.clone(), two.clone(), one.clone()]);
    assert_eq!(ids(&format!("/v1/refunds?payment_intent={first}")), [two.clone(), one.clone()]);
    assert_eq!(ids(&format!("/v1/refunds?charge={charge}&limit=1")), [two]);
    assert_eq!(ids(&format!("/v1/refunds?payment_intent={second}&charge={charge}")), Vec::<String>::new());
    assert_eq!(ids(&format!("/v1/charges?payment_intent={first}")), [charge]);
}

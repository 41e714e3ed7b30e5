//! What others do at the gateway: disputes and refunds by the dashboard, warnings of fraud, renewed cards; each with its
//! events and its part in the ledger.

use crate::caller::{Answer, Caller, bank, caller, charge};
use serde_json::{Value, json};

fn paid(caller: &Caller<'_>, card: &str) -> String {
    caller.create(&charge(card)).body["latest_charge"].as_str().unwrap().to_owned()
}

fn admin(caller: &Caller<'_>, path: &str, body: &Value) -> Answer {
    caller.post(&format!("/_sandbox/{path}"), &body.to_string())
}

/// The types of the account's events, oldest first, but for those of its intents and charges.
fn events(caller: &Caller<'_>) -> Vec<String> {
    let told = caller.get("/v1/events?limit=100").body;
    let names =
        told["data"].as_array().unwrap().iter().rev().map(|event| event["type"].as_str().unwrap().to_owned());
    names.filter(|name| !name.starts_with("payment_intent.") && name != "charge.succeeded").collect()
}

fn disputed(caller: &Caller<'_>) -> Value {
    caller.get("/_sandbox/ledger").body["disputed"].clone()
}

#[test]
fn a_dispute_takes_the_money_back_and_a_won_one_returns_it() {
    let bank = bank();
    let caller = caller(&bank);
    let charge = paid(&caller, "pm_card_visa");

    let made = admin(&caller, "disputes", &json!({ "charge": charge, "amount": 600 }));
    let refused = caller.post("/v1/refunds", &format!("charge={charge}&amount=100"));
    let taken = disputed(&caller);
    let under_review =
        caller.post(&format!("/v1/disputes/{}", made.id()), "evidence[uncategorized_text]=see");
    let won = admin(&caller, &format!("disputes/{}", made.id()), &json!({ "status": "won" }));

    assert_eq!((&made.body["status"], &made.body["charge"]), (&"needs_response".into(), &json!(charge)));
    assert_eq!((refused.status, &refused.body["error"]["code"]), (400, &"charge_disputed".into()));
    assert_eq!((taken, disputed(&caller)), (json!({ "usd": 600 }), json!({ "usd": 0 })));
    assert_eq!((&under_review.body["status"], &won.body["status"]), (&"under_review".into(), &"won".into()));
    assert_eq!(caller.get(&format!("/v1/charges/{charge}")).body["disputed"], true);
    let created = ["charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.updated"];
    let closed = ["charge.dispute.closed", "charge.dispute.funds_reinstated"];
    assert_eq!(events(&caller), [&created[..], &closed].concat());
    assert_eq!(caller.post("/v1/refunds", &format!("charge={charge}")).body["amount"], 1000);
}

#[test]
fn a_dispute_that_is_given_in_to_is_lost_and_takes_no_more_evidence() {
    let bank = bank();
    let caller = caller(&bank);
    let charge = paid(&caller, "pm_card_visa");
    let made = admin(&caller, "disputes", &json!({ "charge": charge })).id();

    let lost = caller.post(&format!("/v1/disputes/{made}/close"), "");
    let late = caller.post(&format!("/v1/disputes/{made}"), "evidence[uncategorized_text]=see");

    assert_eq!((&lost.body["status"], late.status), (&"lost".into(), 400));
    assert_eq!(disputed(&caller), json!({ "usd": 1000 }));
    assert_eq!(
        caller.post("/v1/refunds", &format!("charge={charge}")).body["error"]["code"],
        "charge_disputed"
    );
}

#[test]
fn an_inquiry_takes_nothing_and_lets_a_refund_through() {
    let bank = bank();
    let caller = caller(&bank);
    let charge = paid(&caller, "pm_card_createDisputeInquiry");

    let listed = caller.get(&format!("/v1/disputes?charge={charge}")).body;

    assert_eq!(
        (&listed["data"][0]["status"], disputed(&caller)),
        (&"warning_needs_response".into(), json!({ "usd": 0 }))
    );
    assert_eq!(caller.post("/v1/refunds", &format!("charge={charge}")).status, 200);
}

#[test]
fn a_test_card_brings_its_dispute_and_evidence_decides_it() {
    let bank = bank();
    let caller = caller(&bank);
    let (first, second) =
        (paid(&caller, "pm_card_createDispute"), paid(&caller, "pm_card_createDisputeProductNotReceived"));

    let dispute = |charge: &str| caller.get(&format!("/v1/disputes?charge={charge}")).body["data"][0].clone();
    let path = |charge: &str| format!("/v1/disputes/{}", dispute(charge)["id"].as_str().unwrap());
    let won = caller.post(&path(&first), "evidence[uncategorized_text]=winning_evidence");
    let lost = caller.post(&path(&second), "evidence[uncategorized_text]=losing_evidence");

    assert_eq!(dispute(&second)["reason"], "product_not_received");
    assert_eq!((&won.body["status"], &lost.body["status"]), (&"won".into(), &"lost".into()));
    assert_eq!(caller.get("/v1/disputes").body["data"].as_array().unwrap().len(), 2);
}

#[test]
fn the_dashboard_gives_back_what_is_left_and_a_bank_may_return_it() {
    let bank = bank();
    let caller = caller(&bank);
    let charge = paid(&caller, "pm_card_visa");

    let made = admin(&caller, "refunds", &json!({ "charge": charge, "amount": 400 }));
    let too_much = admin(&caller, "refunds", &json!({ "charge": charge, "amount": 601 }));
    let failed = admin(&caller, &format!("refunds/{}", made.id()), &json!({ "status": "failed" }));

    assert_eq!((&made.body["amount"], &made.body["metadata"]), (&400.into(), &json!({})));
    assert_eq!((too_much.status, &failed.body["status"]), (400, &"failed".into()));
    assert_eq!(caller.get("/_sandbox/ledger").body["refunded"], json!({ "usd": 0 }));
    assert_eq!(events(&caller), ["refund.created", "charge.refunded", "refund.failed"]);
    assert_eq!(caller.get(&format!("/v1/refunds?charge={charge}")).body["data"].as_array().unwrap().len(), 1);
}

#[test]
fn a_warning_of_fraud_and_a_renewed_card_are_told() {
    let bank = bank();
    let caller = caller(&bank);
    let charge = paid(&caller, "pm_card_visa");
    let method = caller.post("/v1/payment_methods/pm_card_visa/attach", "customer=cus_1").id();

    let warning = admin(&caller, "warnings", &json!({ "charge": charge }));
    let renewed = admin(&caller, "card_updates", &json!({ "payment_method": method }));

    assert_eq!(
        (&warning.body["object"], &warning.body["charge"]),
        (&"radar.early_fraud_warning".into(), &json!(charge))
    );
    assert_eq!(renewed.body["card"]["exp_year"], 2041);
    let listed = caller.get(&format!("/v1/radar/early_fraud_warnings?charge={charge}")).body;
    assert_eq!(listed["data"][0]["id"], warning.body["id"]);
    assert_eq!(
        events(&caller)[1..],
        ["radar.early_fraud_warning.created", "payment_method.automatically_updated"]
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    let bank = bank();
    let caller = caller(&bank);

    for (path, body) in [
        ("refunds", json!({ "charge": "ch_none" })),
        ("refunds/re_none", json!({ "status": "failed" })),
        ("disputes", json!({})),
        ("disputes/du_none", json!({ "status": "won" })),
        ("warnings", json!({ "charge": "ch_none" })),
        ("card_updates", json!({ "payment_method": "pm_none" })),
    ] {
        assert!((400..500).contains(&admin(&caller, path, &body).status), "{path}");
    }
}

//! Orders for faults: which requests they are given to, how often, and what is shown of them.

use crate::caller::{answer, bank, caller, charge};
use dunlin_sandbox::Outcome;
use serde_json::json;

#[test]
fn an_order_is_given_as_often_as_it_says_and_then_gone() {
    let bank = bank();
    let caller = caller(&bank);
    caller.order(r#"{"fault": "cut_before", "times": 2}"#);

    let outcomes = ["k1", "k2", "k3"].map(|key| caller.create_under(key, &charge("pm_card_visa")));

    assert_eq!(outcomes[..2], [Outcome::Cut, Outcome::Cut]);
    assert_eq!(answer(outcomes[2].clone()).status, 200);
    let shown = caller.get("/_sandbox/faults").body;
    assert_eq!(shown, json!({ "orders": [], "rate": null, "given": { "cut_before": 2 } }));
}

#[test]
fn an_order_without_a_number_holds_until_it_is_cleared() {
    let bank = bank();
    let caller = caller(&bank);
    let shown = caller.order(r#"{"fault": "late_5"}"#).body;
    assert_eq!(shown, json!({ "orders": [{ "fault": "late_5" }], "rate": null, "given": {} }));
    let is_late = |key| matches!(caller.create_under(key, &charge("pm_card_visa")), Outcome::Late(..));

    assert!(is_late("k1") && is_late("k2"));
    caller.send("DELETE", "/_sandbox/faults", None, "");

    assert!(!is_late("k3"));
}

#[test]
fn an_order_chooses_by_operation_metadata_customer_card_and_key() {
    let choices = [
        r#""method": "confirm""#,
        r#""method": ["cancel", "confirm"]"#,
        r#""metadata": {"order": "o-1"}"#,
        r#""customer": "cus_1""#,
        r#""payment_method": "pm_card_mastercard""#,
        r#""idempotency_key": "k2""#,
    ];

    for choice in choices {
        let bank = bank();
        let caller = caller(&bank);
        caller.order(&format!(r#"{{"fault": "cut_before", {choice}}}"#));
        let other = answer(caller.create_under("k0", &charge("pm_card_visa")));
        let id = {
            caller.send("DELETE", "/_sandbox/faults", None, "");
            let id = caller.create("amount=1000&currency=usd&customer=cus_1&metadata[order]=o-1").id();
            caller.order(&format!(r#"{{"fault": "cut_before", {choice}}}"#));
            id
        };
        let path = format!("/v1/payment_intents/{id}/confirm");
        let chosen = caller.send("POST", &path, Some("k2"), "payment_method=pm_card_mastercard");

        assert_eq!(other.status, 200, "{choice}");
        assert_eq!(chosen, Outcome::Cut, "{choice}");
    }
}

#[test]
fn queries_meet_faults_only_where_they_are_named() {
    let bank = bank();
    let caller = caller(&bank);
    caller.order(r#"{"fault": "cut_before"}"#);
    assert_eq!(caller.list("").status, 200);

    caller.order(r#"{"fault": "error_before", "method": ["list", "retrieve"]}"#);

    assert_eq!(caller.list("").status, 500);
    assert_eq!(caller.retrieve("pi_none").status, 500);
}

#[test]
fn revoked_credentials_are_refused_by_every_call() {
    let bank = bank();
    let caller = caller(&bank);
    caller.order(r#"{"fault": "revoked"}"#);

    assert_eq!(caller.list("").status, 401);
    assert_eq!(caller.retrieve("pi_none").status, 401);
    assert_eq!(caller.create(&charge("pm_card_visa")).status, 401);
    assert_eq!(caller.captures(), 0);
}

#[test]
fn a_replay_meets_faults_too() {
    let bank = bank();
    let caller = caller(&bank);
    caller.create_under("k1", &charge("pm_card_visa"));
    caller.order(r#"{"fault": "cut_after", "times": 1}"#);

    let cut = caller.create_under("k1", &charge("pm_card_visa"));
    let replay = answer(caller.create_under("k1", &charge("pm_card_visa")));

    assert_eq!(cut, Outcome::Cut);
    assert!(replay.is_replay());
    assert_eq!(caller.captures(), 1);
}

#[test]
fn a_rate_repeats_itself_under_the_same_seed() {
    let run = |seed: u64| -> Vec<Outcome> {
        let bank = bank();
        let caller = caller(&bank);
        let menu = r#"["cut_before", "cut_after", "error_masked", "late_10"]"#;
        caller.order(&format!(r#"{{"seed": {seed}, "rate": 0.5, "menu": {menu}}}"#));
        (0..40).map(|key| caller.create_under(&format!("k{}", key % 20), &charge("pm_card_visa"))).collect()
    };

    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn an_order_that_makes_no_sense_is_refused() {
    let orders = [
        "",
        "[]",
        "{}",
        r#"{"fault": "none"}"#,
        r#"{"fault": "cut_after", "colour": "red"}"#,
        r#"{"fault": "cut_after", "times": -1}"#,
        r#"{"fault": "cut_after", "method": "steal"}"#,
        r#"{"fault": "refuse_connect", "times": 1}"#,
        r#"{"seed": 7, "rate": 1.5, "menu": ["cut_after"]}"#,
        r#"{"seed": 7, "rate": 0.1, "menu": []}"#,
        r#"{"seed": 7, "rate": 0.1, "menu": ["none"]}"#,
    ];
    let bank = bank();

    for order in orders {
        assert_eq!(caller(&bank).order(order).status, 400, "{order}");
    }
    assert_eq!(caller(&bank).get("/_sandbox/faults").body["orders"], json!([]));
}

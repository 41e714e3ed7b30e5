//! The judge's side: the ledger counts every capture, and the clock only goes forward.

use crate::caller::{START, answer, bank, caller, charge, other_caller};
use serde_json::json;

#[test]
fn the_ledger_adds_up_by_currency() {
    let bank = bank();
    let caller = caller(&bank);
    caller.create(&charge("pm_card_visa"));
    caller.create(&charge("pm_card_visa"));
    caller.create(&charge("pm_card_visa").replace("usd", "eur"));
    caller.create(&charge("pm_card_visa_chargeDeclined"));

    let ledger = caller.get("/_sandbox/ledger").body;

    let captured = json!({ "usd": 2000, "eur": 1000 });
    let expected = json!({
        "captures": 3, "intents": 4, "captured": captured, "refunds": 0, "refunded": {}, "disputes": 0,
        "disputed": {},
    });
    assert_eq!(ledger, expected);
}

#[test]
fn a_capture_says_what_it_was_for() {
    let bank = bank();
    let body = format!("{}&customer=cus_1&metadata[order]=o-1", charge("pm_card_visa"));
    let intent = answer(caller(&bank).create_under("k1", &body)).body;

    let captures = caller(&bank).get("/_sandbox/captures").body;

    let expected = json!({
        "seq": 1, "intent": intent["id"], "charge": intent["latest_charge"], "amount": 1000, "currency": "usd",
        "customer": "cus_1", "metadata": { "order": "o-1" }, "idempotency_key": "k1", "account": "irst", "at": START,
    });
    assert_eq!(captures, json!({ "captures": [expected], "has_more": false }));
}

#[test]
fn captures_are_read_in_pages_across_accounts() {
    let bank = bank();
    caller(&bank).create(&charge("pm_card_visa"));
    other_caller(&bank).create(&charge("pm_card_visa"));
    caller(&bank).create(&charge("pm_card_visa"));
    let page = |query: &str| caller(&bank).get(&format!("/_sandbox/captures?{query}")).body;
    let seqs = |page: &serde_json::Value| -> Vec<u64> {
        page["captures"].as_array().unwrap().iter().map(|capture| capture["seq"].as_u64().unwrap()).collect()
    };

    let (first, second, beyond) = (page("limit=2"), page("after=2&limit=2"), page("after=9"));

    assert_eq!((seqs(&first), &first["has_more"]), (vec![1, 2], &true.into()));
    assert_eq!((seqs(&second), &second["has_more"]), (vec![3], &false.into()));
    assert_eq!((seqs(&beyond), &beyond["has_more"]), (vec![], &false.into()));
}

#[test]
fn a_page_of_captures_has_a_limit() {
    let bank = bank();

    for query in ["limit=0", "limit=10001", "after=-1", "page=1"] {
        assert_eq!(caller(&bank).get(&format!("/_sandbox/captures?{query}")).status, 400, "{query}");
    }
    assert_eq!(caller(&bank).get("/_sandbox/captures?limit=10000").status, 200);
}

#[test]
fn the_clock_moves_what_is_created_and_never_goes_back() {
    let bank = bank();
    let caller = caller(&bank);

    let moved = caller.travel(3600);
    let created = caller.create("amount=100&currency=usd").body["created"].clone();
    let refused = caller.travel(3599);

    assert_eq!(moved.body, json!({ "now": START + 3600, "offset_seconds": 3600 }));
    assert_eq!(created, START + 3600);
    assert_eq!(refused.status, 409);
    assert_eq!(caller.get("/_sandbox/clock").body["offset_seconds"], 3600);
}

#[test]
fn a_clock_that_is_set_wrongly_stays() {
    let bank = bank();

    for body in ["", "{}", "{\"offset_seconds\": 1.5}", "{\"offset_seconds\": 9223372036854775807}"] {
        assert_eq!(caller(&bank).post("/_sandbox/clock", body).status, 400, "{body}");
    }
    assert_eq!(caller(&bank).get("/_sandbox/clock").body["offset_seconds"], 0);
}

#[test]
fn the_bank_says_that_it_is_well() {
    let bank = bank();

    assert_eq!(caller(&bank).get("/_sandbox/health").status, 200);
    assert_eq!(caller(&bank).get("/_sandbox/elsewhere").status, 404);
}

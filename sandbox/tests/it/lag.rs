//! Lists that are behind the books.

use crate::caller::{Answer, bank, caller, charge};

fn count(answer: &Answer) -> usize {
    answer.body["data"].as_array().unwrap().len()
}

#[test]
fn a_list_lags_as_long_as_it_is_told_to_and_retrieving_does_not() {
    let bank = bank();
    let caller = caller(&bank);
    caller.post("/_sandbox/lag", r#"{"listing_seconds": 900}"#);

    let id = caller.create(&charge("pm_card_visa")).id();
    let at_once = caller.list("");
    caller.travel(899);
    let too_early = caller.list("");
    caller.travel(900);
    let in_time = caller.list("");

    assert_eq!((count(&at_once), count(&too_early), count(&in_time)), (0, 0, 1));
    assert_eq!(caller.retrieve(&id).body["status"], "succeeded");
}

#[test]
fn a_list_that_lags_shows_intents_as_they_were() {
    let bank = bank();
    let caller = caller(&bank);
    caller.post("/_sandbox/lag", r#"{"listing_seconds": 100}"#);
    let id = caller.create("amount=1000&currency=usd&customer=cus_1").id();
    let seen = || caller.list("customer=cus_1").body["data"][0]["status"].clone();

    caller.travel(150);
    caller.confirm(&id, "payment_method=pm_card_visa");
    caller.travel(200);
    let before = seen();
    caller.travel(250);
    let after = seen();

    assert_eq!((before, after), ("requires_payment_method".into(), "succeeded".into()));
}

#[test]
fn an_unlisted_intent_is_listed_in_its_time_and_hides_no_other() {
    let bank = bank();
    let caller = caller(&bank);
    caller.create(&charge("pm_card_visa"));
    caller.create_under("k1", &charge("pm_sandbox_unlisted_300"));
    caller.create(&charge("pm_card_visa"));

    let before = count(&caller.list(""));
    caller.travel(300);
    let after = count(&caller.list(""));

    assert_eq!((before, after), (2, 3));
    assert_eq!(caller.captures(), 3);
}

#[test]
fn a_lag_has_limits_and_keeps_what_is_not_named() {
    let bank = bank();
    let caller = caller(&bank);

    for body in ["", r#"{"listing_seconds": 901}"#, r#"{"search_seconds": -1}"#, r#"{"seconds": 1}"#] {
        assert_eq!(caller.post("/_sandbox/lag", body).status, 400, "{body}");
    }
    caller.post("/_sandbox/lag", r#"{"listing_seconds": 7}"#);

    let shown = caller.get("/_sandbox/lag").body;
    assert_eq!(shown, serde_json::json!({ "listing_seconds": 7, "search_seconds": 60 }));
}

//! Idempotency keys: the same question gets the same answer, another question gets none.

use crate::caller::{answer, bank, caller, charge, other_caller};

const DAY: i64 = 86_400;

#[test]
fn the_same_request_under_the_same_key_is_executed_once() {
    let bank = bank();
    let caller = caller(&bank);
    let turned = "payment_method=pm_card_visa&confirm=true&currency=usd&amount=1000";

    let first = answer(caller.create_under("k1", &charge("pm_card_visa")));
    let second = answer(caller.create_under("k1", turned));

    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(first.reply.body, second.reply.body);
    assert_eq!((first.is_replay(), second.is_replay()), (false, true));
    assert_eq!(second.reply.header("idempotency-key"), Some("k1"));
    assert_eq!(caller.captures(), 1);
}

#[test]
fn a_decline_is_replayed_as_it_was_although_the_intent_went_on() {
    let bank = bank();
    let caller = caller(&bank);
    let body = charge("pm_card_visa_chargeDeclined");

    let first = answer(caller.create_under("k1", &body));
    let id = first.body["error"]["payment_intent"]["id"].as_str().unwrap().to_owned();
    let paid = caller.confirm(&id, "payment_method=pm_card_visa");
    let second = answer(caller.create_under("k1", &body));

    assert_eq!(paid.body["status"], "succeeded");
    assert_eq!(second.status, 402);
    assert_eq!(first.reply.body, second.reply.body);
}

#[test]
fn another_request_under_the_same_key_is_refused() {
    let bank = bank();
    let caller = caller(&bank);
    let first = answer(caller.create_under("k1", &charge("pm_card_visa")));

    let other_amount = answer(caller.create_under("k1", &charge("pm_card_visa").replace("1000", "1001")));
    let path = format!("/v1/payment_intents/{}/cancel", first.id());
    let other_path = answer(caller.send("POST", &path, Some("k1"), ""));

    for refused in [other_amount, other_path] {
        assert_eq!(refused.status, 400);
        assert_eq!(refused.body["error"]["type"], "idempotency_error");
    }
    assert_eq!(caller.captures(), 1);
}

#[test]
fn a_key_belongs_to_its_account() {
    let bank = bank();

    let first = answer(caller(&bank).create_under("k1", &charge("pm_card_visa")));
    let second = answer(other_caller(&bank).create_under("k1", &charge("pm_card_visa")));

    assert_ne!(first.id(), second.id());
    assert!(!second.is_replay());
    assert_eq!(other_caller(&bank).retrieve(&first.id()).status, 404);
}

#[test]
fn a_request_that_asked_wrongly_leaves_its_key_free() {
    let bank = bank();
    let caller = caller(&bank);

    let wrong = answer(caller.create_under("k1", "amount=0&currency=usd"));
    let right = answer(caller.create_under("k1", &charge("pm_card_visa")));

    assert_eq!((wrong.status, right.status), (400, 200));
}

#[test]
fn a_key_is_forgotten_after_a_day() {
    let bank = bank();
    let caller = caller(&bank);
    let first = answer(caller.create_under("k1", &charge("pm_card_visa")));

    caller.travel(DAY - 1);
    let within = answer(caller.create_under("k1", &charge("pm_card_visa")));
    caller.travel(DAY);
    let after = answer(caller.create_under("k1", &charge("pm_card_visa")));

    assert_eq!(within.id(), first.id());
    assert_ne!(after.id(), first.id());
    assert_eq!(caller.captures(), 2);
}

#[test]
fn a_key_that_is_empty_or_too_long_is_refused() {
    let bank = bank();

    for key in [String::new(), "k".repeat(256)] {
        assert_eq!(answer(caller(&bank).create_under(&key, &charge("pm_card_visa"))).status, 400);
    }
}

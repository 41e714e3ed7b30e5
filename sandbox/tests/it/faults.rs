//! The cards that break the exchange: what the caller sees, and what the ledger knows.

use crate::caller::{answer, bank, caller, charge};
use dunlin_sandbox::Outcome;
use std::time::Duration;

#[test]
fn lost_before_executes_nothing_the_first_time_and_everything_the_second() {
    let bank = bank();
    let caller = caller(&bank);
    let body = charge("pm_sandbox_lost_before");

    let first = caller.create_under("k1", &body);
    let (captures, intents) = (caller.captures(), caller.get("/_sandbox/ledger").body["intents"].clone());
    let second = answer(caller.create_under("k1", &body));
    let other_key = caller.create_under("k2", &body);

    assert_eq!(first, Outcome::Cut);
    assert_eq!((captures, intents), (0.into(), 0.into()));
    assert_eq!(second.body["status"], "succeeded");
    assert!(!second.is_replay());
    assert_eq!(other_key, Outcome::Cut);
    assert_eq!(caller.captures(), 1);
}

#[test]
fn lost_after_captures_and_a_resend_learns_of_it() {
    let bank = bank();
    let caller = caller(&bank);
    let body = charge("pm_sandbox_lost_after");

    let first = caller.create_under("k1", &body);
    let captures = caller.captures();
    let second = answer(caller.create_under("k1", &body));

    assert_eq!(first, Outcome::Cut);
    assert_eq!(captures, 1);
    assert_eq!(second.status, 200);
    assert!(second.is_replay());
    assert_eq!(caller.captures(), 1);
}

#[test]
fn lost_after_decline_takes_nothing_and_a_resend_learns_of_it() {
    let bank = bank();
    let caller = caller(&bank);
    let body = charge("pm_sandbox_lost_after_decline");

    let first = caller.create_under("k1", &body);
    let second = answer(caller.create_under("k1", &body));

    assert_eq!(first, Outcome::Cut);
    assert_eq!(second.status, 402);
    assert!(second.is_replay());
    assert_eq!(second.body["error"]["decline_code"], "insufficient_funds");
    assert_eq!(caller.captures(), 0);
}

#[test]
fn error_before_executes_nothing_the_first_time_and_everything_the_second() {
    let bank = bank();
    let caller = caller(&bank);
    let body = charge("pm_sandbox_error_before");

    let first = answer(caller.create_under("k1", &body));
    let captures = caller.captures();
    let second = answer(caller.create_under("k1", &body));

    assert_eq!(first.status, 500);
    assert_eq!(first.body["error"]["type"], "api_error");
    assert_eq!(captures, 0);
    assert_eq!(second.body["status"], "succeeded");
    assert_eq!(caller.captures(), 1);
}

#[test]
fn error_after_repeats_its_500_and_only_the_list_tells_the_truth() {
    let bank = bank();
    let caller = caller(&bank);
    let body = format!("{}&customer=cus_1", charge("pm_sandbox_error_after"));

    let first = answer(caller.create_under("k1", &body));
    let second = answer(caller.create_under("k1", &body));
    let list = caller.list("customer=cus_1");

    assert_eq!((first.status, second.status), (500, 500));
    assert_eq!((first.is_replay(), second.is_replay()), (false, true));
    assert_eq!(list.body["data"][0]["status"], "succeeded");
    assert_eq!(caller.captures(), 1);
}

#[test]
fn wrong_amount_takes_one_more_than_asked() {
    let bank = bank();

    let answer = caller(&bank).create(&charge("pm_sandbox_wrong_amount"));

    assert_eq!(answer.body["amount"], 1000);
    assert_eq!(answer.body["amount_received"], 1001);
    assert_eq!(caller(&bank).get("/_sandbox/ledger").body["captured"]["usd"], 1001);
}

#[test]
fn a_slow_card_has_captured_before_its_answer_comes() {
    let bank = bank();
    let caller = caller(&bank);

    let outcome = caller.create_under("k1", &charge("pm_sandbox_slow_2000"));

    assert!(matches!(&outcome, Outcome::Late(_, delay) if *delay == Duration::from_secs(2)));
    assert_eq!(caller.captures(), 1);
    assert_eq!(answer(outcome).body["status"], "succeeded");
}

#[test]
fn a_fault_waits_for_the_confirmation() {
    let bank = bank();
    let caller = caller(&bank);

    let created = caller.create("amount=1000&currency=usd&payment_method=pm_sandbox_lost_after");
    let path = format!("/v1/payment_intents/{}/confirm", created.id());
    let confirmed = caller.send("POST", &path, Some("k1"), "");

    assert_eq!(created.body["status"], "requires_confirmation");
    assert_eq!(confirmed, Outcome::Cut);
    assert_eq!(caller.retrieve(&created.id()).body["status"], "succeeded");
}

//! The journal: a bank that is opened again knows all it knew.

use crate::caller::{Caller, answer, caller, charge};
use dunlin_sandbox::{Bank, Outcome};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    thread,
};
use tempfile::TempDir;

fn journal() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bank.journal");
    (dir, path)
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Everything a caller and the judge can see.
fn seen(caller: &Caller<'_>) -> Vec<serde_json::Value> {
    let targets = [
        "/v1/payment_intents?limit=100",
        "/v1/charges?limit=100",
        "/v1/refunds?limit=100",
        "/v1/customers?limit=100",
        "/v1/payment_methods?customer=cus_1",
        "/v1/setup_intents?limit=100",
        "/v1/events?limit=100",
        "/v1/webhook_endpoints",
        "/_sandbox/ledger",
        "/_sandbox/captures",
        "/_sandbox/refunds",
    ];
    targets.map(|target| caller.get(target).body).to_vec()
}

#[test]
fn a_reopened_bank_knows_all_it_knew() {
    let (_dir, path) = journal();
    let bank = Bank::open(&path).unwrap();
    let first = caller(&bank);
    first.travel(500);
    let cut = charge("pm_sandbox_lost_before");
    assert_eq!(first.create_under("cut", &cut), Outcome::Cut);
    let paid = answer(first.create_under("paid", &format!("{}&metadata[a]=b", charge("pm_card_visa"))));
    let declined = first.create(&charge("pm_sandbox_insufficient_funds_1"));
    let id = declined.body["error"]["payment_intent"]["id"].as_str().unwrap().to_owned();
    first.post(&format!("/v1/payment_intents/{}/cancel", first.create("amount=100&currency=usd").id()), "");
    first.post("/v1/refunds", &format!("payment_intent={}&amount=1", paid.id()));
    first.post("/v1/customers", "name=Ann");
    first.post("/v1/payment_methods/pm_card_visa/attach", "customer=cus_1");
    first.post("/v1/setup_intents", "confirm=true&payment_method=pm_card_authenticationRequired");
    first.post("/v1/webhook_endpoints", "url=http://127.0.0.1:9/&enabled_events[]=*");
    let processing = first.create(&charge("pm_sandbox_settles_after_600")).id();
    let before = seen(&first);
    drop(bank);

    let bank = Bank::open(&path).unwrap();
    let again = caller(&bank);

    assert_eq!(seen(&again), before);
    assert_eq!(again.retrieve(&processing).body["status"], "processing");
    assert_eq!(again.get("/_sandbox/clock").body["offset_seconds"], 500);
    let replayed = answer(again.create_under("paid", &format!("{}&metadata[a]=b", charge("pm_card_visa"))));
    assert!(replayed.is_replay());
    assert_eq!(replayed.reply.body, paid.reply.body);
    assert_eq!(
        again.confirm(&id, "payment_method=pm_sandbox_insufficient_funds_1").body["status"],
        "succeeded"
    );
    assert_eq!(answer(again.create_under("cut", &cut)).body["status"], "succeeded");
    again.travel(1200);
    assert_eq!(again.retrieve(&processing).body["status"], "succeeded");
}

#[test]
fn ids_do_not_repeat_after_reopening() {
    let (_dir, path) = journal();
    let first = caller(&Bank::open(&path).unwrap()).create("amount=100&currency=usd").id();

    let second = caller(&Bank::open(&path).unwrap()).create("amount=100&currency=usd").id();

    assert_ne!(first, second);
}

#[test]
fn a_torn_last_line_is_dropped_and_the_journal_goes_on() {
    let (_dir, path) = journal();
    caller(&Bank::open(&path).unwrap()).create(&charge("pm_card_visa"));
    let whole = fs::read_to_string(&path).unwrap();
    let last = whole.lines().last().unwrap();
    append(&path, &last[..last.len() / 2]);

    let bank = Bank::open(&path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), whole);
    caller(&bank).create(&charge("pm_card_visa"));
    drop(bank);

    assert_eq!(caller(&Bank::open(&path).unwrap()).captures(), 2);
}

#[test]
fn a_bad_line_that_is_not_torn_is_named() {
    let (_dir, path) = journal();
    caller(&Bank::open(&path).unwrap()).create(&charge("pm_card_visa"));
    append(&path, "{\"executed\":\n");

    let error = Bank::open(&path).unwrap_err();

    assert!(format!("{error:#}").contains("line 3 makes no sense"), "{error:#}");
}

#[test]
fn a_journal_that_captures_twice_is_refused() {
    let (_dir, path) = journal();
    caller(&Bank::open(&path).unwrap()).create(&charge("pm_card_visa"));
    let last = fs::read_to_string(&path).unwrap().lines().last().unwrap().to_owned();
    append(&path, &format!("{last}\n"));

    let error = Bank::open(&path).unwrap_err();

    assert!(format!("{error:#}").contains("line 3 cannot follow"), "{error:#}");
}

#[test]
fn a_journal_that_gives_back_more_than_was_taken_is_refused() {
    let (_dir, path) = journal();
    let bank = Bank::open(&path).unwrap();
    let paid = caller(&bank).create(&charge("pm_card_visa")).id();
    caller(&bank).post("/v1/refunds", &format!("payment_intent={paid}"));
    drop(bank);
    let last = fs::read_to_string(&path).unwrap().lines().last().unwrap().to_owned();
    append(&path, &format!("{}\n", last.replace("\"refunded\":1000", "\"refunded\":1001")));

    let error = Bank::open(&path).unwrap_err();

    assert!(format!("{error:#}").contains("more is refunded than was charged"), "{error:#}");
}

#[test]
fn a_bank_waits_for_its_journal_until_the_one_before_lets_go() {
    let (_dir, path) = journal();
    let holder = Bank::open(&path).unwrap();
    caller(&holder).create(&charge("pm_card_visa"));

    let captures = thread::scope(|scope| {
        let waiting = scope.spawn(|| caller(&Bank::open(&path).unwrap()).captures());
        caller(&holder).create(&charge("pm_card_visa"));
        drop(holder);
        waiting.join().unwrap()
    });

    assert_eq!(captures, 2);
}

#[test]
fn a_journal_holds_no_secret_key() {
    let (_dir, path) = journal();

    caller(&Bank::open(&path).unwrap()).create(&charge("pm_card_visa"));

    assert!(!fs::read_to_string(&path).unwrap().contains("sk_test_first"));
}

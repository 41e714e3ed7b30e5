//! `dunlin payments` and `dunlin clock`, against a running server.

use super::{Ended, run};
use crate::support::{
    database::Database,
    process::{Caller, Serve, folder},
};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A running server, and the folder in which commands find its key.
pub(super) struct Room {
    pub(super) serve: Serve,
    pub(super) caller: Caller,
    path: PathBuf,
    _folder: tempfile::TempDir,
    _database: Database,
}

impl Room {
    pub(super) fn new() -> Self {
        let (folder, path) = folder();
        let database = Database::sqlite();
        let serve = Serve::start(&database, &path, &[]);
        Self { caller: serve.client(), serve, path, _folder: folder, _database: database }
    }

    /// Runs a command at the server.
    pub(super) fn ask(&self, arguments: &[&str]) -> Ended {
        run(&self.path, &[arguments, &["--url", &self.serve.url]].concat(), &[])
    }

    pub(super) fn done(&self, arguments: &[&str]) -> String {
        let ended = self.ask(arguments);
        assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
        ended.out
    }

    pub(super) fn read(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[arguments, &["--json"]].concat())).unwrap()
    }

    pub(super) async fn pay(&self, reference: &str, method: &str) -> String {
        let body = json!({
            "amount": 1250, "currency": "EUR", "customer": "cus_1", "reference": reference,
            "method": { "type": "card", "payment_method": method },
        });
        let answer = self.caller.post("/v1/payments", Some(reference), &body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_payments_story_is_told_from_its_decline_to_its_refund() {
    let room = Room::new();
    let id = room.pay("INV-1", "pm_sandbox_insufficient_funds_1").await;
    room.caller.wait_for(&id, "retrying").await;

    let waiting = room.done(&["payments", "show", &id]);
    let clock = room.done(&["clock", "show"]);
    let moved = room.done(&["clock", "advance", "2d"]);
    let refund = json!({ "amount": 500, "reason": "broken" });
    room.caller.post(&format!("/v1/payments/{id}/refunds"), Some("r"), &refund).await;
    room.done(&["clock", "advance", "1m"]);
    let paid = room.done(&["payments", "show", &id]);
    let facts = room.read(&["payments", "show", &id]);

    for words in [
        "12.50 EUR  retrying  test",
        "reference    INV-1",
        "Attempt 2 comes at ",
        " UTC, in 24 h",
        "insufficient_funds (network code 51, advice try_again_later): \"Your card has insufficient funds.\"",
        "It is tried again: insufficient_funds is soft_funds",
    ] {
        assert!(waiting.contains(words), "{words:?} is missing: {waiting}");
    }
    assert!(clock.ends_with(" UTC\n") && clock < moved, "{clock}{moved}");
    for words in [
        "It is paid: 12.50 EUR received at sandbox, as ch_",
        "5.00 EUR of it went back.",
        "Attempt 2 is captured, 12.50 EUR.",
        "A refund of 5.00 EUR is asked for",
        "broken",
    ] {
        assert!(paid.contains(words), "{words:?} is missing: {paid}");
    }
    assert!(!paid.contains(['{', '\u{1b}']), "neither JSON nor colours: {paid}");
    assert_eq!(facts["payment"]["status"], "succeeded");
    assert_eq!(facts["refunds"][0]["amount"], 500);
}

#[tokio::test]
async fn payments_are_listed_narrowed_and_canceled() {
    let room = Room::new();
    let waiting = room.pay("INV-1", "pm_sandbox_insufficient_funds_1").await;
    let paid = room.pay("INV 2&x", "pm_card_visa").await;
    room.caller.wait_for(&waiting, "retrying").await;
    room.caller.wait_for(&paid, "succeeded").await;

    let all = room.done(&["payments", "list"]);
    let first = room.ask(&["payments", "list", "--limit", "1"]);
    let retrying = room.read(&["payments", "list", "--status", "retrying"]);
    let by_reference = room.read(&["payments", "list", "--reference", "INV 2&x", "--customer", "cus_1"]);
    let none = room.read(&["payments", "list", "--created-before", "2020-01-01T00:00:00Z"]);
    let canceled = room.done(&["payments", "cancel", &waiting]);

    assert!(all.starts_with("ID "), "{all}");
    assert_eq!(all.lines().count(), 3, "{all}");
    assert!(all.lines().any(|line| line.contains("retrying") && line.contains("12.50 EUR")), "{all}");
    assert_eq!(first.out.lines().count(), 2, "{}", first.out);
    assert!(first.err.contains("more than these 1"), "{}", first.err);
    let ids = |list: &Value| {
        let ids = list["data"].as_array().unwrap().iter().map(|payment| payment["id"].clone());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(&retrying), [json!(waiting)]);
    assert_eq!(ids(&by_reference), [json!(paid)]);
    assert_eq!(none["data"], json!([]));
    assert_eq!(canceled, format!("{waiting} is canceled\n"));
    assert_eq!(room.caller.get(&format!("/v1/payments/{waiting}")).await.body["status"], "canceled");
    room.ask(&["payments", "cancel", &paid]).assert_failed(&["HTTP 409", "succeeded"]);
}

#[tokio::test]
async fn a_payment_is_tried_again_now_because_a_person_wants_it() {
    let room = Room::new();
    let id = room.pay("INV-1", "pm_sandbox_insufficient_funds_1").await;
    room.caller.wait_for(&id, "retrying").await;

    let asked = room.done(&["payments", "retry", &id, "--reason", "topped up"]);
    room.caller.wait_for(&id, "succeeded").await;
    let story = room.done(&["payments", "show", &id]);

    assert!(asked.starts_with(&format!("attempt 2 of {id} is due now")), "{asked}");
    assert!(story.contains("A person wants the next attempt now: topped up, by key_"), "{story}");
    room.ask(&["payments", "retry", &id]).assert_failed(&["HTTP 409", "succeeded"]);
}

#[tokio::test]
async fn a_deferred_payment_is_charged_by_a_command() {
    let room = Room::new();
    let body = json!({
        "amount": 1250, "currency": "EUR", "capture": "deferred",
        "method": { "type": "card", "payment_method": "pm_card_visa" },
    });
    let made = room.caller.post("/v1/payments", Some("deferred"), &body).await.body;
    let id = made["id"].as_str().unwrap().to_owned();

    let waiting = room.done(&["payments", "show", &id]);
    let asked = room.done(&["payments", "process", &id]);
    room.caller.wait_for(&id, "succeeded").await;
    let story = room.done(&["payments", "show", &id]);

    assert!(waiting.contains(&format!("`dunlin payments process {id}`")), "{waiting}");
    assert!(asked.starts_with(&format!("{id} is to be charged now")), "{asked}");
    assert!(story.contains("It is to be charged now, by key_"), "{story}");
    room.ask(&["payments", "process", &id]).assert_failed(&["HTTP 409", "succeeded"]);
}

#[test]
fn what_is_wrong_with_a_command_is_told() {
    let room = Room::new();
    let unknown = "pay_0190000000007000800000000000000a";

    room.ask(&["payments", "show", unknown]).assert_failed(&["HTTP 404", "no such payment"]);
    room.ask(&["clock", "advance", "--to", "2020-01-01T00:00:00Z"]).assert_failed(&["to: "]);
    for (arguments, word) in [
        (&["payments", "show", "INV-1"][..], "pay_"),
        (&["payments", "list", "--status", "paid"], "succeeded"),
        (&["payments", "list", "--limit", "0"], "--limit"),
        (&["clock", "advance"], "required"),
        (&["clock", "advance", "1d", "--to", "2100-01-01T00:00:00Z"], "cannot be used with"),
        (&["clock", "advance", "90"], "90d"),
    ] {
        let ended = room.ask(arguments);
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(ended.err.contains(word), "{word:?} is missing: {}", ended.err);
    }
}

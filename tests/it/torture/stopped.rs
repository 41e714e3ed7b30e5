//! A worker that stands still for longer than its lease, and then goes on: another one has taken over by then.

use crate::support::{
    database::Database,
    process::{Caller, Serve, captures, folder},
};
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, Instant},
};

const BRISK: [(&str, &str); 5] = [
    ("DUNLIN_CLIENT__TIMEOUT_MS", "1000"),
    ("DUNLIN_PAYMENTS__LEASE_MARGIN_MS", "300"),
    ("DUNLIN_WORKER__LEASE_S", "2"),
    ("DUNLIN_WORKER__LANES__UPKEEP", "0"),
    ("DUNLIN_WORKER__POLL_MS", "50"),
];

// S1.7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_stopped_before_its_call_begins_none_when_it_goes_on() {
    let database = Database::postgres().await;
    let (_folder, path) = folder();
    let stall = [("DUNLIN_FAILPOINT__POINT", "charge.before_send"), ("DUNLIN_FAILPOINT__DEED", "stall")];
    let mut slow = Serve::start(&database, &path, &[&BRISK[..], &stall].concat());
    let id = pay(&slow.client(), "pm_card_visa").await;
    slow.wait_for_failpoint();

    let caller = take_over(&slow, &database, &path, &id).await;
    let first = first_exchange(&caller.0, &id).await;

    assert!(first["verdict"].as_str().unwrap().contains("the lease was too short"), "{first}");
    expect_one_capture(&slow, &caller.0, &id).await;
}

// S1.1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_worker_heard_that_was_stopped_during_its_call_changes_nothing_any_more() {
    let database = Database::postgres().await;
    let (_folder, path) = folder();
    let slow = Serve::start(&database, &path, &BRISK);
    let id = pay(&slow.client(), "pm_sandbox_slow_800").await;
    until(async || captures(&slow.sandbox).await.contains_key(&id)).await;

    let caller = take_over(&slow, &database, &path, &id).await;
    first_exchange(&caller.0, &id).await;

    expect_one_capture(&slow, &caller.0, &id).await;
}

/// Stops the process until another one has brought the payment to its end, then lets it go on.
async fn take_over(slow: &Serve, database: &Database, path: &Path, id: &str) -> (Caller, Serve) {
    slow.signal("STOP");
    let other = slow.start_beside(database, path, &BRISK);
    let caller = other.client();
    let its_path = format!("/v1/payments/{id}");
    until(async || {
        let _ = caller.post("/v1/test_clock/advance", None, &json!({ "by_s": 10 })).await;
        caller.get(&its_path).await.body["status"] == "succeeded"
    })
    .await;
    slow.signal("CONT");
    (caller, other)
}

/// The first call's own exchange, once the worker that made it has said how it ended.
async fn first_exchange(caller: &Caller, id: &str) -> Value {
    let path = format!("/v1/payments/{id}/timeline");
    let find = async || {
        let timeline = caller.get(&path).await.body;
        let entries = timeline["data"].as_array().cloned().unwrap_or_default();
        entries.into_iter().find(|entry| entry["object"] == "exchange").unwrap_or_default()
    };
    until(async || !find().await["answered_at"].is_null()).await;
    find().await
}

async fn expect_one_capture(slow: &Serve, caller: &Caller, id: &str) {
    let payment = caller.get(&format!("/v1/payments/{id}")).await.body;
    let timeline = caller.get(&format!("/v1/payments/{id}/timeline")).await.body;
    let entries = timeline["data"].as_array().unwrap();
    let ends = entries.iter().filter(|entry| entry["object"] == "transition" && entry["to"] == "succeeded");

    assert_eq!(payment["status"], "succeeded", "{timeline}");
    assert_eq!(ends.count(), 1, "{timeline}");
    assert_eq!(captures(&slow.sandbox).await.get(id), Some(&1), "{timeline}");
}

async fn pay(caller: &Caller, method: &str) -> String {
    let method = json!({ "type": "card", "payment_method": method });
    let charge = json!({ "amount": 1250, "currency": "EUR", "method": method });
    let taken = caller.post("/v1/payments", Some("stopped-1"), &charge).await;
    assert_eq!(taken.status, 201, "{}", taken.body);
    taken.body["id"].as_str().unwrap().to_owned()
}

async fn until(mut reached: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !reached().await {
        assert!(Instant::now() < deadline, "it takes too long");
    }
}

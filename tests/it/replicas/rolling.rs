//! Rolling: processes stopped and started one after the other, under load, and schemas that change beneath them.

use super::{paid_by, pay, pay_many};
use crate::{
    store::raw,
    support::{
        process::{Caller, captures},
        replicas::{Replica, Replicas},
    },
};
use serde_json::Value;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

/// Enough that every stop finds calls on the wire.
const SLOW_GATEWAY_MS: &str = "50";

/// The doors that are open at the moment.
type Doors = Arc<Mutex<Vec<Caller>>>;

/// Pays one charge after the other until it is told to stop, at another door where one does not answer, and gives their
/// ids.
async fn keep_paying(doors: Doors, name: usize, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut ids = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let key = format!("{name}-{}", ids.len());
        for turn in 0.. {
            let door = {
                let doors = doors.lock().unwrap();
                doors[turn % doors.len()].clone()
            };
            // A process that stops takes no more connections; what it has taken it answers.
            let Ok(answer) = door.try_post("/v1/payments", Some(&key), &paid_by("pm_card_visa")).await else {
                continue;
            };
            assert_eq!(answer.status, 201, "{}", answer.body);
            ids.push(answer.body["id"].as_str().unwrap().to_owned());
            break;
        }
    }
    ids
}

/// Every payment is paid by its first attempt, with one call and no doubt.
async fn assert_undoubted(caller: &Caller, ids: &[String]) {
    for id in ids {
        caller.wait_for(id, "succeeded").await;
        let timeline = caller.get(&format!("/v1/payments/{id}/timeline")).await.body;
        let exchanges =
            timeline["data"].as_array().unwrap().iter().filter(|line| line["object"] == "exchange");
        assert_eq!(exchanges.count(), 1, "{timeline}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_are_replaced_under_load_and_nobody_notices() {
    let replicas = Replicas::with_latency(SLOW_GATEWAY_MS, &[]).await;
    let mut apis = [replicas.api(), replicas.api()];
    let mut workers = [replicas.worker(&[]), replicas.worker(&[])];
    let doors: Doors = Arc::new(Mutex::new(apis.iter().map(|api| replicas.caller(api)).collect()));
    let stop = Arc::new(AtomicBool::new(false));
    let payers = (0..8).map(|name| tokio::spawn(keep_paying(Arc::clone(&doors), name, Arc::clone(&stop))));
    let payers: Vec<_> = payers.collect();

    for worker in &mut workers {
        let old = std::mem::replace(worker, replicas.worker(&[]));
        assert!(terminated(old).await);
    }
    for (n, api) in apis.iter_mut().enumerate() {
        let new = replicas.api();
        doors.lock().unwrap()[n] = replicas.caller(&new);
        assert!(terminated(std::mem::replace(api, new)).await);
    }
    stop.store(true, Ordering::SeqCst);

    let mut ids = Vec::new();
    for payer in payers {
        ids.extend(payer.await.unwrap());
    }
    assert!(ids.len() > 50, "only {} payments", ids.len());
    assert_undoubted(&replicas.caller(&apis[0]), &ids).await;
    let captures = captures(&replicas.sandbox).await;
    assert!(captures.len() == ids.len() && captures.values().all(|times| *times == 1), "{captures:?}");
}

/// Waits in a thread of its own, since the test's other tasks go on meanwhile.
async fn terminated(replica: Replica) -> bool {
    tokio::task::spawn_blocking(move || replica.terminate().success()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_more_than_any_buffer_holds() {
    let replicas = Replicas::with_latency("400", &[]).await;
    let api = replicas.api();
    let caller = replicas.caller(&api);
    let ids = pay_many(&caller, 1000).await;
    let worker = replicas.worker(&["--concurrency", "payments=700"]);
    while count(&caller, "processing").await == 0 {}

    assert!(terminated(worker).await);

    assert_eq!(count(&caller, "processing").await, 0, "what was begun is finished");
    assert!(count(&caller, "succeeded").await > 0);
    let _next = replicas.worker(&["--concurrency", "payments=700"]);
    assert_undoubted(&caller, &ids).await;
    assert_eq!(captures(&replicas.sandbox).await.values().sum::<usize>(), 1000);
}

/// How many payments have the status, up to a page of them.
async fn count(caller: &Caller, status: &str) -> usize {
    let page = caller.get(&format!("/v1/payments?status={status}&limit=200")).await.body;
    page["data"].as_array().map_or(0, Vec::len)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_version_goes_on_over_a_schema_that_has_grown_and_can_be_started_again() {
    let replicas = Replicas::start(&[]).await;
    let (api, worker) = (replicas.api(), replicas.worker(&[]));
    let caller = replicas.caller(&api);
    let before = pay(&caller, "before", "pm_card_visa").await;

    for table in ["payments", "attempts", "exchanges", "history", "jobs", "events", "idempotency_keys"] {
        let add = format!("ALTER TABLE {table} ADD COLUMN of_the_next_version TEXT");
        raw::execute(&replicas.database, &add).await.unwrap();
    }
    raw::execute(&replicas.database, &migration("add something")).await.unwrap();

    let during = pay(&caller, "during", "pm_card_visa").await;
    caller.wait_for(&during, "succeeded").await;
    assert!(terminated(worker).await);
    let _again = replicas.worker(&[]);
    let after = pay(&caller, "after", "pm_card_visa").await;
    for id in [&before, &during, &after] {
        caller.wait_for(id, "succeeded").await;
    }
    assert_eq!(caller.get("/readyz").await.body["status"], Value::from("ready"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_version_does_not_start_over_a_schema_that_lacks_what_it_needs() {
    let replicas = Replicas::start(&[]).await;
    drop(replicas.worker(&[]));
    raw::execute(&replicas.database, &migration("contract something")).await.unwrap();

    let said = replicas.refused(&["worker"]);

    assert!(said.contains("9999 (contract something)") && said.contains("newer version"), "{said}");
}

/// Notes a migration that this version does not know.
fn migration(name: &str) -> String {
    format!(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, '{name}', TRUE, '', 0)"
    )
}

//! Roles: what `dunlin api` and `dunlin worker` do, and what each leaves to the other.

use super::{paid_by, pay};
use crate::support::{
    process::{Caller, captures, dunlin, folder},
    replicas::Replicas,
};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_api_takes_a_worker_charges() {
    let replicas = Replicas::start(&[]).await;
    let (api, second) = (replicas.api(), replicas.api());
    let caller = replicas.caller(&api);
    let id = pay(&caller, "one", "pm_card_visa").await;
    let jobs = caller.get(&format!("/v1/jobs?payment={id}")).await.body;
    assert_eq!(jobs["data"].as_array().map(Vec::len), Some(1), "nobody works yet: {jobs}");

    let worker = replicas.worker(&[]);

    replicas.caller(&second).wait_for(&id, "succeeded").await;
    assert_eq!(captures(&replicas.sandbox).await.values().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(worker.said, "payments 256, reconcile 16, upkeep 1 jobs at a time");
    assert!(worker.terminate().success());
    assert!(api.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_leaves_the_lanes_that_it_was_not_given() {
    let replicas = Replicas::start(&[]).await;
    let api = replicas.api();
    let caller = replicas.caller(&api);
    let _questions = replicas.worker(&["--lanes", "reconcile,upkeep"]);
    let id = pay(&caller, "one", "pm_sandbox_lost_after").await;
    let body = json!({ "by_s": 60 });
    let quiet = tokio::time::timeout(
        std::time::Duration::from_millis(600),
        caller.post("/v1/test_clock/advance", None, &body),
    );
    assert!(quiet.await.is_err(), "the charge is due, and nobody is there for it");
    assert_eq!(caller.get(&format!("/v1/payments/{id}")).await.body["status"], "pending");

    let charges = replicas.worker(&["--lanes", "payments", "--concurrency", "payments=4"]);

    assert_eq!(charges.said, "payments 4 jobs at a time");
    caller.wait_for(&id, "processing").await;
    let advanced = caller.post("/v1/test_clock/advance", None, &body).await;
    assert_eq!(advanced.status, 200, "{}", advanced.body);
    caller.wait_for(&id, "succeeded").await;
    assert_eq!(captures(&replicas.sandbox).await[&id], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn test_time_that_one_process_moves_is_test_time_in_all() {
    let replicas = Replicas::start(&[]).await;
    let (api, other) = (replicas.api(), replicas.api());
    let _workers = [replicas.worker(&[]), replicas.worker(&[])];
    let caller = replicas.caller(&api);
    let id = pay(&caller, "one", "pm_sandbox_insufficient_funds_2").await;
    caller.wait_for(&id, "retrying").await;

    let advanced = caller.post("/v1/test_clock/advance", None, &json!({ "by_s": 2_592_000 })).await;

    assert_eq!(advanced.status, 200, "{}", advanced.body);
    let payment = caller.get(&format!("/v1/payments/{id}")).await.body;
    assert_eq!(payment["status"], "succeeded", "{payment}");
    let there = replicas.caller(&other).get("/v1/test_clock").await.body;
    assert!(there["now"].as_str() >= advanced.body["now"].as_str(), "{there} {}", advanced.body);
    let late = pay(&replicas.caller(&other), "two", "pm_card_visa").await;
    let made = caller.get(&format!("/v1/payments/{late}")).await.body;
    assert!(made["created_at"].as_str() >= advanced.body["now"].as_str(), "{made}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_answers_for_its_health_and_for_nothing_else() {
    let replicas = Replicas::start(&[]).await;
    let mut worker = replicas.worker(&["--listen", "127.0.0.1:0"]);
    let url = worker.next_line("health on ");
    let caller = Caller::new(&url, "");

    assert_eq!(caller.get("/livez").await.body, json!({ "status": "alive" }));
    assert_eq!(caller.get("/readyz").await.body, json!({ "status": "ready" }));
    let refused = caller.post("/v1/payments", Some("one"), &paid_by("pm_card_visa")).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (404, Some("no_such_route")));
}

#[test]
fn what_cannot_be_one_of_several_is_told_so() {
    let (_folder, path) = folder();
    let failed = |arguments: &[&str], settings: &[(&str, &str)], words: &[&str]| {
        let mut command = dunlin();
        command.args(arguments).env("DUNLIN_DATA_DIR", &path).envs(settings.iter().copied());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}");
        for word in words {
            assert!(said.contains(word), "{arguments:?} says nothing of {word:?}: {said}");
        }
    };
    let postgres = [("DUNLIN_STORE__URL", "postgres://me@127.0.0.1:1/name")];

    failed(&["api"], &[], &["store.url", "dunlin serve"]);
    failed(&["worker"], &[], &["store.url", "dunlin serve"]);
    failed(&["worker"], &postgres, &["dunlin sandbox", "gateways.sandbox.base_url"]);
    failed(&["worker", "--lanes", "payment"], &postgres, &["payments, reconcile, upkeep"]);
    failed(&["worker", "--concurrency", "payments"], &postgres, &["payments=64"]);
    failed(&["worker", "--concurrency", "payments=many"], &postgres, &["many", "65535"]);
    let none = ["worker", "--lanes", "upkeep", "--concurrency", "upkeep=0"];
    failed(&none, &postgres, &["no lane is left", "--lanes"]);
    failed(&["worker", "--listen", "here"], &postgres, &["worker.listen"]);
    failed(&["api"], &[("DUNLIN_REDIS__URL", "http://host:secret@x")], &["redis.url", "redis://"]);
    let rate =
        [("DUNLIN_GATEWAY_RATES__MAIN__REQUESTS_PER_S", "0"), ("DUNLIN_GATEWAY_RATES__MAIN__BURST", "1")];
    failed(&["api"], &rate, &["gateway_rates.main", "requests_per_s"]);
}

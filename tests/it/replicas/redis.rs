//! Redis between replicas: what it gives, and that its loss costs speed and nothing else (S5.1).

use super::{pay, pay_many};
use crate::support::{
    process::{Caller, captures},
    redis::Redis,
    replicas::Replicas,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Nobody would wait for a poll as long as this.
const HARDLY_EVER: (&str, &str) = ("DUNLIN_WORKER__POLL_MS", "600000");

/// What `/readyz` says of Redis: nothing, once all is well.
async fn degraded(caller: &Caller) -> Value {
    let ready = caller.get("/readyz").await;
    assert_eq!(ready.status, 200, "{}", ready.body);
    ready.body["degraded"][0]["code"].clone()
}

async fn wait_until_degraded(caller: &Caller, expected: &Value) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while degraded(caller).await != *expected {
        assert!(Instant::now() < deadline, "not {expected}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_one_process_wakes_the_others() {
    let redis = Redis::start();
    let replicas = Replicas::start(&[("DUNLIN_REDIS__URL", &redis.url()), HARDLY_EVER]).await;
    let (api, _worker) = (replicas.api(), replicas.worker(&[]));
    let caller = replicas.caller(&api);
    wait_until_degraded(&caller, &Value::Null).await;

    for n in 0..20 {
        let id = pay(&caller, &format!("{n}"), "pm_card_visa").await;
        caller.wait_for(&id, "succeeded").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_away_replicas_poll_and_it_is_said_once() {
    let mut redis = Redis::start();
    let settings = [("DUNLIN_REDIS__URL", &*redis.url()), ("DUNLIN_LOG__LEVEL", "info")];
    let replicas = Replicas::start(&settings).await;
    let (api, worker) = (replicas.api(), replicas.worker(&[]));
    let caller = replicas.caller(&api);
    wait_until_degraded(&caller, &Value::Null).await;

    redis.kill();
    wait_until_degraded(&caller, &json!("redis_unavailable")).await;
    let id = pay(&caller, "away", "pm_card_visa").await;
    caller.wait_for(&id, "succeeded").await;
    redis.start_again();
    wait_until_degraded(&caller, &Value::Null).await;
    let id = pay(&caller, "back", "pm_card_visa").await;
    caller.wait_for(&id, "succeeded").await;

    let said = api.terminate_saying();
    assert_eq!(said.matches("Redis is back").count(), 1, "{said}");
    let complaints: Vec<_> = said.lines().filter(|line| line.contains("Redis is away")).collect();
    assert!((1..=2).contains(&complaints.len()), "once for each reason: {said}");
    drop(worker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hears_and_does_not_answer_is_away() {
    let redis = Redis::start();
    let replicas = Replicas::start(&[("DUNLIN_REDIS__URL", &redis.url())]).await;
    let (api, _worker) = (replicas.api(), replicas.worker(&[]));
    let caller = replicas.caller(&api);
    wait_until_degraded(&caller, &Value::Null).await;

    redis.signal("STOP");
    wait_until_degraded(&caller, &json!("redis_unavailable")).await;
    let id = pay(&caller, "one", "pm_card_visa").await;
    caller.wait_for(&id, "succeeded").await;
    redis.signal("CONT");

    wait_until_degraded(&caller, &Value::Null).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_costs_speed_and_is_told() {
    let redis = Redis::start();
    redis.say("CONFIG SET requirepass right");
    let url = redis.url().replace("redis://", "redis://:wrong@");
    let settings = [("DUNLIN_REDIS__URL", &*url), ("DUNLIN_LOG__LEVEL", "info")];
    let replicas = Replicas::start(&settings).await;
    let (api, _worker) = (replicas.api(), replicas.worker(&[]));
    let caller = replicas.caller(&api);

    let id = pay(&caller, "one", "pm_card_visa").await;
    caller.wait_for(&id, "succeeded").await;

    assert_eq!(degraded(&caller).await, "redis_unavailable");
    let said = api.terminate_saying();
    assert!(said.contains("refuses the user or the password: check redis.url"), "{said}");
    assert!(!said.contains("wrong@") && !said.contains(":wrong"), "{said}");
}

/// When the gateway was called for a payment.
async fn called_at(caller: &Caller, id: &str) -> DateTime<Utc> {
    let timeline = caller.get(&format!("/v1/payments/{id}/timeline")).await.body;
    let mut entries = timeline["data"].as_array().unwrap().iter();
    let exchange = entries.find(|entry| entry["object"] == "exchange").unwrap();
    exchange["at"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_replicas_together_keep_to_an_accounts_rate() {
    let redis = Redis::start();
    let settings = [
        ("DUNLIN_REDIS__URL", &*redis.url()),
        ("DUNLIN_GATEWAY_RATES__SANDBOX__REQUESTS_PER_S", "20"),
        ("DUNLIN_GATEWAY_RATES__SANDBOX__BURST", "1"),
    ];
    let replicas = Replicas::start(&settings).await;
    let api = replicas.api();
    let caller = replicas.caller(&api);
    // Nobody can take all of them.
    let worker = || replicas.worker(&["--concurrency", "payments=14"]);
    let _workers = [worker(), worker(), worker()];
    wait_until_degraded(&caller, &Value::Null).await;

    let ids = pay_many(&caller, 41).await;
    let mut moments = Vec::new();
    for id in &ids {
        caller.wait_for(id, "succeeded").await;
        moments.push(called_at(&caller, id).await);
    }

    let took = *moments.iter().max().unwrap() - *moments.iter().min().unwrap();
    // Each by itself, three workers would need a third of two seconds.
    assert!(took > TimeDelta::milliseconds(1_500), "{took}");
    assert_eq!(captures(&replicas.sandbox).await.values().sum::<usize>(), 41);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emptied_again_and_again_it_loses_no_payment() {
    let redis = Redis::start();
    let settings = [
        ("DUNLIN_REDIS__URL", &*redis.url()),
        ("DUNLIN_GATEWAY_RATES__SANDBOX__REQUESTS_PER_S", "1000"),
        ("DUNLIN_GATEWAY_RATES__SANDBOX__BURST", "10"),
    ];
    let replicas = Replicas::start(&settings).await;
    let api = replicas.api();
    let _workers = [replicas.worker(&[]), replicas.worker(&[])];
    let caller = replicas.caller(&api);
    wait_until_degraded(&caller, &Value::Null).await;

    let mut ids = Vec::new();
    for n in 0..100 {
        ids.push(pay(&caller, &format!("{n}"), "pm_card_visa").await);
        redis.say("FLUSHALL");
    }

    for id in &ids {
        caller.wait_for(id, "succeeded").await;
    }
    let captures = captures(&replicas.sandbox).await;
    assert!(captures.len() == 100 && captures.values().all(|times| *times == 1), "{captures:?}");
}

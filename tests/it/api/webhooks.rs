//! `POST /v1/gateways/{account}/webhooks`: the signature lets in, and the answer comes after the commit.

use super::{Api, assert_problem, id, payment};
use crate::support::{
    database::Database,
    process::Answer,
    webhooks::{self, SECRET},
};

const WITH_SECRET: &[(&str, &str)] = &[("DUNLIN_GATEWAYS__SANDBOX__WEBHOOK_SECRET", SECRET)];

impl Api {
    async fn tell(&self, account: &str, signature: Option<&str>, body: &str) -> Answer {
        let request = |http: &reqwest::Client, url: &str| {
            let request = http.post(format!("{url}/v1/gateways/{account}/webhooks"));
            let request = request.header("content-type", "application/json; charset=utf-8");
            match signature {
                Some(signature) => request.header("stripe-signature", signature).body(body.to_owned()),
                None => request.body(body.to_owned()),
            }
        };
        self.caller.raw(request).await
    }
}

/// The sandbox's time, which test time has not moved from.
fn now() -> i64 {
    dunlin::domain::clock::Clock::system().now(true).timestamp()
}

#[tokio::test]
async fn a_signed_notification_is_taken_without_an_api_key_and_only_once() {
    let api = Api::start(Database::sqlite(), WITH_SECRET);
    let payment = api.pay("key-1", "pm_card_visa").await;
    let body = webhooks::event("evt_1", "payment_intent.succeeded", &payment);
    let signature = webhooks::signature(SECRET, now(), &body);

    for _ in 0..2 {
        let answer = api.tell("sandbox", Some(&signature), &body).await;
        assert_eq!((answer.status, answer.body), (200, serde_json::json!({ "received": true })));
    }
    api.caller.wait_for(&payment, "succeeded").await;

    assert_eq!(api.captures(&payment).await, 1);
}

#[tokio::test]
async fn a_notification_settles_a_lost_answer_long_before_its_turn() {
    let slow = [("DUNLIN_PAYMENTS__UNKNOWN_POLLS_S", "[3600]"), WITH_SECRET[0]];
    let api = Api::start(Database::sqlite(), &slow);
    let created = api.create("key-1", &payment("pm_sandbox_lost_after")).await;
    let payment = id(&created.body);
    let attempts = format!("/v1/payments/{payment}/attempts");
    while api.caller.get(&attempts).await.body["data"][0]["status"] != "unknown" {
        tokio::task::yield_now().await;
    }
    let body = webhooks::event("evt_1", "payment_intent.succeeded", &payment);

    let answer = api.tell("sandbox", Some(&webhooks::signature(SECRET, now(), &body)), &body).await;

    assert_eq!(answer.status, 200, "{}", answer.body);
    api.caller.wait_for(&payment, "succeeded").await;
    assert_eq!(api.captures(&payment).await, 1);
}

#[tokio::test]
async fn what_is_not_proven_is_refused() {
    let api = Api::start(Database::sqlite(), WITH_SECRET);
    let body = webhooks::event("evt_1", "payment_intent.succeeded", "pay_1");
    let good = webhooks::signature(SECRET, now(), &body);
    let other = webhooks::signature("whsec_other", now(), &body);
    let old = webhooks::signature(SECRET, now() - 400, &body);

    for signature in [None, Some(other.as_str()), Some(old.as_str()), Some("t=x,v1=y")] {
        assert_problem(&api.tell("sandbox", signature, &body).await, 400, "signature_invalid", None);
    }
    let meddled = body.replace("evt_1", "evt_2");
    assert_problem(&api.tell("sandbox", Some(&good), &meddled).await, 400, "signature_invalid", None);
    assert_problem(&api.tell("nobody", Some(&good), &body).await, 404, "not_found", None);
    let long = "x".repeat(300_000);
    assert_problem(&api.tell("sandbox", None, &long).await, 413, "body_too_large", None);
}

#[tokio::test]
async fn an_account_without_a_secret_takes_none() {
    let api = Api::sqlite();
    let body = webhooks::event("evt_1", "payment_intent.succeeded", "pay_1");

    let answer = api.tell("sandbox", Some(&webhooks::signature("", now(), &body)), &body).await;

    assert_problem(&answer, 404, "not_found", None);
}

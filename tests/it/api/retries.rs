//! Another attempt because a person wants it: now, once, and only where it makes sense.

use super::{Api, assert_problem, everything, id, payment};
use crate::support::{both, database::Database};
use dunlin::{domain::clock::Clock, failpoint::Failpoints, store::Owner};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

both! { a_retry_comes_now_and_once_under_its_key many_retries_at_once_make_one_attempt }

impl Api {
    async fn retry(&self, payment: &str, key: &str, body: &Value) -> super::Answer {
        self.caller.post(&format!("/v1/payments/{payment}/retry"), Some(key), body).await
    }
}

async fn a_retry_comes_now_and_once_under_its_key(database: Database) {
    let api = Api::start(database, &[]);
    let id = api.pay("a", "pm_sandbox_insufficient_funds_1").await;
    let other = api.pay("b", "pm_sandbox_insufficient_funds_1").await;
    api.caller.wait_for(&id, "retrying").await;
    api.caller.wait_for(&other, "retrying").await;
    let why = json!({ "reason": "the customer has paid in" });

    let asked = api.retry(&id, "r", &why).await;
    let paid = api.caller.wait_for(&id, "succeeded").await;
    let again = api.retry(&id, "r", &why).await;
    let reused = api.retry(&other, "r", &why).await;

    assert_eq!((asked.status, &asked.body["id"]), (200, &json!(id)), "{}", asked.body);
    assert!(!asked.headers.contains_key("idempotent-replayed"));
    assert_eq!(paid["attempt_count"], 2);
    assert_eq!((again.status, &again.body["status"]), (200, &json!("succeeded")));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_problem(&reused, 422, "idempotency_key_reused", Some("Idempotency-Key"));
    let timeline = api.caller.get(&format!("/v1/payments/{id}/timeline")).await.body;
    let wish = timeline["data"].as_array().unwrap().iter().find(|entry| entry["cause"] == "retry").unwrap();
    assert!(wish["actor"].as_str().unwrap().starts_with("key_"), "{wish}");
    assert!(wish["detail"].as_str().unwrap().contains("the customer has paid in"), "{wish}");
    assert_eq!(timeline["jobs"], json!([]), "the planned retry is the one that ran");
    api.advance(30 * 86_400).await;
    assert_eq!(api.captures(&id).await, 1);
}

// S1.3
async fn many_retries_at_once_make_one_attempt(database: Database) {
    let api = Api::start(database, &[]);
    let id = api.pay("a", "pm_sandbox_insufficient_funds_1").await;
    api.caller.wait_for(&id, "retrying").await;

    let (path, body) = (format!("/v1/payments/{id}/retry"), json!({}));
    let keys: Vec<_> = (0..20).map(|n| format!("r{n}")).collect();
    let asks = keys.iter().map(|key| api.caller.post(&path, Some(key), &body));
    let answers = futures_util::future::join_all(asks).await;

    for answer in &answers {
        assert!([200, 409].contains(&answer.status), "{}", answer.body);
    }
    assert!(answers.iter().any(|answer| answer.status == 200));
    let paid = api.caller.wait_for(&id, "succeeded").await;
    assert_eq!(paid["attempt_count"], 2);
    assert_eq!(api.captures(&id).await, 1);
}

#[tokio::test]
async fn what_has_failed_by_its_number_of_declines_may_be_tried_again() {
    let api = Api::sqlite();
    let id = api.pay("a", "pm_sandbox_insufficient_funds_8").await;
    api.caller.wait_for(&id, "retrying").await;
    api.advance(60 * 86_400).await;
    let failed = api.caller.wait_for(&id, "failed").await;
    assert_eq!(failed["attempt_count"], 7);

    for (key, attempts) in [("r1", 8), ("r2", 9)] {
        // What it had left at the gateway is withdrawn first; each of these has an operation of its own (S1.17).
        api.advance(1).await;
        assert_eq!(api.retry(&id, key, &json!({})).await.status, 200);
        let again = api.caller.wait_for(&id, "failed").await;

        assert_eq!(
            (&again["attempt_count"], &again["failure"]["code"]),
            (&json!(attempts), &json!("insufficient_funds"))
        );
    }
    assert_eq!(api.captures(&id).await, 0);
}

#[tokio::test]
async fn what_makes_no_sense_to_try_again_is_refused_with_a_remedy() {
    let api = Api::sqlite();
    for (n, (method, status, remedy)) in [
        ("pm_card_visa", "succeeded", "is succeeded"),
        ("pm_card_chargeDeclinedFraudulent", "failed", "by another method"),
        ("pm_card_authenticationRequired", "requires_action", "off_session: false"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = api.pay(&n.to_string(), method).await;
        let before = api.caller.wait_for(&id, status).await;

        let refused = api.retry(&id, "r", &json!({})).await;

        assert_problem(&refused, 409, "payment_not_retriable", None);
        assert_eq!(refused.body["payment"], json!(id));
        assert!(refused.body["detail"].as_str().unwrap().contains(remedy), "{}", refused.body);
        let after = api.caller.get(&format!("/v1/payments/{id}")).await.body;
        assert_eq!(beside_its_withdrawal(after), beside_its_withdrawal(before));
    }
}

/// A payment as it is told, but for what moves when the gateway confirms that what a decline left there is canceled.
fn beside_its_withdrawal(mut payment: Value) -> Value {
    for name in ["version", "updated_at"] {
        assert!(payment.as_object_mut().unwrap().remove(name).is_some(), "{name}: {payment}");
    }
    payment
}

#[tokio::test]
async fn a_retry_that_is_asked_for_wrongly_is_refused() {
    let api = Api::sqlite();
    let id = id(&api.create("a", &payment("pm_sandbox_insufficient_funds_1")).await.body);
    let waiting = api.caller.wait_for(&id, "retrying").await;
    let path = format!("/v1/payments/{id}/retry");

    let without = api.caller.post(&path, None, &json!({})).await;
    assert_problem(&without, 400, "idempotency_key_missing", Some("Idempotency-Key"));
    for (body, code, param) in [
        (json!({ "reason": "" }), "invalid_field", "reason"),
        (json!({ "reason": "x".repeat(501) }), "invalid_field", "reason"),
        (json!({ "reason": "4242 4242 4242 4242" }), "invalid_field", "reason"),
        (json!({ "status": "succeeded" }), "unknown_field", "status"),
    ] {
        assert_problem(&api.retry(&id, "r", &body).await, 422, code, Some(param));
    }
    let unknown = "pay_0190000000007000800000000000000a";
    assert_problem(&api.retry(unknown, "r", &json!({})).await, 404, "not_found", None);
    assert_eq!(api.caller.get(&format!("/v1/payments/{id}")).await.body, waiting);
}

// S7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_retries_a_foreign_payment() {
    let api = Api::start(Database::postgres().await, &[]);
    let id = api.pay("a", "pm_sandbox_insufficient_funds_1").await;
    let waiting = api.caller.wait_for(&id, "retrying").await;
    let store = api.database.open(Clock::system(), Failpoints::default()).await;
    let tenant = store.ensure_tenant("another").await.unwrap().id;
    let key = store.create_key(Owner { tenant, livemode: false }, everything()).await.unwrap();
    let other = crate::support::process::Caller::new(&api.serve.url, key.secret.expose_secret());

    let refused = other.post(&format!("/v1/payments/{id}/retry"), Some("r"), &json!({})).await;

    assert_problem(&refused, 404, "not_found", None);
    assert_eq!(api.caller.get(&format!("/v1/payments/{id}")).await.body, waiting);
}

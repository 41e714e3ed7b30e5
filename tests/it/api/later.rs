//! Payments that are charged later: at a time that was set, or when somebody says so.

use super::{Answer, Api, assert_problem, payment};
use crate::support::{both, database::Database};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

both! {
    a_deferred_payment_is_charged_once_it_is_asked_for
    a_payment_for_a_later_time_is_charged_then
    many_who_ask_for_it_at_once_make_one_attempt
}

/// A payment that is not charged at once.
fn later(field: &str, value: impl Into<Value>) -> Value {
    let mut later = payment("pm_card_visa");
    later[field] = value.into();
    later
}

impl Api {
    async fn process(&self, payment: &str, key: &str) -> Answer {
        self.caller.post(&format!("/v1/payments/{payment}/process"), Some(key), &json!({})).await
    }

    async fn now(&self) -> DateTime<Utc> {
        let told = self.caller.get("/v1/test_clock").await.body;
        told["now"].as_str().unwrap().parse().unwrap()
    }

    async fn standing(&self, payment: &str) -> Value {
        self.caller.get(&format!("/v1/payments/{payment}")).await.body
    }
}

async fn a_deferred_payment_is_charged_once_it_is_asked_for(database: Database) {
    let api = Api::start(database, &[]);
    let created = api.create_with("a", ("prefer", "wait=20"), &later("capture", "deferred")).await;
    let id = super::id(&created.body);
    assert_eq!((&created.body["status"], &created.body["capture"]), (&json!("pending"), &json!("deferred")));

    api.advance(40 * 86_400).await;
    let untouched = api.standing(&id).await;
    let asked = api.process(&id, "p").await;
    let paid = api.caller.wait_for(&id, "succeeded").await;
    let again = api.process(&id, "p").await;
    let late = api.process(&id, "q").await;

    assert_eq!(untouched, created.body, "the sweep for orphans leaves it alone");
    assert_eq!((asked.status, &asked.body["capture"]), (200, &json!("now")), "{}", asked.body);
    assert!(!asked.headers.contains_key("idempotent-replayed"));
    assert!(asked.body["process_at"].is_string(), "{}", asked.body);
    assert_eq!(paid["attempt_count"], 1);
    assert_eq!((again.status, &again.body["status"]), (200, &json!("succeeded")));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_problem(&late, 409, "payment_not_processable", None);
    assert_eq!(late.body["payment"], json!(id));
    assert_eq!(api.captures(&id).await, 1);
}

async fn a_payment_for_a_later_time_is_charged_then(database: Database) {
    let api = Api::start(database, &[]);
    let at = api.now().await + TimeDelta::hours(5);
    let new = later("process_at", at.to_rfc3339());
    let id = super::id(&api.create("a", &new).await.body);
    let sooner = super::id(
        &api.create("b", &{
            let mut new = new.clone();
            new["reference"] = json!("s");
            new
        })
        .await
        .body,
    );

    api.advance(4 * 3_600).await;
    let early = api.standing(&id).await;
    api.process(&sooner, "p").await;
    api.caller.wait_for(&sooner, "succeeded").await;
    api.advance(3_600).await;
    let paid = api.caller.wait_for(&id, "succeeded").await;
    let replayed = api.create("a", &new).await;

    assert_eq!((&early["status"], &early["attempt_count"]), (&json!("pending"), &json!(0)), "{early}");
    assert_eq!(early["process_at"].as_str().unwrap().parse(), Ok(at));
    assert_eq!(early["next_attempt_at"], json!(null));
    assert_eq!(
        (replayed.status, &replayed.body),
        (201, &paid),
        "its time has passed, and it is the same request"
    );
    assert_eq!((api.captures(&id).await, api.captures(&sooner).await), (1, 1));
}

// S1.3
async fn many_who_ask_for_it_at_once_make_one_attempt(database: Database) {
    let api = Api::start(database, &[]);
    let id = super::id(&api.create("a", &later("capture", "deferred")).await.body);

    let keys: Vec<_> = (0..20).map(|n| format!("p{n}")).collect();
    let answers = futures_util::future::join_all(keys.iter().map(|key| api.process(&id, key))).await;

    for answer in &answers {
        assert!([200, 409].contains(&answer.status), "{}", answer.body);
    }
    assert!(answers.iter().any(|answer| answer.status == 200));
    assert_eq!(api.caller.wait_for(&id, "succeeded").await["attempt_count"], 1);
    assert_eq!(api.captures(&id).await, 1);
}

#[tokio::test]
async fn what_waits_may_be_canceled_and_is_never_charged() {
    let api = Api::sqlite();
    let at = api.now().await + TimeDelta::hours(5);
    let scheduled = super::id(&api.create("a", &later("process_at", at.to_rfc3339())).await.body);
    let deferred = super::id(&api.create("b", &later("capture", "deferred")).await.body);

    for id in [&scheduled, &deferred] {
        let canceled = api.caller.post(&format!("/v1/payments/{id}/cancel"), None, &json!({})).await;
        assert_eq!((canceled.status, &canceled.body["status"]), (200, &json!("canceled")));
        assert_problem(&api.process(id, "p").await, 409, "payment_not_processable", None);
    }

    api.advance(86_400).await;
    for id in [&scheduled, &deferred] {
        assert_eq!(api.standing(id).await["status"], "canceled");
        assert_eq!(api.captures(id).await, 0);
    }
}

#[tokio::test]
async fn a_time_that_has_passed_is_now() {
    let api = Api::sqlite();

    let passed = (api.now().await - TimeDelta::days(300)).to_rfc3339();
    let created = api.create("a", &later("process_at", passed)).await;

    assert_eq!((created.status, &created.body["process_at"]), (201, &json!(null)), "{}", created.body);
    api.caller.wait_for(&super::id(&created.body), "succeeded").await;
}

#[tokio::test]
async fn a_later_time_that_cannot_be_is_refused_by_its_field() {
    let api = Api::sqlite();
    let far = (api.now().await + TimeDelta::days(367)).to_rfc3339();
    let mut present = later("capture", "deferred");
    present["off_session"] = json!(false);
    present["return_url"] = json!("https://shop.example/back");
    let mut both = later("capture", "deferred");
    both["process_at"] = json!("2030-01-01T00:00:00Z");

    for (body, param) in [
        (later("capture", "link"), "capture"),
        (later("capture", json!(null)), "capture"),
        (later("process_at", "tomorrow"), "process_at"),
        (later("process_at", 1_800_000_000), "process_at"),
        (later("process_at", "2026-02-30T00:00:00Z"), "process_at"),
        (later("process_at", "+262142-01-01T00:00:00Z"), "process_at"),
        (later("process_at", far), "process_at"),
        (both, "process_at"),
        (present, "off_session"),
    ] {
        assert_problem(&api.create("a", &body).await, 422, "invalid_field", Some(param));
    }
    let without = api.create("a", &later("capture", "deferred")).await;
    let path = format!("/v1/payments/{}/process", super::id(&without.body));
    let keyless = api.caller.post(&path, None, &json!({})).await;
    assert_problem(&keyless, 400, "idempotency_key_missing", Some("Idempotency-Key"));
    assert_eq!(api.list("").await.len(), 1);
}

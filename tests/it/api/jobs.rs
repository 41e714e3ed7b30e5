//! Jobs over HTTP: those of the caller's payments, listed and moved, with the reason in the payment's history.

use super::{Api, assert_problem, everything};
use crate::support::{database::Database, process::Caller};
use dunlin::{domain::clock::Clock, failpoint::Failpoints, store::Owner};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const UNKNOWN: &str = "job_0190000000007000800000000000000a";

impl Api {
    /// A payment that a decline has put off, and the job that waits for its next attempt.
    async fn waiting(&self, key: &str) -> (String, Value) {
        let id = self.pay(key, "pm_sandbox_insufficient_funds_1").await;
        self.caller.wait_for(&id, "retrying").await;
        let jobs = self.caller.get(&format!("/v1/jobs?payment={id}")).await.body;
        (id, jobs["data"][0].clone())
    }

    async fn act(&self, job: &str, act: &str, body: &Value) -> crate::support::process::Answer {
        self.caller.post(&format!("/v1/jobs/{job}/{act}"), None, body).await
    }
}

#[tokio::test]
async fn a_job_is_found_shown_and_made_to_run_now() {
    let api = Api::sqlite();
    let (id, job) = api.waiting("a").await;
    let job_id = job["id"].as_str().unwrap();

    let shown = api.caller.get(&format!("/v1/jobs/{job_id}")).await;
    let asked = api.act(job_id, "retry", &json!({ "reason": "topped up" })).await;
    let paid = api.caller.wait_for(&id, "succeeded").await;
    let late = api.act(job_id, "retry", &json!({})).await;

    assert_eq!((shown.status, &shown.body), (200, &job));
    for (field, value) in [
        ("object", json!("job")),
        ("kind", json!("retry")),
        ("state", json!("live")),
        ("payment", json!(id)),
        ("leased", json!(false)),
        ("parked_reason", Value::Null),
        ("parked_code", Value::Null),
    ] {
        assert_eq!(job[field], value, "{field}: {job}");
    }
    assert_eq!(asked.status, 200, "{}", asked.body);
    assert!(asked.body["due_at"].as_str() < job["due_at"].as_str(), "{}", asked.body);
    assert_problem(&late, 404, "not_found", None);
    assert_eq!((paid["attempt_count"].as_u64(), api.captures(&id).await), (Some(2), 1));
    let timeline = api.caller.get(&format!("/v1/payments/{id}/timeline")).await.body;
    let told: Vec<_> =
        timeline["data"].as_array().unwrap().iter().filter(|entry| entry["cause"] == "retry").collect();
    assert_eq!(told.len(), 1, "{timeline}");
    assert!(told[0]["actor"].as_str().unwrap().starts_with("key_"), "{}", told[0]);
    assert!(told[0]["detail"].as_str().unwrap().ends_with("topped up"), "{}", told[0]);
}

#[tokio::test]
async fn to_release_what_is_not_set_aside_changes_nothing() {
    let api = Api::sqlite();
    let (id, job) = api.waiting("a").await;
    let before = api.caller.get(&format!("/v1/payments/{id}")).await.body;

    let released = api.act(job["id"].as_str().unwrap(), "release", &json!({})).await;

    assert_eq!((released.status, released.body), (200, job));
    assert_eq!(api.caller.get(&format!("/v1/payments/{id}")).await.body, before);
}

#[tokio::test]
async fn jobs_are_listed_narrowed_and_page_by_page() {
    let api = Api::sqlite();
    let (first, older) = api.waiting("a").await;
    let (second, newer) = api.waiting("b").await;
    // Whichever of them comes first, by the dice of its delay.
    let due_at = older["due_at"].as_str().unwrap().max(newer["due_at"].as_str().unwrap());
    let listed = async |query: &str| {
        let page = api.caller.get(&format!("/v1/jobs?{query}")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let payments = page.body["data"].as_array().unwrap().iter().map(|job| job["payment"].clone());
        (payments.collect::<Vec<_>>(), page.body["next_cursor"].as_str().unwrap_or_default().to_owned())
    };

    let (page, cursor) = listed("limit=1").await;
    let (rest, end) = listed(&format!("limit=1&cursor={cursor}")).await;

    assert_eq!((page, rest), (vec![json!(second)], vec![json!(first)]));
    assert_eq!(end, "");
    for (query, count) in [
        ("state=live".to_owned(), 2),
        ("state=parked".to_owned(), 0),
        ("kind=retry".to_owned(), 2),
        ("kind=charge".to_owned(), 0),
        (format!("payment={first}"), 1),
        (format!("payment={first}&kind=refund"), 0),
        ("due_before=2020-01-01T00:00:00Z".to_owned(), 0),
        (format!("due_before={due_at}&state=live"), 1),
    ] {
        assert_eq!(listed(&query).await.0.len(), count, "{query}");
    }
}

#[tokio::test]
async fn what_is_asked_of_jobs_wrongly_is_refused_by_name() {
    let api = Api::sqlite();
    let (_, job) = api.waiting("a").await;
    let id = job["id"].as_str().unwrap();

    for (query, param, remedy) in [
        ("limit=0", "limit", "1 to 200"),
        ("limit=x", "limit", ""),
        ("cursor=pay_1", "cursor", "next_cursor"),
        ("state=done", "state", "live, parked"),
        ("kind=sweep", "kind", "charge, retry, reconcile, withdraw, refund"),
        ("payment=job_1", "payment", "payment id"),
        ("due_before=tomorrow", "due_before", ""),
        ("due_before=%2B10000-01-01T00:00:00Z", "due_before", "9999"),
        ("lane=payments", "lane", ""),
    ] {
        let refused = api.caller.get(&format!("/v1/jobs?{query}")).await;
        assert_problem(&refused, 400, "invalid_parameter", Some(param));
        assert!(refused.body["detail"].as_str().unwrap().contains(remedy), "{query}: {}", refused.body);
    }
    for act in ["retry", "release"] {
        for (body, code, param) in [
            (json!({ "reason": "" }), "invalid_field", "reason"),
            (json!({ "reason": " " }), "invalid_field", "reason"),
            (json!({ "reason": "x".repeat(501) }), "invalid_field", "reason"),
            (json!({ "reason": "a\nb" }), "invalid_field", "reason"),
            (json!({ "reason": 5 }), "invalid_field", "reason"),
            (json!({ "reason": "4242 4242 4242 4242" }), "invalid_field", "reason"),
            (json!({ "due_at": "2020-01-01T00:00:00Z" }), "unknown_field", "due_at"),
        ] {
            assert_problem(&api.act(id, act, &body).await, 422, code, Some(param));
        }
        for unknown in [UNKNOWN, "abc"] {
            assert_problem(&api.act(unknown, act, &json!({})).await, 404, "not_found", None);
        }
    }
    for path in [format!("/v1/jobs/{UNKNOWN}"), "/v1/jobs/abc".to_owned()] {
        assert_problem(&api.caller.get(&path).await, 404, "not_found", None);
    }
    assert_eq!(api.caller.get(&format!("/v1/jobs/{id}")).await.body, job);
}

// S7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sees_or_moves_a_foreign_job() {
    let api = Api::start(Database::postgres().await, &[]);
    let (_, job) = api.waiting("a").await;
    let id = job["id"].as_str().unwrap();
    let store = api.database.open(Clock::system(), Failpoints::default()).await;
    let foreign = store.ensure_tenant("another").await.unwrap().id;
    let own = store.ensure_tenant("development").await.unwrap().id;

    for owner in [Owner { tenant: foreign, livemode: false }, Owner { tenant: own, livemode: true }] {
        let key = store.create_key(owner, everything()).await.unwrap();
        let other = Caller::new(&api.serve.url, key.secret.expose_secret());
        let payment = job["payment"].as_str().unwrap();

        assert_problem(&other.get(&format!("/v1/jobs/{id}")).await, 404, "not_found", None);
        for act in ["retry", "release"] {
            let moved = other.post(&format!("/v1/jobs/{id}/{act}"), None, &json!({})).await;
            assert_problem(&moved, 404, "not_found", None);
        }
        for query in [String::new(), format!("?payment={payment}")] {
            assert_eq!(other.get(&format!("/v1/jobs{query}")).await.body["data"], json!([]));
        }
    }
    assert_eq!(api.caller.get(&format!("/v1/jobs/{id}")).await.body, job);
}

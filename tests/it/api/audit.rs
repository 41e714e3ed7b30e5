//! The audit trail: what people did stands there once, in order, and nothing of it changes.

use super::{Api, assert_problem, everything};
use crate::support::{
    both,
    database::Database,
    process::{Answer, Caller},
};
use dunlin::{
    domain::{clock::Clock, trail::Entry},
    failpoint::Failpoints,
    store::Owner,
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};

both! { what_people_do_is_on_record deeds_at_once_have_one_place_each }

impl Api {
    /// The whole trail, oldest entry first.
    async fn trail(&self) -> Vec<Entry> {
        let listed = self.caller.get("/v1/audit?limit=200").await;
        assert_eq!((listed.status, &listed.body["has_more"]), (200, &json!(false)), "{}", listed.body);
        let mut entries = Vec::<Entry>::deserialize(&listed.body["data"]).unwrap();
        entries.reverse();
        entries
    }
}

fn request(answer: &Answer) -> Option<&str> {
    answer.headers["request-id"].to_str().ok()
}

async fn what_people_do_is_on_record(database: Database) {
    let api = Api::start(database, &[]);
    let id = api.pay("a", "pm_sandbox_insufficient_funds_1").await;
    api.caller.wait_for(&id, "retrying").await;

    let reason = json!({ "reason": "topped up" });
    let retry = api.caller.post(&format!("/v1/payments/{id}/retry"), Some("r"), &reason).await;
    let new = json!({ "name": "reports", "scopes": ["payments:read"] });
    let made = api.caller.post("/v1/api_keys", None, &new).await;
    let key = made.body["id"].as_str().unwrap();
    let revoke = format!("/v1/api_keys/{key}/revoke");
    let revoked = api.caller.post(&revoke, None, &json!({})).await;
    api.caller.post(&revoke, None, &json!({})).await;
    api.caller.post(&format!("/v1/payments/{id}/retry"), Some("r"), &reason).await;
    let moved = api.advance(60).await;
    let refused =
        api.caller.post("/v1/test_clock/advance", None, &json!({ "to": "2020-01-01T00:00:00Z" })).await;

    assert_eq!(refused.status, 422);
    let trail = api.trail().await;
    let told: Vec<_> = trail
        .iter()
        .map(|entry| (entry.action.as_str(), entry.subject.as_str(), entry.request_id.as_deref()))
        .collect();
    let own = trail[0].subject.as_str();
    assert_eq!(
        told,
        [
            ("api_key.create", own, None),
            ("payment.retry", id.as_str(), request(&retry)),
            ("api_key.create", key, request(&made)),
            ("api_key.revoke", key, request(&revoked)),
            ("test_clock.advance", "test_clock", request(&moved)),
        ]
    );
    assert_eq!(trail[0].actor, "dunlin", "the development key is made by the program");
    assert!(trail[1..].iter().all(|entry| entry.actor == own), "{trail:?}");
    let retry = &trail[1];
    assert_eq!(retry.reason.as_deref(), Some("topped up"));
    assert_eq!(
        (retry.before.as_deref(), retry.after.as_deref()),
        (Some("retrying"), Some("retrying: a person wants the next attempt now: topped up"))
    );
    assert_eq!(trail[2].after.as_deref(), Some("reports: payments:read"));
    for (n, entry) in trail.iter().enumerate() {
        assert!(entry.is_sound(n.checked_sub(1).map(|before| &trail[before])), "{entry:?}");
    }
}

async fn deeds_at_once_have_one_place_each(database: Database) {
    let api = Api::start(database, &[]);
    let id = api.pay("a", "pm_sandbox_insufficient_funds_1").await;
    api.caller.wait_for(&id, "retrying").await;

    let (retry, body) = (format!("/v1/payments/{id}/retry"), json!({}));
    let new = json!({ "name": "n", "scopes": ["payments:read"] });
    let keys = (0..20).map(|_| api.caller.post("/v1/api_keys", None, &new));
    let (made, retried) =
        tokio::join!(futures_util::future::join_all(keys), api.caller.post(&retry, Some("r"), &body));

    assert!(made.iter().all(|answer| answer.status == 201));
    assert_eq!(retried.status, 200, "{}", retried.body);
    let trail = api.trail().await;
    assert_eq!(trail.iter().map(|entry| entry.number).collect::<Vec<_>>(), (1..=22).collect::<Vec<_>>());
    assert!(trail.windows(2).all(|pair| pair[1].is_sound(Some(&pair[0]))), "{trail:?}");
}

#[tokio::test]
async fn the_trail_is_told_page_by_page_and_to_its_own_tenant() {
    let api = Api::sqlite();
    for _ in 0..3 {
        api.advance(1).await;
    }

    let first = api.caller.get("/v1/audit?limit=3").await.body;
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = api.caller.get(&format!("/v1/audit?limit=3&cursor={cursor}")).await.body;

    let numbers = |page: &Value| {
        let numbers = page["data"].as_array().unwrap().iter().map(|entry| entry["number"].as_i64().unwrap());
        numbers.collect::<Vec<_>>()
    };
    assert_eq!((numbers(&first), numbers(&rest)), (vec![4, 3, 2], vec![1]));
    assert_eq!(rest["has_more"], false);
    assert_problem(&api.caller.get("/v1/audit?cursor=x").await, 400, "invalid_parameter", Some("cursor"));
    assert_problem(&api.caller.get("/v1/audit?limit=201").await, 400, "invalid_parameter", Some("limit"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_tenant_has_a_trail_of_its_own() {
    let api = Api::start(Database::postgres().await, &[]);
    api.advance(1).await;
    let store = api.database.open(Clock::system(), Failpoints::default()).await;
    let tenant = store.ensure_tenant("another").await.unwrap().id;
    let key = store.create_key(Owner { tenant, livemode: false }, everything()).await.unwrap();
    let other = Caller::new(&api.serve.url, key.secret.expose_secret());

    let theirs = other.get("/v1/audit").await.body;

    assert_eq!(theirs["data"].as_array().unwrap().len(), 1, "{theirs}");
    assert_eq!(theirs["data"][0]["subject"], json!(key.key.id.to_string()));
    assert_eq!(api.trail().await.len(), 2);
}

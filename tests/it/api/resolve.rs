//! Resolving by hand over HTTP: one person says that the money was taken, two that it was not.

use super::{Api, assert_problem, everything, id, payment};
use crate::support::{
    both,
    database::Database,
    process::{Answer, Caller},
};
use dunlin::{domain::clock::Clock, failpoint::Failpoints, store::Owner};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

both! {
    a_payment_is_charged_again_once_when_a_second_person_agrees
    a_payment_is_resolved_as_succeeded_by_one_person_and_not_charged_again
}

impl Api {
    /// Orders a fault of the sandbox.
    async fn break_gateway(&self, fault: &Value) {
        let sandbox = Caller::new(&self.serve.sandbox, "");
        let ordered = sandbox.post("/_sandbox/faults", None, fault).await;
        assert!(ordered.status < 300, "{}", ordered.body);
    }

    /// The charge that the sandbox has captured for the payment, which is the only one.
    async fn captured_charge(&self, id: &str) -> String {
        let sandbox = Caller::new(&self.serve.sandbox, "");
        let page = sandbox.get("/_sandbox/captures?after=0&limit=100").await.body;
        let captures = page["captures"].as_array().unwrap();
        let ours: Vec<_> = captures.iter().filter(|it| it["metadata"]["dunlin_payment"] == id).collect();
        assert_eq!(ours.len(), 1, "{page}");
        ours[0]["charge"].as_str().unwrap().to_owned()
    }

    async fn mend_gateway(&self) {
        let sandbox = Caller::new(&self.serve.sandbox, "");
        let mended = sandbox.raw(|http, url| http.delete(format!("{url}/_sandbox/faults"))).await;
        assert!(mended.status < 300, "{}", mended.body);
    }

    /// A payment in review: what was sent met the fault, and for more than a day nothing could be found out.
    async fn in_review(&self, fault: &str) -> String {
        self.break_gateway(&json!({ "fault": fault, "times": 1 })).await;
        self.break_gateway(&json!({ "fault": "unavailable_before", "method": "any" })).await;
        let id = self.pay("a", "pm_card_visa").await;
        assert_eq!(self.advance(40 * 3600).await.status, 200);
        self.caller.wait_for(&id, "needs_review").await;
        id
    }

    async fn resolve(&self, by: &Caller, id: &str, key: &str, body: &Value) -> Answer {
        by.post(&format!("/v1/payments/{id}/resolve"), Some(key), body).await
    }

    /// Another person, with a key of their own.
    async fn second(&self) -> Caller {
        let key = json!({ "name": "second", "scopes": ["approve_unknown"] });
        let made = self.caller.post("/v1/api_keys", None, &key).await;
        Caller::new(&self.serve.url, made.body["secret"].as_str().unwrap())
    }
}

fn proposal(outcome: &str) -> Value {
    json!({ "outcome": outcome, "reason": "the gateway found nothing", "evidence": "ticket 4711" })
}

/// An approval of what the answer to a proposal shows.
fn approval(outcome: &str, proposed: &Answer) -> Value {
    json!({ "outcome": outcome, "approve": proposed.body["resolution"]["id"] })
}

// S1.12
async fn a_payment_is_charged_again_once_when_a_second_person_agrees(database: Database) {
    let api = Api::start(database, &[]);
    let id = api.in_review("cut_before").await;
    let second = api.second().await;
    let first = &api.caller;

    let proposed = api.resolve(first, &id, "k1", &proposal("charge_again")).await;
    let again = api.resolve(first, &id, "k2", &proposal("charge_again")).await;
    let alone = api.resolve(first, &id, "k3", &approval("charge_again", &proposed)).await;
    let same = api.resolve(&second, &id, "k4", &proposal("charge_again")).await;
    let stale = json!({ "outcome": "charge_again", "approve": "res_0190000000007000800000000000000a" });
    let stale = api.resolve(&second, &id, "k8", &stale).await;
    let other = api.resolve(&second, &id, "k5", &approval("canceled", &proposed)).await;
    api.mend_gateway().await;
    let agreed = api.resolve(&second, &id, "k6", &approval("charge_again", &proposed)).await;
    let replayed = api.resolve(&second, &id, "k6", &approval("charge_again", &proposed)).await;
    let paid = api.caller.wait_for(&id, "succeeded").await;
    let late = api.resolve(&second, &id, "k7", &approval("charge_again", &proposed)).await;

    let said = &proposed.body["resolution"];
    assert_eq!((proposed.status, &proposed.body["status"]), (200, &json!("needs_review")));
    for (field, value) in [
        ("outcome", json!("charge_again")),
        ("reason", json!("the gateway found nothing")),
        ("evidence", json!("ticket 4711")),
        ("approved_by", Value::Null),
        ("resolved_at", Value::Null),
    ] {
        assert_eq!(said[field], value, "{field}: {said}");
    }
    assert!(said["proposed_by"].as_str().unwrap().starts_with("key_"), "{said}");
    assert_eq!((again.status, &again.body), (200, &proposed.body), "it is said already");
    assert_problem(&alone, 409, "second_approver_needed", None);
    assert_problem(&same, 409, "already_proposed", None);
    assert_problem(&stale, 409, "not_proposed", None);
    assert_problem(&other, 409, "not_proposed", None);
    assert_eq!(other.body["payment"], json!(id));
    assert_eq!(agreed.status, 200, "{}", agreed.body);
    let said = &agreed.body["resolution"];
    assert!(said["approved_by"].is_string() && said["resolved_at"].is_string(), "{said}");
    assert_eq!((replayed.status, &replayed.headers["idempotent-replayed"]), (200, &"true".parse().unwrap()));
    assert_eq!((paid["attempt_count"].as_u64(), api.captures(&id).await), (Some(2), 1));
    assert_problem(&late, 409, "payment_not_resolvable", None);
    let trail = api.caller.get("/v1/audit").await.body;
    let said = trail["data"].as_array().unwrap().iter().filter(|entry| entry["action"] == "payment.resolve");
    let said: Vec<_> = said.map(|entry| entry["after"].as_str().unwrap()).collect();
    assert!(said[0].starts_with("pending: charge_again is approved"), "the newest first: {said:?}");
    assert!(said[1].starts_with("needs_review: charge_again is proposed"), "{said:?}");
    assert!(said.iter().all(|after| after.contains("ticket 4711")), "{said:?}");
}

// S1.12
async fn a_payment_is_resolved_as_succeeded_by_one_person_and_not_charged_again(database: Database) {
    let api = Api::start(database, &[]);
    let id = api.in_review("cut_after").await;
    let charge = api.captured_charge(&id).await;
    let body = json!({ "outcome": "succeeded", "reason": "seen", "evidence": "https://dashboard.example/1",
        "charge": charge });

    let unseen = api.resolve(&api.caller, &id, "k", &body).await;
    api.mend_gateway().await;
    let paid = api.resolve(&api.caller, &id, "k", &body).await;
    let replayed = api.resolve(&api.caller, &id, "k", &body).await;
    assert_eq!(api.advance(10 * 86_400).await.status, 200);

    assert_eq!(unseen.status, 503, "{}", unseen.body);
    assert_eq!((paid.status, &paid.body["status"]), (200, &json!("succeeded")), "{}", paid.body);
    assert_eq!(paid.body["amount_received"], 1250);
    assert_eq!((replayed.status, &replayed.headers["idempotent-replayed"]), (200, &"true".parse().unwrap()));
    let attempts = api.caller.get(&format!("/v1/payments/{id}/attempts")).await.body;
    assert_eq!(attempts["data"][0]["gateway_charge"], json!(charge));
    assert_eq!(api.captures(&id).await, 1);
    assert_eq!(api.caller.get(&format!("/v1/jobs?payment={id}")).await.body["data"], json!([]));
    let timeline = api.caller.get(&format!("/v1/payments/{id}/timeline")).await.body;
    let told = timeline["data"].as_array().unwrap().iter().find(|entry| entry["cause"] == "resolve").unwrap();
    assert_eq!(
        told["detail"],
        format!("resolved as succeeded, by {charge}: seen (evidence: https://dashboard.example/1)")
    );
    assert!(told["actor"].as_str().unwrap().starts_with("key_"), "{told}");
}

#[tokio::test]
async fn a_word_that_is_wrong_is_refused_by_name() {
    let api = Api::sqlite();
    let id = api.in_review("cut_before").await;
    let before = api.caller.get(&format!("/v1/payments/{id}")).await.body;
    let path = format!("/v1/payments/{id}/resolve");
    let with = |field: &str, value: Value| {
        let mut body = proposal("canceled");
        body[field] = value;
        body
    };
    let succeeded = |field: &str, value: Value| {
        let mut body = with("outcome", json!("succeeded"));
        body["charge"] = json!("ch_1");
        body[field] = value;
        body
    };
    let without = |field: &str| {
        let mut body = proposal("canceled");
        body.as_object_mut().unwrap().remove(field);
        body
    };
    let proposed = "res_0190000000007000800000000000000a";
    let mut approved = json!({ "outcome": "canceled", "approve": proposed });
    approved["evidence"] = json!("ticket 1");

    for (body, code, param, remedy) in [
        (without("outcome"), "invalid_field", "outcome", "missing"),
        (with("outcome", json!("failed")), "invalid_field", "outcome", "charge_again"),
        (with("outcome", Value::Null), "invalid_field", "outcome", ""),
        (without("reason"), "invalid_field", "reason", "why"),
        (with("reason", json!("")), "invalid_field", "reason", "empty"),
        (with("reason", json!("x".repeat(501))), "invalid_field", "reason", "500"),
        (with("reason", json!("a\u{0}")), "invalid_field", "reason", "control"),
        (with("reason", json!("4242 4242 4242 4242")), "invalid_field", "reason", "card number"),
        (without("evidence"), "invalid_field", "evidence", "where"),
        (with("evidence", json!(" ")), "invalid_field", "evidence", "empty"),
        (with("evidence", json!("x".repeat(501))), "invalid_field", "evidence", "500"),
        (with("evidence", json!("4242 4242 4242 4242")), "invalid_field", "evidence", "card number"),
        (with("charge", json!("ch_1")), "invalid_field", "charge", "leave it out"),
        (succeeded("charge", Value::Null), "invalid_field", "charge", "id of the charge"),
        (succeeded("charge", json!("")), "invalid_field", "charge", "empty"),
        (succeeded("charge", json!("x".repeat(256))), "invalid_field", "charge", "255"),
        (succeeded("charge", json!("4242 4242 4242 4242")), "invalid_field", "charge", "card number"),
        (succeeded("approve", json!(proposed)), "invalid_field", "approve", "one person"),
        (with("approve", json!(true)), "invalid_field", "approve", ""),
        (approved, "invalid_field", "evidence", "leave it out"),
        (with("status", json!("succeeded")), "unknown_field", "status", "expected"),
    ] {
        let refused = api.resolve(&api.caller, &id, "k", &body).await;
        assert_problem(&refused, 422, code, Some(param));
        assert!(refused.body["detail"].as_str().unwrap().contains(remedy), "{body}: {}", refused.body);
    }
    let keyless = api.caller.post(&path, None, &proposal("canceled")).await;
    assert_problem(&keyless, 400, "idempotency_key_missing", Some("Idempotency-Key"));
    let unknown = "pay_0190000000007000800000000000000a";
    let unknown = api.resolve(&api.caller, unknown, "k", &proposal("canceled")).await;
    assert_problem(&unknown, 404, "not_found", None);
    assert_eq!(api.caller.get(&format!("/v1/payments/{id}")).await.body, before);
}

// S7
#[tokio::test]
async fn who_may_do_all_else_may_not_resolve() {
    let api = Api::sqlite();
    let paid = id(&api.create("a", &payment("pm_card_visa")).await.body);
    let admin = json!({ "name": "admin", "scopes": ["admin"] });
    let made = api.caller.post("/v1/api_keys", None, &admin).await;
    let admin = Caller::new(&api.serve.url, made.body["secret"].as_str().unwrap());

    let refused = api.resolve(&admin, &paid, "k", &proposal("canceled")).await;

    assert_problem(&refused, 403, "insufficient_scope", Some("Authorization"));
    assert_eq!(refused.body["scope"], "approve_unknown");
}

#[tokio::test]
async fn only_a_payment_in_review_is_resolved() {
    let api = Api::sqlite();
    let paid = api.pay("a", "pm_card_visa").await;
    let before = api.caller.wait_for(&paid, "succeeded").await;

    let refused = api.resolve(&api.caller, &paid, "k", &proposal("canceled")).await;

    assert_problem(&refused, 409, "payment_not_resolvable", None);
    assert!(refused.body["detail"].as_str().unwrap().contains("is succeeded"), "{}", refused.body);
    assert_eq!(api.caller.get(&format!("/v1/payments/{paid}")).await.body, before);
}

// S1.4
#[tokio::test]
async fn a_charge_that_paid_for_something_else_is_refused() {
    let api = Api::sqlite();
    let other = api.pay("other", "pm_card_visa").await;
    api.caller.wait_for(&other, "succeeded").await;
    let attempts = api.caller.get(&format!("/v1/payments/{other}/attempts")).await.body;
    let id = api.in_review("cut_before").await;
    api.mend_gateway().await;
    let mut body = proposal("succeeded");
    body["charge"] = attempts["data"][0]["gateway_charge"].clone();

    let refused = api.resolve(&api.caller, &id, "k", &body).await;

    assert_problem(&refused, 422, "invalid_field", Some("charge"));
    assert!(!refused.body.to_string().contains(&other), "whose it is, is told to nobody: {}", refused.body);
}

// S7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_resolves_a_foreign_payment() {
    let api = Api::start(Database::postgres().await, &[]);
    let id = api.in_review("cut_before").await;
    let before = api.caller.get(&format!("/v1/payments/{id}")).await.body;
    let store = api.database.open(Clock::system(), Failpoints::default()).await;
    let tenant = store.ensure_tenant("another").await.unwrap().id;
    let key = store.create_key(Owner { tenant, livemode: false }, everything()).await.unwrap();
    let other = Caller::new(&api.serve.url, key.secret.expose_secret());

    let refused = api.resolve(&other, &id, "k", &proposal("canceled")).await;

    assert_problem(&refused, 404, "not_found", None);
    assert_eq!(api.caller.get(&format!("/v1/payments/{id}")).await.body, before);
}

//! Refunds over HTTP: made, told, listed, and refused with the field and the remedy.

use super::{Api, assert_problem, id};
use crate::support::process::{Answer, Caller};
use serde_json::{Value, json};

impl Api {
    /// A payment of 12.50 that was captured.
    async fn captured(&self) -> String {
        let body = super::payment("pm_card_visa");
        let answer = self.create_with("paid", ("prefer", "wait=10"), &body).await;
        assert_eq!(answer.body["status"], "succeeded", "{}", answer.body);
        id(&answer.body)
    }

    async fn refund(&self, payment: &str, key: Option<&str>, body: &Value) -> Answer {
        self.caller.post(&format!("/v1/payments/{payment}/refunds"), key, body).await
    }

    /// The refund once the gateway has had its say.
    async fn settled(&self, refund: &str) -> Value {
        loop {
            let answer = self.caller.get(&format!("/v1/refunds/{refund}")).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            if !matches!(answer.body["status"].as_str(), Some("pending" | "sending")) {
                return answer.body;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_refund_is_made_carried_out_and_told() {
    let api = Api::sqlite();
    let payment = api.captured().await;
    let body = json!({ "amount": 500, "reason": "two of five were broken", "metadata": { "case": "c-1" } });

    let made = api.refund(&payment, Some("key"), &body).await;
    let again = api.refund(&payment, Some("key"), &body).await;
    let settled = api.settled(&id(&made.body)).await;

    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(id(&made.body), id(&again.body));
    for (field, value) in [
        ("object", json!("refund")),
        ("payment", json!(payment)),
        ("status", json!("succeeded")),
        ("amount", json!(500)),
        ("currency", json!("EUR")),
        ("cause", json!("requested")),
        ("reason", json!("two of five were broken")),
        ("metadata", json!({ "case": "c-1" })),
        ("failure", Value::Null),
        ("version", json!(3)),
    ] {
        assert_eq!(settled[field], value, "{field}: {settled}");
    }
    assert!(settled["gateway_refund"].as_str().is_some_and(|id| id.starts_with("re_")), "{settled}");
    let told = api.caller.get(&format!("/v1/payments/{payment}")).await.body;
    assert_eq!((&told["amount_refunded"], &told["amount_refunding"]), (&json!(500), &json!(0)));
    assert_eq!(told["status"], "succeeded");
}

#[tokio::test]
async fn refunds_are_listed_by_payment_and_status_page_by_page() {
    let api = Api::sqlite();
    let payment = api.captured().await;
    for n in 0..3 {
        let made = api.refund(&payment, Some(&format!("key {n}")), &json!({ "amount": 100 })).await;
        api.settled(&id(&made.body)).await;
    }

    for path in ["/v1/refunds".to_owned(), format!("/v1/payments/{payment}/refunds")] {
        let first = api.caller.get(&format!("{path}?limit=2&status=succeeded")).await.body;
        let cursor = first["next_cursor"].as_str().unwrap();
        let second = api.caller.get(&format!("{path}?limit=2&status=succeeded&cursor={cursor}")).await.body;
        let ids = |page: &Value| page["data"].as_array().unwrap().iter().map(id).collect::<Vec<_>>();
        let all = [ids(&first), ids(&second)].concat();
        assert_eq!(
            (all.len(), first["has_more"].as_bool(), second["has_more"].as_bool()),
            (3, Some(true), Some(false))
        );
        assert!(all.windows(2).all(|pair| pair[0] > pair[1]), "{all:?}");
        assert_eq!(api.caller.get(&format!("{path}?status=failed")).await.body["data"], json!([]));
    }
}

#[tokio::test]
async fn the_timeline_tells_a_refund_beside_its_payment() {
    let api = Api::sqlite();
    let payment = api.captured().await;
    let made = api.refund(&payment, Some("key"), &json!({})).await;
    let refund = id(&made.body);
    api.settled(&refund).await;

    let timeline = api.caller.get(&format!("/v1/payments/{payment}/timeline")).await.body;

    let entries = timeline["data"].as_array().unwrap();
    let of_refund = || entries.iter().filter(|entry| entry["refund"] == refund.as_str());
    let causes: Vec<_> = of_refund().filter_map(|entry| entry["cause"].as_str()).collect();
    assert_eq!(causes, ["refund_created", "refund_send", "refund_answered"]);
    let calls: Vec<_> = of_refund().filter_map(|entry| entry["request"].as_str()).collect();
    assert_eq!(calls, ["POST /v1/refunds"]);
}

#[tokio::test]
async fn what_cannot_be_refunded_is_refused_by_field_and_reason() {
    let api = Api::sqlite();
    let payment = api.captured().await;
    let refuse = async |body: Value| api.refund(&payment, Some("key"), &body).await;

    for amount in [json!(0), json!(-1), json!(1251), json!(9_007_199_254_740_993_i64)] {
        let answer = refuse(json!({ "amount": amount })).await;
        assert_problem(&answer, 422, "invalid_field", Some("amount"));
    }
    for (field, value) in [
        ("amount", json!("5.00")),
        ("amount", json!(5.5)),
        ("reason", json!("4242424242424242")),
        ("reason", json!("x".repeat(501))),
        ("metadata", json!({ "": "x" })),
        ("currency", json!("EUR")),
    ] {
        let answer = refuse(json!({ field: value })).await;
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert_eq!(answer.body["param"], field, "{}", answer.body);
    }
    assert_problem(
        &api.refund(&payment, None, &json!({})).await,
        400,
        "idempotency_key_missing",
        Some("Idempotency-Key"),
    );
    // Nothing of all that was remembered under the key, or given back.
    let made = refuse(json!({ "amount": 1250 })).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let other = refuse(json!({ "amount": 1 })).await;
    assert_problem(&other, 422, "idempotency_key_reused", Some("Idempotency-Key"));
    let nothing_left = api.refund(&payment, Some("another"), &json!({})).await;
    assert_problem(&nothing_left, 409, "payment_not_refundable", None);
}

#[tokio::test]
async fn what_is_not_there_or_not_theirs_is_not_found() {
    let api = Api::sqlite();
    let unknown = "pay_0190000000007000800000000000000a";

    for path in [
        "/v1/refunds/rfd_0190000000007000800000000000000a".to_owned(),
        "/v1/refunds/nonsense".to_owned(),
        format!("/v1/payments/{unknown}/refunds"),
    ] {
        assert_problem(&api.caller.get(&path).await, 404, "not_found", None);
    }
    assert_problem(&api.refund(unknown, Some("key"), &json!({})).await, 404, "not_found", None);
    let page = api.caller.get("/v1/refunds?status=lost").await;
    assert_problem(&page, 400, "invalid_parameter", Some("status"));
}

#[tokio::test]
async fn a_disputed_payment_shows_its_dispute_and_refuses_refunds() {
    let api = Api::sqlite();
    let payment = api.captured().await;
    let attempts = api.caller.get(&format!("/v1/payments/{payment}/attempts")).await.body;
    let charge = &attempts["data"][0]["gateway_charge"];
    let gateway = Caller::new(&api.serve.sandbox, "");
    let dispute = gateway.post("/_sandbox/disputes", None, &json!({ "charge": charge })).await.body;

    // No event comes; the charge is read anew before anything is sent.
    let ordered = api.refund(&payment, Some("late"), &json!({})).await;
    let refund = id(&ordered.body);
    let failed = api.settled(&refund).await;
    let refused = api.refund(&payment, Some("later"), &json!({})).await;
    let again = api.caller.post(&format!("/v1/refunds/{refund}/retry"), Some("again"), &json!({})).await;
    let told = api.caller.get(&format!("/v1/payments/{payment}")).await.body;
    let listed = api.caller.get("/v1/payments?limit=1").await.body;

    assert_eq!((ordered.status, &failed["status"]), (201, &json!("failed")));
    assert_problem(&refused, 409, "payment_disputed", None);
    assert_problem(&again, 409, "payment_disputed", None);
    assert_eq!((&told["status"], &told["dispute"]["id"]), (&json!("succeeded"), &dispute["id"]));
    assert_eq!(listed["data"][0]["dispute"], told["dispute"]);
}

#[tokio::test]
async fn a_failed_refund_is_tried_again_by_another_one() {
    let api = Api::sqlite();
    let payment = api.captured().await;
    let made = id(&api.refund(&payment, Some("key"), &json!({ "amount": 500 })).await.body);
    let settled = api.settled(&made).await;
    let retry = async |refund: &str, key: &str| {
        api.caller.post(&format!("/v1/refunds/{refund}/retry"), Some(key), &json!({ "reason": "r" })).await
    };
    let early = retry(&made, "early").await;
    let gateway = Caller::new(&api.serve.sandbox, "");
    let path = format!("/_sandbox/refunds/{}", settled["gateway_refund"].as_str().unwrap());
    assert_eq!(gateway.post(&path, None, &json!({ "status": "failed" })).await.status, 200);
    // The next refund reads the charge, and so learns that the first one has failed late.
    api.settled(&id(&api.refund(&payment, Some("other"), &json!({ "amount": 1 })).await.body)).await;

    let second = retry(&made, "later").await;
    let replayed = retry(&made, "later").await;
    let twice = retry(&made, "twice").await;
    let done = api.settled(&id(&second.body)).await;

    assert_problem(&early, 409, "refund_not_retriable", None);
    assert_problem(&twice, 409, "refund_not_retriable", None);
    assert_eq!((second.status, id(&replayed.body)), (201, id(&second.body)));
    assert_eq!(
        (&done["status"], &done["retry_of"], &done["amount"]),
        (&json!("succeeded"), &json!(made), &json!(500))
    );
    let told = api.caller.get(&format!("/v1/payments/{payment}")).await.body;
    assert_eq!(told["amount_refunded"], 501);
    assert_eq!(api.caller.get("/v1/refunds?needs_review=true").await.body["data"], json!([]));
}

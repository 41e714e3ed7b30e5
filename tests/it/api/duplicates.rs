//! The duplicate window (S2.7): a second payment just like the first is taken for a mistake unless it is meant.

use super::{Api, assert_problem, id, payment};
use crate::support::{both, database::Database, process::captures};
use futures_util::future::join_all;
use serde_json::{Value, json};

both! {
    an_alike_payment_under_another_key_is_refused_and_leaves_its_key_free
    of_alike_payments_sent_at_once_exactly_one_is_made
    of_alike_payments_in_one_batch_exactly_one_is_made
    what_was_canceled_or_failed_stands_in_nobodys_way
    a_customer_is_the_same_by_either_of_their_names
}

fn watchful(database: Database) -> Api {
    Api::start(database, &[("DUNLIN_PAYMENTS__DUPLICATE_WINDOW_S", "600")])
}

async fn an_alike_payment_under_another_key_is_refused_and_leaves_its_key_free(database: Database) {
    let api = watchful(database);
    let body = payment("pm_card_visa");
    let first = api.pay("a", "pm_card_visa").await;

    let refused = api.create("b", &body).await;
    let again = api.create("b", &body).await;
    let wrong = api.create_with("b", ("x-allow-duplicate", "maybe"), &body).await;
    let meant = api.create_with("b", ("x-allow-duplicate", "true"), &body).await;

    for refused in [refused, again] {
        assert_problem(&refused, 409, "duplicate_payment", None);
        assert_eq!(refused.body["payment"], json!(first));
    }
    assert_problem(&wrong, 400, "invalid_header", Some("X-Allow-Duplicate"));
    assert_eq!(meant.status, 201, "{}", meant.body);
    assert!(!meant.headers.contains_key("idempotent-replayed"));
    let replay = api.create("a", &body).await;
    assert_eq!((replay.status, &replay.body["id"]), (201, &json!(first)), "{}", replay.body);
    for (key, field, value) in [
        ("c", "amount", json!(1251)),
        ("d", "currency", json!("USD")),
        ("e", "customer", json!("cus_2")),
        ("f", "customer", Value::Null),
        ("g", "customer", Value::Null),
        ("h", "reference", json!("INV-1")),
        ("i", "reference", json!("INV-2")),
    ] {
        let mut other = body.clone();
        other[field] = value;
        let taken = api.create(key, &other).await;
        assert_eq!(taken.status, 201, "{key}: {}", taken.body);
    }
    assert_eq!(api.advance(601).await.status, 200);
    assert_eq!(api.create("j", &body).await.status, 201, "the window is over");
}

async fn of_alike_payments_sent_at_once_exactly_one_is_made(database: Database) {
    let api = watchful(database);
    let body = payment("pm_card_visa");

    let keys: Vec<_> = (0..60).map(|n| format!("key-{n}")).collect();
    let answers = join_all(keys.iter().map(|key| api.create(key, &body))).await;

    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(made.len(), 1);
    let first = id(&made[0].body);
    for refused in refused {
        assert_problem(refused, 409, "duplicate_payment", None);
        assert_eq!(refused.body["payment"], json!(first));
    }
    assert_charged_once(&api, &first).await;
}

async fn of_alike_payments_in_one_batch_exactly_one_is_made(database: Database) {
    let api = watchful(database);
    let items: Vec<_> = ["a", "b", "b", "c"]
        .iter()
        .map(|key| {
            let mut item = payment("pm_card_visa");
            item["idempotency_key"] = json!(key);
            item
        })
        .collect();

    let answer = api.caller.post("/v1/payments/batch", None, &json!({ "payments": items })).await.body;

    let statuses: Vec<_> = answer["data"].as_array().unwrap().iter().map(|item| &item["status"]).collect();
    let made = statuses.iter().filter(|status| **status == 201).count();
    assert_eq!(answer["accepted"], json!(made));
    let payments = api.list("").await;
    assert_eq!(payments.len(), 1, "{answer}");
    assert_charged_once(&api, &id(&payments[0])).await;
}

async fn assert_charged_once(api: &Api, payment: &str) {
    api.caller.wait_for(payment, "succeeded").await;
    assert_eq!(api.list("").await.len(), 1);
    assert!(captures(&api.serve.sandbox).await.into_values().eq([1]));
}

async fn what_was_canceled_or_failed_stands_in_nobodys_way(database: Database) {
    let api = watchful(database);
    let failed = api.pay("a", "pm_card_chargeDeclinedFraudulent").await;
    api.caller.wait_for(&failed, "failed").await;
    let waiting = api.pay("b", "pm_sandbox_insufficient_funds_1").await;
    api.caller.wait_for(&waiting, "retrying").await;

    let beside = api.create("c", &payment("pm_card_visa")).await;
    let canceled = api.caller.post(&format!("/v1/payments/{waiting}/cancel"), None, &json!({})).await;
    let instead = api.create("c", &payment("pm_card_visa")).await;

    assert_problem(&beside, 409, "duplicate_payment", None);
    assert_eq!(canceled.body["status"], "canceled", "{}", canceled.body);
    assert_eq!(instead.status, 201, "{}", instead.body);
}

async fn a_customer_is_the_same_by_either_of_their_names(database: Database) {
    let api = watchful(database);
    let ours = api.customer(&json!({ "external_id": "u-1" })).await;
    let other = api.customer(&json!({ "external_id": "u-2" })).await;
    let of = |customer: &str, reference: &str| {
        let mut body = payment("pm_card_visa");
        body["customer"] = json!(customer);
        body["reference"] = json!(reference);
        body
    };

    for (n, (first, second)) in
        [("u-1", ours.as_str()), (&ours, "u-1"), (&ours, " u-1 ")].into_iter().enumerate()
    {
        let reference = format!("INV-{n}");
        let taken = api.create(&format!("first-{n}"), &of(first, &reference)).await;
        let refused = api.create(&format!("second-{n}"), &of(second, &reference)).await;
        assert_eq!(taken.status, 201, "{}", taken.body);
        assert_problem(&refused, 409, "duplicate_payment", None);
        assert_eq!(refused.body["payment"], taken.body["id"]);
        for (n, another) in ["u-2", other.as_str(), "u-3"].into_iter().enumerate() {
            let taken =
                api.create(&format!("{reference}-{n}"), &of(another, &format!("{reference}-{n}"))).await;
            assert_eq!(taken.status, 201, "{another}: {}", taken.body);
        }
    }
    let items: Vec<_> = [("a", "u-1"), ("b", ours.as_str()), ("c", "u-2")]
        .iter()
        .map(|(key, customer)| {
            let mut item = of(customer, "in one batch");
            item["idempotency_key"] = json!(key);
            item
        })
        .collect();
    let answer = api.caller.post("/v1/payments/batch", None, &json!({ "payments": items })).await.body;
    assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(2), &json!(1)), "{answer}");
}

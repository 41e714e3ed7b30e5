//! Reading: pages, filters, attempts, the timeline; and that nobody reads what is another's.

use super::{Api, assert_problem, everything, id, payment};
use crate::support::{database::Database, process::Caller};
use dunlin::{domain::clock::Clock, failpoint::Failpoints, store::Owner};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn pages_show_each_payment_once_and_filters_narrow_them() {
    let api = Api::sqlite();
    let items: Vec<_> = (0..130)
        .map(|n| {
            let method = if n % 10 == 0 { "pm_card_chargeDeclinedFraudulent" } else { "pm_card_visa" };
            let mut item = payment(method);
            item["idempotency_key"] = json!(format!("k{n}"));
            item["customer"] = json!(format!("cus_{}", n % 2));
            item["reference"] = json!(format!("INV {n}+ü"));
            item
        })
        .collect();
    let made = api.caller.post("/v1/payments/batch", None, &json!({ "payments": items })).await.body;
    assert_eq!(made["accepted"], 130);
    assert_eq!(api.advance(1).await.status, 200, "everything that is due is done");
    let made: BTreeSet<_> =
        made["data"].as_array().unwrap().iter().map(|item| id(&item["payment"])).collect();

    let all = api.list("limit=50").await;

    assert_eq!(all.len(), 130);
    assert_eq!(all.iter().map(id).collect::<BTreeSet<_>>(), made);
    assert!(all.is_sorted_by(|newer, older| id(newer) > id(older)));
    assert_eq!(api.list("limit=200").await, all);
    assert_eq!(api.list("status=failed&limit=3").await.len(), 13);
    assert_eq!(api.list("status=succeeded&customer=cus_1").await.len(), 65);
    assert_eq!(api.list("customer=cus_0&limit=7").await.len(), 65);
    assert_eq!(api.list("reference=INV%2010%2B%C3%BC").await.len(), 1);
    assert_eq!(api.list("customer=nobody").await.len(), 0);
    let moment = all[64]["created_at"].as_str().unwrap();
    let before = api.list(&format!("created_before={moment}")).await;
    let since = api.list(&format!("created_from={moment}")).await;
    assert_eq!(before.len() + since.len(), 130);
    assert!(since.iter().all(|payment| payment["created_at"].as_str().unwrap() >= moment));
}

#[tokio::test]
async fn payments_are_named_by_their_ids_and_only_the_callers_own_are_told() {
    let api = Api::sqlite();
    let (one, two) = (api.pay("a", "pm_card_visa").await, api.pay("b", "pm_card_visa").await);
    let unknown = format!("pay_{}", "0".repeat(32));

    let named = api.caller.get(&format!("/v1/payments?ids={one},{unknown},{two},{one}")).await;
    let many = vec![one.clone(); 201].join(",");
    let same = api.caller.get(&format!("/v1/payments?ids={many}")).await;

    let ids: BTreeSet<_> = named.body["data"].as_array().unwrap().iter().map(id).collect();
    assert_eq!(ids, BTreeSet::from([one.clone(), two]));
    assert_eq!(
        (named.body["has_more"].as_bool(), same.body["data"].as_array().map(Vec::len)),
        (Some(false), Some(1))
    );
    let different: Vec<_> = (0..201).map(|n| format!("pay_{n:032x}")).collect();
    for wrong in [
        &different.join(","),
        "",
        "pay_1",
        "everything",
        &format!("{one}&status=failed"),
        &format!("{one}&limit=1"),
    ] {
        let answer = api.caller.get(&format!("/v1/payments?ids={wrong}")).await;
        assert_problem(&answer, 400, "invalid_parameter", Some("ids"));
    }
}

#[tokio::test]
async fn attempts_and_timeline_tell_the_whole_story_and_no_secret() {
    let api = Api::sqlite();
    let id = api.pay("a", "pm_sandbox_insufficient_funds_1").await;
    api.caller.wait_for(&id, "retrying").await;
    assert_eq!(api.advance(3 * 86_400).await.status, 200);

    let attempts = api.caller.get(&format!("/v1/payments/{id}/attempts")).await.body;
    let timeline = api.caller.get(&format!("/v1/payments/{id}/timeline")).await.body;

    let attempts = attempts["data"].as_array().unwrap();
    let told: Vec<_> = attempts.iter().map(|a| (a["number"].as_u64(), a["status"].as_str())).collect();
    assert_eq!(told, [(Some(1), Some("declined")), (Some(2), Some("succeeded"))]);
    let entries = timeline["data"].as_array().unwrap();
    let transitions: Vec<_> = entries.iter().filter(|entry| entry["object"] == "transition").collect();
    let versions: Vec<_> = transitions.iter().map(|entry| entry["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, (1..=u64::try_from(versions.len()).unwrap()).collect::<Vec<_>>());
    for pair in transitions.windows(2) {
        assert_eq!(pair[0]["to"], pair[1]["from"], "{timeline}");
    }
    assert_eq!(transitions.last().unwrap()["to"], "succeeded");
    let exchanges: Vec<_> = entries.iter().filter(|entry| entry["object"] == "exchange").collect();
    let charges = exchanges.iter().filter(|exchange| exchange["http_status"].is_number());
    assert_eq!(charges.count(), exchanges.len(), "each call has its answer: {timeline}");
    assert!(exchanges.len() >= 2, "{timeline}");
    assert_eq!(timeline["jobs"], json!([]));
    let text = timeline.to_string();
    for secret in ["sk_test", "client_secret", &api.serve.key] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn only_a_known_key_is_let_in() {
    let api = Api::sqlite();
    let get = |name: &'static str, value: String| {
        let request = move |http: &reqwest::Client, url: &str| {
            http.get(format!("{url}/v1/payments")).header(name, value)
        };
        api.caller.raw(request)
    };
    let key = &api.serve.key;

    for good in [("authorization", format!("Bearer {key}")), ("x-api-key", key.clone())] {
        assert_eq!(get(good.0, good.1).await.status, 200);
    }
    for bad in [
        ("accept", "*/*".to_owned()),
        ("authorization", "Bearer".to_owned()),
        ("authorization", "Bearer ".to_owned()),
        ("authorization", format!("Basic {key}")),
        ("authorization", key.clone()),
        ("authorization", format!("Bearer {key}0")),
        ("authorization", format!("Bearer {}", key.replace("dk_test_", "dk_live_"))),
        ("authorization", format!("Bearer {}", key.to_uppercase())),
        ("x-api-key", "dk_test_0000000000000000".to_owned()),
        ("x-api-key", "ü".repeat(5000)),
    ] {
        let refused = get(bad.0, bad.1).await;
        assert_problem(&refused, 401, "unauthorized", Some("Authorization"));
        assert_eq!(refused.headers["www-authenticate"], "Bearer");
        assert!(!refused.body.to_string().contains(key.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reaches_what_is_another_tenants_or_the_other_environments() {
    let api = Api::start(Database::postgres().await, &[]);
    let mine = api.pay("a", "pm_sandbox_insufficient_funds_1").await;
    api.caller.wait_for(&mine, "retrying").await;
    let store = api.database.open(Clock::system(), Failpoints::default()).await;
    let foreign = store.ensure_tenant("another").await.unwrap().id;
    let own = store.ensure_tenant("development").await.unwrap().id;

    for owner in [Owner { tenant: foreign, livemode: false }, Owner { tenant: own, livemode: true }] {
        let key = store.create_key(owner, everything()).await.unwrap();
        let other = Caller::new(&api.serve.url, key.secret.expose_secret());
        for path in ["", "/attempts", "/timeline"] {
            let hidden = other.get(&format!("/v1/payments/{mine}{path}")).await;
            assert_problem(&hidden, 404, "not_found", None);
        }
        let cancel = other.post(&format!("/v1/payments/{mine}/cancel"), None, &json!({})).await;
        assert_problem(&cancel, 404, "not_found", None);
        let named = other.get(&format!("/v1/payments?ids={mine}")).await.body;
        assert_eq!(named["data"], json!([]));
        let cursor = other.get(&format!("/v1/payments?cursor={mine}")).await.body;
        assert_eq!(cursor["data"], json!([]));
        // The same key is another key there.
        let theirs = other.post("/v1/payments", Some("a"), &payment("pm_card_visa")).await;
        if owner.livemode {
            assert_problem(&theirs, 422, "invalid_field", Some("gateway"));
            let clock = other.post("/v1/test_clock/advance", None, &json!({ "by_s": 1 })).await;
            assert_problem(&clock, 403, "test_mode_only", Some("Authorization"));
        } else {
            assert_eq!(theirs.status, 201, "{}", theirs.body);
            assert_ne!(id(&theirs.body), mine);
        }
    }
    assert!(api.list("").await.iter().map(id).eq([mine.clone()]));
    assert_eq!(api.caller.get(&format!("/v1/payments/{mine}")).await.body["status"], "retrying");
}

#[tokio::test]
async fn query_parameters_are_checked_by_name() {
    let api = Api::sqlite();

    for (query, param) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=abc", "limit"),
        ("limit=70000", "limit"),
        ("limit=-1", "limit"),
        ("limit=1&limit=2", "limit"),
        ("colour=red", "colour"),
        ("cursor=abc", "cursor"),
        ("cursor=cus_0000000000000000000000000", "cursor"),
        ("status=paid", "status"),
        ("created_from=yesterday", "created_from"),
        ("created_before=2026-13-01T00:00:00Z", "created_before"),
        ("created_from=%2B262142-01-01T00:00:00Z", "created_from"),
        ("created_from=-9999-01-01T00:00:00Z", "created_from"),
        ("created_before=0000-01-01T00:00:00Z", "created_before"),
        ("customer=a%00b", "customer"),
        ("reference=a%0Ab", "reference"),
        ("reference=%0A", "reference"),
        ("reference=INV%E2%80%8B-77", "reference"),
        ("customer=%FF", "customer"),
        ("payment_method=pm_card_visa", "payment_method"),
    ] {
        let refused = api.caller.get(&format!("/v1/payments?{query}")).await;
        assert_problem(&refused, 400, "invalid_parameter", Some(param));
    }
    for query in ["limit=1", "limit=200", "customer=%C3%BF"] {
        assert_eq!(api.caller.get(&format!("/v1/payments?{query}")).await.status, 200, "{query}");
    }
}

#[tokio::test]
async fn what_is_no_payments_id_names_nothing() {
    let api = Api::sqlite();

    for path in [
        "/v1/payments/abc",
        "/v1/payments/pay_",
        "/v1/payments/cus_01890000000000000000000000",
        "/v1/payments/%FF",
        "/v1/payments/%00",
        "/v1/payments/abc/attempts",
        "/v1/payments/..%2F..%2Fetc/timeline",
    ] {
        let missing = api.caller.get(path).await;
        assert_problem(&missing, 404, "not_found", None);
    }
    let none: Value = api.caller.get("/v1/payments").await.body;
    assert_eq!(none, json!({ "object": "list", "data": [], "has_more": false, "next_cursor": null }));
}

//! What a caller writes beside a payment, and changes later.

use super::{Api, assert_problem, payment};
use crate::support::{
    both,
    database::Database,
    process::{Answer, Caller},
};
use serde_json::{Value, json};

both! { an_edit_changes_what_it_names_and_nothing_else edits_at_once_all_take_effect }

impl Api {
    async fn edit(&self, payment: &str, body: &Value) -> Answer {
        edit(&self.caller, payment, body).await
    }
}

async fn edit(caller: &Caller, payment: &str, body: &Value) -> Answer {
    let path = format!("/v1/payments/{payment}");
    caller
        .raw(|http, url| {
            let request = http.patch(format!("{url}{path}")).bearer_auth(caller.key());
            request.header("content-type", "application/json").body(body.to_string())
        })
        .await
}

async fn an_edit_changes_what_it_names_and_nothing_else(database: Database) {
    let api = Api::start(database, &[]);
    let mut new = payment("pm_card_visa");
    new["metadata"] = json!({ "order": "7", "cart": "c" });
    new["description"] = json!("Plan A");
    let id = super::id(&api.create("a", &new).await.body);
    let paid = api.caller.wait_for(&id, "succeeded").await;

    let edited = api.edit(&id, &json!({ "metadata": { "order": "8", "cart": null, "note": "x" } })).await;
    let again = api.edit(&id, &json!({ "metadata": { "order": "8" } })).await;
    let bare = api.edit(&id, &json!({ "description": null })).await;

    assert_eq!(edited.status, 200, "{}", edited.body);
    let mut expected = paid.clone();
    expected["metadata"] = json!({ "order": "8", "note": "x" });
    for field in ["version", "updated_at"] {
        expected[field] = edited.body[field].clone();
    }
    assert_eq!(edited.body, expected);
    assert_eq!(edited.body["version"].as_u64(), paid["version"].as_u64().map(|version| version + 1));
    assert_eq!(again.body, edited.body, "what changes nothing makes no version");
    assert_eq!((&bare.body["description"], &bare.body["metadata"]), (&json!(null), &expected["metadata"]));
    assert_eq!(api.caller.get(&format!("/v1/payments/{id}")).await.body, bare.body);
    let timeline = api.caller.get(&format!("/v1/payments/{id}/timeline")).await.body;
    let last = timeline["data"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["cause"], &last["detail"]), (&json!("edit"), &json!("changed: description")), "{last}");
    assert!(last["actor"].as_str().unwrap().starts_with("key_"), "{last}");
}

async fn edits_at_once_all_take_effect(database: Database) {
    let api = Api::start(database, &[]);
    let id = api.pay("a", "pm_sandbox_slow_100").await;

    let bodies: Vec<_> = (0..30).map(|n| json!({ "metadata": { format!("k{n}"): "v" } })).collect();
    let edits = bodies.iter().map(|body| api.edit(&id, body));
    let answers = futures_util::future::join_all(edits).await;

    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let paid = api.caller.wait_for(&id, "succeeded").await;
    assert_eq!(paid["metadata"].as_object().unwrap().len(), 30);
    assert_eq!(api.captures(&id).await, 1);
}

#[tokio::test]
async fn an_edit_that_cannot_be_is_refused_by_its_field() {
    let api = Api::sqlite();
    let id = api.pay("a", "pm_card_visa").await;
    let paid = api.caller.wait_for(&id, "succeeded").await;
    let many: serde_json::Map<_, _> = (0..51).map(|n| (format!("k{n}"), json!("v"))).collect();

    for (body, code, param) in [
        (json!({ "amount": 1 }), "unknown_field", "amount"),
        (json!({ "status": "failed" }), "unknown_field", "status"),
        (json!({ "description": "" }), "invalid_field", "description"),
        (json!({ "description": "4242 4242 4242 4242" }), "invalid_field", "description"),
        (json!({ "description": "x".repeat(501) }), "invalid_field", "description"),
        (json!({ "description": 7 }), "invalid_field", "description"),
        (json!({ "metadata": null }), "invalid_field", "metadata"),
        (json!({ "metadata": [] }), "invalid_field", "metadata"),
        (json!({ "metadata": many }), "invalid_field", "metadata"),
        (json!({ "metadata": { "": "v" } }), "invalid_field", "metadata"),
        (json!({ "metadata": { "k".repeat(41): null } }), "invalid_field", "metadata"),
        (json!({ "metadata": { "k": 7 } }), "invalid_field", "metadata.k"),
        (json!({ "metadata": { "k": "4242424242424242" } }), "invalid_field", "metadata.k"),
        (json!({ "metadata": { "k": "x".repeat(501) } }), "invalid_field", "metadata.k"),
    ] {
        assert_problem(&api.edit(&id, &body).await, 422, code, Some(param));
    }
    assert_problem(
        &api.edit("pay_0190000000007000800000000000000a", &json!({})).await,
        404,
        "not_found",
        None,
    );
    assert_eq!(api.caller.get(&format!("/v1/payments/{id}")).await.body, paid);
}

//! Strictness: what a call does not take is refused by name, by every route that the document describes; and so are
//! moments and addresses that could be read in two ways.

use super::{Api, assert_problem, openapi::Described, payment};
use crate::support::process::Answer;
use serde_json::{Value, json};

/// Gateways send what they like.
fn is_ours(call: &Described) -> bool {
    call.path.starts_with("/v1/") && !call.path.ends_with("/webhooks")
}

impl Api {
    /// Makes the call about something that could be there.
    async fn call_so(&self, call: &Described, query: &str, body: &str) -> Answer {
        let id = format!("{}_{}", call.named().unwrap_or("pay"), "0".repeat(32));
        let path = call.path.replace("{id}", &id);
        let method = call.method.parse().unwrap();
        let request = |http: &reqwest::Client, url: &str| {
            let request = http.request(method, format!("{url}{path}{query}")).bearer_auth(self.caller.key());
            let request =
                request.header("idempotency-key", "strict").header("content-type", "application/json");
            request.body(body.to_owned())
        };
        self.caller.raw(request).await
    }
}

fn example(call: &Described) -> Option<Value> {
    let content = &call.told["requestBody"]["content"]["application/json"];
    content.get("example").cloned().or_else(|| call.told.get("requestBody").map(|_| json!({})))
}

#[tokio::test]
async fn a_body_is_read_strictly_by_every_route() {
    let api = Api::sqlite();
    let calls = api.described().await;
    let calls: Vec<_> = calls.iter().filter(|call| is_ours(call)).collect();
    assert!(calls.len() > 30, "{}", calls.len());

    for call in calls {
        let named = format!("{} {}", call.method, call.path);
        let mut body = example(call).unwrap_or_else(|| json!({}));
        body["surprise"] = json!(500);
        let surprised = api.call_so(call, "", &body.to_string()).await;
        assert_eq!(surprised.status, 422, "{named}: {}", surprised.body);
        assert_problem(&surprised, 422, "unknown_field", Some("surprise"));
        for garbage in ["{\"amount\": 5", "amount=500", "<amount>500</amount>", "{} {}"] {
            let refused = api.call_so(call, "", garbage).await;
            assert_eq!(
                (refused.status, &refused.body["code"]),
                (400, &json!("invalid_json")),
                "{named}: {}",
                refused.body
            );
        }
        for other in ["[{\"amount\":500}]", "\"amount\"", "500"] {
            let refused = api.call_so(call, "", other).await;
            assert_eq!(
                (refused.status, &refused.body["code"]),
                (422, &json!("invalid_field")),
                "{named}: {}",
                refused.body
            );
        }
        let asked = api.call_so(call, "?surprise=500", "").await;
        assert!(asked.status == 400 || asked.status == 422, "{named}: {}", asked.body);
        if example(call).is_none() {
            assert_problem(&asked, 400, "invalid_parameter", Some("surprise"));
        }
    }
    let mut nested = payment("pm_card_visa");
    nested["method"]["surprise"] = json!(1);
    assert_problem(&api.create("a", &nested).await, 422, "unknown_field", Some("method.surprise"));
    assert!(api.list("").await.is_empty());
}

#[tokio::test]
async fn processing_takes_no_amount_and_charges_nothing_for_one() {
    let api = Api::sqlite();
    let mut body = payment("pm_card_visa");
    body["capture"] = json!("deferred");
    let id = super::id(&api.create("a", &body).await.body);
    let path = format!("/v1/payments/{id}/process");

    let part = api.caller.post(&path, Some("b"), &json!({ "amount": 500 })).await;
    let query = api.caller.post(&format!("{path}?amount=500"), Some("b"), &json!({})).await;
    assert_problem(&part, 422, "unknown_field", Some("amount"));
    assert_problem(&query, 400, "invalid_parameter", Some("amount"));
    assert_eq!(api.caller.get(&format!("/v1/payments/{id}")).await.body["status"], "pending");

    assert_eq!(api.caller.post(&path, Some("b"), &json!({})).await.status, 200);
    api.caller.wait_for(&id, "succeeded").await;
}

/// The names of the fields or parameters that are moments.
fn moments(schema: &Value) -> Vec<String> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let is_moment = |schema: &Value| schema["format"] == "date-time";
    properties.filter(|(_, schema)| is_moment(schema)).map(|(name, _)| name.clone()).collect()
}

#[tokio::test]
async fn a_moment_that_could_be_read_in_two_ways_is_refused_wherever_one_is_taken() {
    const WRONG: [&str; 9] = [
        "-0001-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "%2B10000-01-01T00:00:00Z",
        "2026-12-31T23:59:60Z",
        "2027-01-31",
        "2027-01-31T08:00:00",
        "2027-01-31 08:00:00Z",
        "1811404800",
    ];
    let api = Api::sqlite();
    let calls = api.described().await;
    let mut taken = Vec::new();

    for call in calls.iter().filter(|call| is_ours(call)) {
        for field in moments(&call.told["requestBody"]["content"]["application/json"]["schema"]) {
            for wrong in WRONG {
                let mut body = example(call).unwrap();
                body[&field] = json!(wrong);
                let refused = api.call_so(call, "", &body.to_string()).await;
                assert_eq!(
                    (refused.status, &refused.body["param"]),
                    (422, &json!(field)),
                    "{wrong}: {}",
                    refused.body
                );
            }
            taken.push(field);
        }
        let parameters = call.told["parameters"].as_array().into_iter().flatten();
        for parameter in parameters.filter(|parameter| parameter["schema"]["format"] == "date-time") {
            let name = parameter["name"].as_str().unwrap();
            for wrong in WRONG {
                let refused = api.call_so(call, &format!("?{name}={wrong}"), "").await;
                assert_eq!(
                    (refused.status, &refused.body["param"]),
                    (400, &json!(name)),
                    "{wrong}: {}",
                    refused.body
                );
            }
            taken.push(name.to_owned());
        }
    }
    taken.sort();
    let mut item = payment("pm_card_visa");
    item["idempotency_key"] = json!("a");
    item["process_at"] = json!("2027-01-31T08:00:00");
    let batch = api.caller.post("/v1/payments/batch", None, &json!({ "payments": [item] })).await.body;
    assert_eq!(batch["data"][0]["error"]["param"], "process_at", "{batch}");
    assert_eq!(taken, ["created_before", "created_from", "due_before", "expires_at", "process_at", "to"]);
    for (passed, param) in
        [("2020-01-01T00:00:00Z", Some("process_at")), ("9999-01-01T00:00:00Z", Some("process_at"))]
    {
        let mut body = payment("pm_card_visa");
        body["process_at"] = json!(passed);
        assert_problem(&api.create("a", &body).await, 422, "invalid_field", param);
    }
}

#[tokio::test]
async fn an_address_is_kept_as_it_was_parsed() {
    let api = Api::sqlite();
    let mut body = payment("pm_card_visa");
    body["off_session"] = json!(false);
    body["return_url"] = json!("https://Shop.example/?a=\"><script>alert(1)</script>");

    let taken = api.create("a", &body).await;

    assert_eq!(taken.status, 201, "{}", taken.body);
    let told =
        api.caller.get(&format!("/v1/payments/{}/timeline", super::id(&taken.body))).await.body.to_string();
    assert!(!told.contains("<script>"), "{told}");
    for wrong in
        ["javascript:alert(1)", "https://me:secret@shop.example", "https://shop.example/\u{0}", "/thanks"]
    {
        body["return_url"] = json!(wrong);
        assert_problem(&api.create("b", &body).await, 422, "invalid_field", Some("return_url"));
    }
}

//! What the API says of itself: that it is valid, that it holds for every answer, and that its examples work.

use super::{Api, assert_problem, everything, id, payment};
use crate::{
    clients::installed,
    support::{
        database::Database,
        process::{Answer, Caller},
    },
};
use dunlin::{domain::clock::Clock, failpoint::Failpoints, store::Owner};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

/// A call that the document describes.
pub(super) struct Described {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) told: Value,
}

impl Api {
    /// The document, as anybody gets it.
    pub(super) async fn document(&self) -> Value {
        let answer = self.caller.raw(|http, url| http.get(format!("{url}/openapi.json"))).await;
        assert_eq!(answer.status, 200);
        answer.body
    }

    pub(super) async fn described(&self) -> Vec<Described> {
        let document = self.document().await;
        let mut described = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, told) in methods.as_object().unwrap() {
                let (method, path) = (method.to_uppercase(), path.clone());
                described.push(Described { method, path, told: told.clone() });
            }
        }
        described
    }

    /// The page, as anybody gets it.
    async fn page(&self) -> (reqwest::header::HeaderMap, String) {
        let response = reqwest::get(format!("{}/docs", self.serve.url)).await.unwrap();
        (response.headers().clone(), response.text().await.unwrap())
    }
}

impl Described {
    /// What the one thing in its path is, by the start of its id.
    pub(super) fn named(&self) -> Option<&str> {
        let parameter =
            self.told["parameters"].as_array()?.iter().find(|parameter| parameter["in"] == "path")?;
        let pattern = parameter["schema"]["pattern"].as_str().unwrap_or(r"^any_");
        Some(&pattern[1..4])
    }

    /// The call about that thing, otherwise as its example has it.
    async fn call(&self, caller: &Caller, id: &str) -> Answer {
        let path = self.path.replace("{id}", id);
        let body = &self.told["requestBody"]["content"]["application/json"]["example"];
        let method = self.method.parse().unwrap();
        caller
            .raw(|http, url| {
                let request = http.request(method, format!("{url}{path}")).bearer_auth(caller.key());
                request
                    .header("idempotency-key", "foreign")
                    .header("content-type", "application/json")
                    .body(body.to_string())
            })
            .await
    }
}

fn assert_success(output: &Output) {
    let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(output.status.success(), "{}", said.concat());
}

#[tokio::test]
async fn the_document_is_valid() {
    let api = Api::sqlite();
    let file = api.path.join("openapi.json");
    fs::write(&file, api.document().await.to_string()).unwrap();

    let output = Command::new(installed().join("python/bin/openapi-spec-validator"))
        .args(["--schema", "3.1"])
        .arg(&file)
        .output()
        .unwrap();

    assert_success(&output);
}

// It sends what is right and what is wrong by the document, and judges each answer by it.
#[tokio::test]
async fn no_answer_contradicts_the_document() {
    let api = Api::sqlite();
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/schemathesis.toml");

    let output = Command::new(installed().join("python/bin/schemathesis"))
        .arg("--config-file")
        .arg(settings)
        .args(["run", &format!("{}/openapi.json", api.serve.url)])
        .args(["--header", &format!("Authorization: Bearer {}", api.serve.key)])
        .args(["--seed", "1", "--max-examples", "25", "--warnings", "off", "--no-color"])
        .current_dir(&api.path)
        .output()
        .unwrap();

    assert_success(&output);
    assert_eq!(api.caller.get("/v1/payments").await.status, 200, "its key was good to the end");
}

#[tokio::test]
async fn what_a_path_names_is_its_owners_only() {
    let api = Api::start(Database::postgres().await, &[]);
    let mine = api.pay("a", "pm_card_visa").await;
    api.caller.wait_for(&mine, "succeeded").await;
    let refunds = format!("/v1/payments/{mine}/refunds");
    let refund = api.caller.post(&refunds, Some("b"), &json!({ "amount": 1 })).await.body;
    let key = json!({ "name": "mine", "scopes": ["payments:read"] });
    let key = api.caller.post("/v1/api_keys", None, &key).await.body;
    assert_eq!(api.advance(1).await.status, 200, "everything that is due is done");
    let (refund, key) = (id(&refund), id(&key));
    let waiting = api.pay("c", "pm_sandbox_insufficient_funds_1").await;
    api.caller.wait_for(&waiting, "retrying").await;
    let job = api.caller.get(&format!("/v1/jobs?payment={waiting}")).await.body;
    let job = id(&job["data"][0]);
    let customer = api.customer(&json!({ "name": "mine" })).await;
    let method = api.keep(&customer, "pm_card_visa").await;
    let seen = async || {
        let mut seen = Vec::new();
        for path in [
            format!("/v1/payments/{mine}/timeline"),
            format!("/v1/refunds/{refund}"),
            refunds.clone(),
            format!("/v1/api_keys/{key}"),
            format!("/v1/jobs/{job}"),
            format!("/v1/customers/{customer}"),
            format!("/v1/payment_methods/{method}"),
        ] {
            let answer = api.caller.get(&path).await;
            assert_eq!(answer.status, 200, "{path}");
            seen.push(answer.body);
        }
        seen
    };
    let before = seen().await;
    let store = api.database.open(Clock::system(), Failpoints::default()).await;
    let foreign = store.ensure_tenant("another").await.unwrap().id;
    let other = store.create_key(Owner { tenant: foreign, livemode: false }, everything()).await.unwrap();
    let other = Caller::new(&api.serve.url, other.secret.expose_secret());

    let mut called = 0;
    for call in api.described().await {
        let id = match call.named() {
            Some("pay") => &mine,
            Some("rfd") => &refund,
            Some("key") => &key,
            Some("job") => &job,
            Some("cus") => &customer,
            Some("met") => &method,
            Some("any") => {
                assert!(call.path.starts_with("/v1/gateways/{account}/"), "what it names is nobody's");
                continue;
            }
            Some(unknown) => panic!("{} {} names a {unknown}", call.method, call.path),
            None => continue,
        };
        let answer = call.call(&other, id).await;
        assert_problem(&answer, 404, "not_found", None);
        called += 1;
    }

    assert!(called >= 20, "{called}");
    assert_eq!(seen().await, before);
}

#[tokio::test]
async fn the_page_loads_nothing_and_has_each_call() {
    let api = Api::sqlite();

    let (headers, page) = api.page().await;

    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'unsafe-inline';"), "{policy}");
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    for loading in ["<script", "<img", "<link", "<iframe", "src=", "@import", "url("] {
        assert!(!page.contains(loading), "{loading}");
    }
    for call in api.described().await {
        let id = call.told["operationId"].as_str().unwrap();
        assert!(page.contains(&format!("<article id=\"{id}\">")), "{id}");
        assert!(page.contains(&format!("href=\"#{id}\"")), "{id}");
    }
    for link in page.split("href=\"#").skip(1) {
        let target = link.split('"').next().unwrap();
        assert!(page.contains(&format!("id=\"{target}\"")), "{target}");
    }
}

#[tokio::test]
async fn the_examples_on_the_page_work() {
    let api = Api::sqlite();
    let paid = api.create_with("a", ("prefer", "wait=5"), &payment("pm_card_visa")).await.body;
    assert_eq!(paid["status"], "succeeded", "{paid}");
    let refund = api.caller.post(&format!("/v1/payments/{}/refunds", id(&paid)), Some("b"), &json!({})).await;
    assert_eq!(refund.status, 201, "{}", refund.body);
    // Its job is what the examples about jobs find.
    let waiting = api.pay("c", "pm_sandbox_insufficient_funds_1").await;
    api.caller.wait_for(&waiting, "retrying").await;
    let (_, page) = api.page().await;
    let plain = |text: &str| {
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
    };
    // The first one says where the server is, which is elsewhere here.
    let examples = page.split("<pre><code>").skip(2).map(|rest| plain(rest.split("</code>").next().unwrap()));

    let mut tried = 0;
    for example in examples {
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &example])
            .env("url", &api.serve.url)
            .env("key", &api.serve.key)
            .output()
            .unwrap();

        assert_success(&output);
        let body = serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default();
        // What is not refundable or cancelable just now is no fault of the example.
        assert!(matches!(body["status"].as_u64(), None | Some(409)), "{example}\n{body}");
        tried += 1;
    }

    assert_eq!(tried, api.described().await.len() - 1, "all but a gateway's own call");
}

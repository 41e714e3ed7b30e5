//! The HTTP API, through a running `dunlin serve`.

mod audit;
mod bad_input;
mod batch;
mod cards;
mod customers;
mod duplicates;
mod edits;
mod health;
mod holds;
mod idempotency;
mod jobs;
mod keys;
mod later;
mod lifecycle;
mod naming;
mod openapi;
mod payment_methods;
mod present;
mod reading;
mod refunds;
mod replays;
mod requests;
mod resolve;
mod retries;
mod storm;
mod strict;
mod webhooks;

use crate::support::{
    database::Database,
    process::{Answer, Caller, Serve, captures, folder},
};
use dunlin::{
    domain::{api_key::NewKey, clock::Clock, scope::Scopes},
    failpoint::Failpoints,
    store::Owner,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::path::PathBuf;

/// A running service, and who calls it.
struct Api {
    serve: Serve,
    caller: Caller,
    database: Database,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Api {
    fn start(database: Database, settings: &[(&str, &str)]) -> Self {
        let (folder, path) = folder();
        let serve = Serve::start(&database, &path, settings);
        let caller = serve.client();
        Self { serve, caller, database, path, _folder: folder }
    }

    fn sqlite() -> Self {
        Self::start(Database::sqlite(), &[])
    }

    async fn create(&self, key: &str, body: &Value) -> Answer {
        self.caller.post("/v1/payments", Some(key), body).await
    }

    /// Creates a payment that must be taken, and says its id.
    async fn pay(&self, key: &str, method: &str) -> String {
        let answer = self.create(key, &payment(method)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        id(&answer.body)
    }

    /// Makes a customer who must be taken, and says their id.
    async fn customer(&self, body: &Value) -> String {
        let made = self.caller.post("/v1/customers", None, body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        id(&made.body)
    }

    async fn attach(&self, customer: &str, body: &Value) -> Answer {
        self.caller.post(&format!("/v1/customers/{customer}/payment_methods"), None, body).await
    }

    /// Attaches a card that must be taken, and says the method's id.
    async fn keep(&self, customer: &str, token: &str) -> String {
        let kept = self.attach(customer, &json!({ "type": "card", "payment_method": token })).await;
        assert_eq!(kept.status, 201, "{}", kept.body);
        id(&kept.body)
    }

    /// Whoever has a key of another tenant, or of this one's other environment; they need another way to the
    /// database, which SQLite has not.
    async fn stranger(&self, tenant: &str, livemode: bool) -> Caller {
        let store = self.database.open(Clock::system(), Failpoints::default()).await;
        let tenant = store.ensure_tenant(tenant).await.unwrap().id;
        let key = store.create_key(Owner { tenant, livemode }, everything()).await.unwrap();
        Caller::new(&self.serve.url, key.secret.expose_secret())
    }

    async fn create_with(&self, key: &str, header: (&str, &str), body: &Value) -> Answer {
        let request = |http: &reqwest::Client, url: &str| {
            http.post(format!("{url}/v1/payments"))
                .bearer_auth(&self.serve.key)
                .header("idempotency-key", key)
                .header("content-type", "application/json")
                .header(header.0, header.1)
                .body(body.to_string())
        };
        self.caller.raw(request).await
    }

    /// Sends these very bytes as a payment.
    async fn send(&self, bytes: impl Into<reqwest::Body>) -> Answer {
        let request = |http: &reqwest::Client, url: &str| {
            http.post(format!("{url}/v1/payments"))
                .bearer_auth(&self.serve.key)
                .header("idempotency-key", "bytes")
                .header("content-type", "application/json")
                .body(bytes)
        };
        self.caller.raw(request).await
    }

    /// All payments, page by page.
    async fn list(&self, query: &str) -> Vec<Value> {
        let mut payments = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.caller.get(&format!("/v1/payments?{query}{cursor}")).await;
            assert_eq!(page.status, 200, "{}", page.body);
            payments.extend(page.body["data"].as_array().unwrap().iter().cloned());
            let Some(next) = page.body["next_cursor"].as_str() else { return payments };
            cursor = format!("&cursor={next}");
        }
    }

    async fn advance(&self, seconds: u32) -> Answer {
        self.caller.post("/v1/test_clock/advance", None, &json!({ "by_s": seconds })).await
    }

    async fn captures(&self, payment: &str) -> usize {
        captures(&self.serve.sandbox).await.get(payment).copied().unwrap_or(0)
    }
}

fn payment(method: &str) -> Value {
    json!({
        "amount": 1250, "currency": "EUR", "customer": "cus_1",
        "method": { "type": "card", "payment_method": method },
    })
}

/// A key with all scopes, of the name `other`.
fn everything() -> NewKey {
    NewKey { name: "other".to_owned(), scopes: Scopes::everything(), expires_at: None }
}

fn id(payment: &Value) -> String {
    payment["id"].as_str().unwrap().to_owned()
}

/// Every refusal has this shape.
#[track_caller]
fn assert_problem(answer: &Answer, status: u16, code: &str, param: Option<&str>) {
    let body = &answer.body;
    assert_eq!((answer.status, body["code"].as_str()), (status, Some(code)), "{body}");
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{body}");
    assert_eq!(answer.headers["request-id"].to_str().ok(), body["request_id"].as_str(), "{body}");
    assert_eq!(body["status"], status, "{body}");
    assert_eq!(body["param"].as_str(), param, "{body}");
    for field in ["type", "title", "detail"] {
        assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {body}");
    }
}

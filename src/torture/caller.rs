//! The caller: a backend that hands its charges over until each is taken.

use super::plan::{Charge, Plan};
use anyhow::{Context, bail};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long one request may take; the longest waits until the jobs of a moment are done.
const ANSWER_WITHIN: Duration = Duration::from_secs(70);
/// How long the caller waits after it was sent away.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Caller {
    http: reqwest::Client,
    url: String,
    key: String,
    refused: Mutex<String>,
}

/// The payments that were answered with 201, by reference; more than one id where a key was forgotten.
pub(super) type Taken = BTreeMap<String, Vec<String>>;

impl Caller {
    pub(super) fn new(url: String, key: String) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?;
        Ok(Self { http, url, key, refused: Mutex::default() })
    }

    /// Sends every charge under its key, once.
    pub(super) async fn send(&self, plan: &Plan, taken: &mut Taken) {
        let payments = if plan.in_one_batch {
            self.send_batch(&plan.charges).await.unwrap_or_default()
        } else {
            join_all(plan.charges.iter().map(|charge| self.send_one(charge))).await
        };
        for payment in payments.into_iter().flatten() {
            let text = |name: &str| payment[name].as_str().unwrap_or_default().to_owned();
            let ids = taken.entry(text("reference")).or_default();
            if !ids.contains(&text("id")) {
                ids.push(text("id"));
            }
        }
    }

    /// The same until all are taken.
    pub(super) async fn send_until_taken(&self, plan: &Plan, taken: &mut Taken) {
        loop {
            let mut now = Taken::new();
            self.send(plan, &mut now).await;
            let all = now.len() == plan.charges.len();
            for (reference, ids) in now {
                let known = taken.entry(reference).or_default();
                known.extend(ids.into_iter().filter(|id| !known.contains(id)).collect::<Vec<_>>());
            }
            if all {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What the last request that went wrong was told.
    pub(super) fn refused(&self) -> String {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets five days pass, each job run when it is due.
    pub(super) async fn pass_five_days(&self) {
        let body = json!({ "by_s": 5 * 86_400 });
        while self.post("/v1/test_clock/advance", None, &body).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn send_one(&self, charge: &Charge) -> Option<Value> {
        self.post("/v1/payments", Some(&charge.reference), &body(charge)).await.ok()
    }

    async fn send_batch(&self, charges: &[Charge]) -> anyhow::Result<Vec<Option<Value>>> {
        let item = |charge: &Charge| {
            let mut item = body(charge);
            item["idempotency_key"] = charge.reference.clone().into();
            item
        };
        let items: Vec<_> = charges.iter().map(item).collect();
        let answer = self.post("/v1/payments/batch", None, &json!({ "payments": items })).await?;
        let data = answer["data"].as_array().context("a batch is answered by item")?;
        Ok(data.iter().map(|item| (item["status"] == 201).then(|| item["payment"].clone())).collect())
    }

    async fn post(&self, path: &str, key: Option<&str>, body: &Value) -> anyhow::Result<Value> {
        let result = self.try_post(path, key, body).await;
        if let Err(error) = &result {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = format!("{path}: {error:#}");
        }
        result
    }

    async fn try_post(&self, path: &str, key: Option<&str>, body: &Value) -> anyhow::Result<Value> {
        let mut request = self
            .http
            .post(format!("{}{path}", self.url))
            .bearer_auth(&self.key)
            .header("content-type", "application/json")
            .body(body.to_string());
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let bytes = answer.bytes().await?;
        if !status.is_success() {
            bail!("{status} {}", String::from_utf8_lossy(&bytes));
        }
        Ok(serde_json::from_slice(&bytes)?)
    }
}

fn body(charge: &Charge) -> Value {
    json!({
        "amount": 1250,
        "currency": "EUR",
        "reference": charge.reference,
        "method": { "type": "card", "payment_method": charge.method },
    })
}

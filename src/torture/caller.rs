//! The caller: a backend that hands its charges over until each is taken.

use super::{
    customer::BACK,
    plan::{AMOUNT, Charge, Plan, Return},
};
use anyhow::Context;
use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long one request may take; the longest waits until the jobs of a moment are done.
const ANSWER_WITHIN: Duration = Duration::from_secs(70);
/// How long the caller waits after it was sent away.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Caller {
    pub(super) http: reqwest::Client,
    pub(super) url: String,
    pub(super) key: String,
    refused: Mutex<String>,
}

/// Where a refund's reference stands in its metadata.
pub(super) const REFERENCE: &str = "reference";

/// The refunds that one process has taken, by reference.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked(BTreeSet<String>);

impl Asked {
    pub(super) fn has(&self, reference: &str) -> bool {
        self.0.contains(reference)
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

/// Somebody answered, and not with 2xx.
#[derive(Debug, thiserror::Error)]
#[error("{status} {body}")]
struct Refused {
    status: reqwest::StatusCode,
    body: String,
}

/// What was answered with 201, payments and refunds, by reference; more than one id where a key was forgotten.
pub(super) type Taken = BTreeMap<String, Vec<String>>;

impl Caller {
    pub(super) fn new(url: String, key: String) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?;
        Ok(Self { http, url, key, refused: Mutex::default() })
    }

    /// Somebody else at the same door.
    pub(super) fn with_key(&self, key: &str) -> Self {
        Self {
            http: self.http.clone(),
            url: self.url.clone(),
            key: key.to_owned(),
            refused: Mutex::default(),
        }
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

    /// Lets test time pass, each job run when it is due.
    pub(super) async fn pass(&self, by: TimeDelta) {
        let body = json!({ "by_s": by.num_seconds() });
        while self.post("/v1/test_clock/advance", None, &body).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Asks for what is to go back of the payments that are captured by now, each until it is taken or refused.
    pub(super) async fn ask_back(&self, charges: &[Charge], taken: &mut Taken, asked: &mut Asked) {
        let open = charges.iter().filter_map(|charge| {
            let payment = taken.get(&charge.reference)?.first()?.clone();
            let open: Vec<_> =
                charge.returns.iter().filter(|back| !asked.0.contains(&back.reference)).collect();
            Some(self.ask_in_turn(payment, open))
        });
        for (reference, id) in join_all(open).await.into_iter().flatten() {
            let ids = taken.entry(reference.clone()).or_default();
            if !ids.contains(&id) {
                ids.push(id);
            }
            asked.0.insert(reference);
        }
    }

    /// Asks for one refund after the other, so that each finds what the one before it has left; those that were taken.
    async fn ask_in_turn(&self, payment: String, returns: Vec<&Return>) -> Vec<(String, String)> {
        let path = format!("/v1/payments/{payment}/refunds");
        let mut made = Vec::new();
        for back in returns {
            let mut body = json!({ "metadata": { REFERENCE: back.reference } });
            if let Some(amount) = back.amount {
                body["amount"] = amount.into();
            }
            loop {
                match self.post(&path, Some(&back.reference), &body).await {
                    Ok(refund) => {
                        let id = refund["id"].as_str().unwrap_or_default().to_owned();
                        made.push((back.reference.clone(), id));
                        break;
                    }
                    // Not captured yet, or nothing left: as much is asked for again when time has passed.
                    Err(error) if is_refusal(&error) => return made,
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        }
        made
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

    pub(super) async fn post(&self, path: &str, key: Option<&str>, body: &Value) -> anyhow::Result<Value> {
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
            return Err(Refused { status, body: String::from_utf8_lossy(&bytes).into_owned() }.into());
        }
        Ok(serde_json::from_slice(&bytes)?)
    }
}

/// Whether it was understood and will not be done as things are.
fn is_refusal(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| matches!(refused.status.as_u16(), 409 | 422))
}

pub(super) fn body(charge: &Charge) -> Value {
    let mut body = json!({
        "amount": AMOUNT,
        "currency": "EUR",
        "reference": charge.reference,
        "method": { "type": "card", "payment_method": charge.method },
    });
    if charge.customer.is_some() {
        body["off_session"] = false.into();
        body["return_url"] = BACK.into();
    }
    body
}

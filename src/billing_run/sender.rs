//! The way to the server: one batch of a billing run at a time, again and again while the server is away.

use super::{Target, rows::Item};
use anyhow::{Context, bail};
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// How long a server that does not answer is waited for, in all, for one batch.
const PATIENCE: Duration = Duration::from_mins(1);
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

pub(super) struct Sender {
    http: reqwest::Client,
    server: String,
    key: SecretString,
}

/// What came of one try.
enum Try {
    Answered(Vec<Value>),
    /// The server cannot take it now.
    Later(String),
}

impl Sender {
    pub(super) fn new(target: &Target) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().connect_timeout(Duration::from_secs(3));
        let http = builder.timeout(PATIENCE).build().context("the HTTP client cannot be built")?;
        let server = target.url.trim_end_matches('/').to_owned();
        Ok(Self { http, server, key: target.key.clone() })
    }

    /// Sends one batch until each of its rows has an answer: the keys make that safe.
    pub(super) async fn send(&self, items: Vec<Item>) -> anyhow::Result<Vec<(Item, Value)>> {
        let payments: Vec<_> = items.iter().map(|item| &item.payment).collect();
        let body = serde_json::to_vec(&json!({ "payments": payments }))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let why = match self.post(body.clone(), items.len()).await? {
                Try::Answered(answers) => return Ok(items.into_iter().zip(answers).collect()),
                Try::Later(why) => why,
            };
            if Instant::now() >= deadline {
                bail!(
                    "the server at {} does not take the batch: {why}; run the same file again later",
                    self.server
                );
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
    }

    async fn post(&self, body: Vec<u8>, rows: usize) -> anyhow::Result<Try> {
        let request = self
            .http
            .post(format!("{}/v1/payments/batch", self.server))
            .bearer_auth(self.key.expose_secret())
            .header("content-type", "application/json")
            .body(body);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.is_builder() => return Err(error).context("the server's URL is wrong"),
            Err(error) => return Ok(Try::Later(error.to_string())),
        };
        let status = answer.status();
        let bytes = match answer.bytes().await {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Try::Later(error.to_string())),
        };
        match status {
            StatusCode::OK => read(&bytes, rows),
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                Ok(Try::Later(format!("HTTP {status}")))
            }
            _ => bail!("the server refused the batch: HTTP {status}: {}", detail(&bytes)),
        }
    }
}

fn read(bytes: &[u8], rows: usize) -> anyhow::Result<Try> {
    let mut answer: Value = serde_json::from_slice(bytes).context("the server's answer is no JSON")?;
    let Value::Array(results) = answer["data"].take() else { bail!("the server's answer has no data") };
    if results.len() != rows {
        bail!("the server answered {} rows where {rows} were sent", results.len());
    }
    if results.iter().any(|result| result["status"] == 503) {
        return Ok(Try::Later("the server is busy".to_owned()));
    }
    Ok(Try::Answered(results))
}

fn detail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let problem: Option<Value> = serde_json::from_str(&text).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
    detail.unwrap_or(&text).chars().take(300).collect()
}

//! The way to the server: one request of a billing run at a time, again and again while the server is away.

use super::{Target, rows::Item, summary::Told};
use anyhow::{Context, bail, ensure};
use dunlin_jobs::PaymentId;
use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use std::{fmt::Write, time::Duration};
use tokio::time::Instant;

/// How long a server that does not answer is waited for, in all, for one request.
const PATIENCE: Duration = Duration::from_mins(1);
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

pub(super) struct Server {
    http: reqwest::Client,
    url: String,
    key: SecretString,
}

/// What came of one try.
enum Try<T> {
    Answered(T),
    /// The server cannot take it now.
    Later(String),
}

/// The server's answer to one item of a batch.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    status: u16,
    #[serde(default)]
    pub(super) idempotent_replayed: bool,
    /// Where it was taken.
    pub(super) payment: Option<Told>,
    /// Where it was refused.
    pub(super) error: Option<Problem>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Problem {
    param: Option<String>,
    detail: String,
}

#[derive(Debug, Deserialize)]
struct List<T> {
    data: Vec<T>,
}

impl Server {
    pub(super) fn new(target: &Target) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().connect_timeout(Duration::from_secs(3));
        let http = builder.timeout(PATIENCE).build().context("the HTTP client cannot be built")?;
        let url = target.url.trim_end_matches('/').to_owned();
        Ok(Self { http, url, key: target.key.clone() })
    }

    /// Sends one batch until each of its rows has an answer: the keys make that safe.
    pub(super) async fn send(&self, items: Vec<Item>) -> anyhow::Result<Vec<(Item, Answer)>> {
        let payments: Vec<_> = items.iter().map(|item| item.payment.as_str()).collect();
        let body = format!("{{\"payments\":[{}]}}", payments.join(","));
        let post = || {
            let request = self.http.post(format!("{}/v1/payments/batch", self.url));
            request.header("content-type", "application/json").body(body.clone())
        };
        let is_busy = |answers: &List<Answer>| answers.data.iter().any(|answer| answer.status == 503);
        let answers: List<Answer> = self.insist(post, is_busy).await?;
        let (sent, answered) = (items.len(), answers.data.len());
        ensure!(sent == answered, "the server answered {answered} rows where {sent} were sent");
        Ok(items.into_iter().zip(answers.data).collect())
    }

    /// Whether it can be asked how payments stand.
    pub(super) async fn check(&self) -> anyhow::Result<()> {
        let page = || self.http.get(format!("{}/v1/payments?limit=1", self.url));
        self.insist(page, |_: &List<Told>| false).await.map(drop)
    }

    /// How these payments stand now.
    pub(super) async fn look_up(&self, ids: &[PaymentId]) -> anyhow::Result<Vec<Told>> {
        let mut url = format!("{}/v1/payments?ids=", self.url);
        for (n, id) in ids.iter().enumerate() {
            write!(url, "{}{id}", if n == 0 { "" } else { "," })?;
        }
        let found: List<Told> = self.insist(|| self.http.get(&url), |_| false).await?;
        let (asked, answered) = (ids.len(), found.data.len());
        ensure!(asked == answered, "the server knows {answered} of {asked} payments that it has taken");
        Ok(found.data)
    }

    /// Asks until there is an answer, for as long as its patience lasts.
    async fn insist<T: DeserializeOwned>(
        &self,
        request: impl Fn() -> RequestBuilder,
        is_busy: impl Fn(&T) -> bool,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let why = match self.ask(request()).await? {
                Try::Answered(answer) if is_busy(&answer) => "it is busy".to_owned(),
                Try::Answered(answer) => return Ok(answer),
                Try::Later(why) => why,
            };
            if Instant::now() >= deadline {
                bail!("the server at {} does not answer: {why}; run the same file again later", self.url);
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<Try<T>> {
        let answer = match request.bearer_auth(self.key.expose_secret()).send().await {
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
            StatusCode::OK => {
                let answer = serde_json::from_slice(&bytes);
                Ok(Try::Answered(answer.context("the server's answer cannot be read")?))
            }
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Ok(Try::Later(format!("HTTP {status}"))),
            _ => bail!("the server refused: HTTP {status}: {}", detail(&bytes)),
        }
    }
}

impl Problem {
    /// What is wrong, after the name of the field.
    pub(super) fn told(self) -> String {
        let Self { param, detail } = self;
        param.map_or_else(|| detail.clone(), |param| format!("{param}: {detail}"))
    }
}

fn detail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let problem: Option<Problem> = serde_json::from_str(&text).ok();
    problem.map_or_else(|| text.to_string(), |problem| problem.detail).chars().take(300).collect()
}

//! The way of commands to a running server: which one, under which key, and what it answered.

use super::{note, say};
use crate::{app::DEVELOPMENT_KEY_FILE, billing_run::Target, config::Config};
use anyhow::{Context, bail};
use reqwest::{RequestBuilder, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::time::Duration;

/// Which server, and who asks it.
#[derive(Debug, clap::Args)]
pub(super) struct Server {
    /// The server; by default the one of http.listen.
    #[arg(long, env = "DUNLIN_URL")]
    url: Option<String>,
    /// The API key; in development the one that `serve` made is found by itself.
    #[arg(long, env = "DUNLIN_API_KEY", hide_env_values = true)]
    api_key: Option<SecretString>,
}

impl Server {
    /// Whether a server was asked for, rather than the database.
    pub(super) fn is_named(&self) -> bool {
        self.url.is_some() || self.api_key.is_some()
    }

    pub(super) fn target(self, config: &Config) -> anyhow::Result<Target> {
        let url = self.url.unwrap_or_else(|| format!("http://{}", config.http.listen));
        let key = match self.api_key {
            Some(key) => key,
            None => std::fs::read_to_string(config.data_dir.join(DEVELOPMENT_KEY_FILE))
                .map(|key| SecretString::from(key.trim().to_owned()))
                .context("no API key: give --api-key or DUNLIN_API_KEY")?,
        };
        Ok(Target { url, key })
    }
}

/// A running server, and in which words it is told what it answered.
#[derive(Debug, clap::Args)]
pub(super) struct Where {
    #[command(flatten)]
    pub(super) server: Server,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

impl Where {
    pub(super) fn api(self, config: &Config) -> anyhow::Result<Api> {
        Api::new(self.server.target(config)?)
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longer than the server gives itself.
const TIMEOUT: Duration = Duration::from_mins(2);
const PAGE: usize = 200;

/// What was found, and whether there is more of it.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) found: Vec<Value>,
    pub(super) has_more: bool,
}

impl Listed {
    /// Shows it, as JSON or in lines, and says where there is more of it.
    pub(super) fn show(
        self,
        json: bool,
        lines: impl FnOnce(&[Value]) -> anyhow::Result<Vec<String>>,
    ) -> anyhow::Result<()> {
        let Self { found, has_more } = self;
        if json {
            say(json!({ "object": "list", "data": found, "has_more": has_more }));
            return Ok(());
        }
        lines(&found)?.iter().for_each(say);
        if has_more {
            note(format_args!(
                "there are more than these {}: narrow the list, or raise --limit",
                found.len()
            ));
        }
        Ok(())
    }
}

/// The API of a server.
#[derive(Debug)]
pub(super) struct Api {
    http: reqwest::Client,
    target: Target,
}

impl Api {
    pub(super) fn new(target: Target) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT);
        let http = builder.redirect(redirect::Policy::none()).build();
        let http = http.context("the HTTP client cannot be built")?;
        let url = target.url.trim_end_matches('/').to_owned();
        Ok(Self { http, target: Target { url, ..target } })
    }

    /// Whether the key is for real money.
    pub(super) fn is_live(&self) -> bool {
        self.target.key.expose_secret().starts_with("dk_live_")
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.http.get(self.url(path))).await
    }

    /// Why the server does no work at all, as by a clock that is off or after a restore, as far as it says.
    pub(super) async fn standstill(&self) -> Option<String> {
        let answer = self.http.get(self.url("/readyz")).send().await.ok()?;
        let health: Value = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
        let told = ["checks", "degraded"].into_iter().filter_map(|list| health[list].as_array()).flatten();
        let stops = |what: &&Value| what["code"] == "clock_skewed" || what["code"] == "restored";
        let details: Vec<_> = told.filter(stops).filter_map(|what| what["detail"].as_str()).collect();
        (!details.is_empty()).then(|| details.join("; "))
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.http.post(self.url(path)).header("content-type", "application/json");
        self.send(request.body(body.to_string())).await
    }

    /// The same for what must not be done twice: under a key of its own.
    pub(super) async fn post_once(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let key = format!("cli-{}", hex::encode(rand::random::<[u8; 16]>()));
        let request = self.http.post(self.url(path)).header("content-type", "application/json");
        self.send(request.header("idempotency-key", key).body(body.to_string())).await
    }

    /// All of a list, page by page.
    pub(super) async fn list(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        Ok(self.list_some(path, &[], usize::MAX).await?.found)
    }

    /// The first of a list, narrowed, page by page.
    pub(super) async fn list_some(
        &self,
        path: &str,
        narrowed: &[(&str, Option<String>)],
        at_most: usize,
    ) -> anyhow::Result<Listed> {
        let given: Vec<_> =
            narrowed.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?))).collect();
        let narrowed = serde_urlencoded::to_string(given)?;
        let mut listed = Listed { found: Vec::new(), has_more: false };
        let mut cursor = String::new();
        loop {
            let limit = at_most.saturating_sub(listed.found.len()).min(PAGE);
            let mut page = self.get(&format!("{path}?limit={limit}{cursor}&{narrowed}")).await?;
            let Value::Array(data) = page["data"].take() else { bail!("the server's answer is no list") };
            listed.found.extend(data);
            let Some(next) = page["next_cursor"].as_str() else { return Ok(listed) };
            if listed.found.len() >= at_most {
                return Ok(Listed { has_more: true, ..listed });
            }
            cursor = format!("&cursor={next}");
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.target.url)
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let url = &self.target.url;
        let answer =
            request.bearer_auth(self.target.key.expose_secret()).send().await.with_context(|| {
                format!("the server at {url} does not answer: check --url, and that it runs")
            })?;
        let status = answer.status();
        let bytes = answer.bytes().await.with_context(|| format!("the answer of {url} broke off"))?;
        if !status.is_success() {
            bail!("the server refused this: HTTP {}: {}", status.as_u16(), detail(&bytes));
        }
        serde_json::from_slice(&bytes).with_context(|| format!("what answers at {url} is no dunlin"))
    }
}

/// What a problem says: the field and the reason, or the answer as it came.
fn detail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let problem: Value = serde_json::from_str(&text).unwrap_or_default();
    match (problem["param"].as_str(), problem["detail"].as_str()) {
        (Some(param), Some(detail)) => format!("{param}: {detail}"),
        (None, Some(detail)) => detail.to_owned(),
        (_, None) => text.chars().take(300).collect(),
    }
}

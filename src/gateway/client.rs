//! The client: the one place that calls gateways. It follows no redirect, uses no proxy from the environment,
//! never retries by itself, and says of a failed call only whether the request can have left.

use super::{Account, Call, Reply};
use crate::failpoint::{Broken, Failpoints, Point};
use futures_util::future::BoxFuture;
use reqwest::{Method, redirect::Policy};
use secrecy::ExposeSecret;
use serde::Deserialize;
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

/// The largest answer that is read; a charge's is a few kilobytes.
const MAX_BODY: usize = 1024 * 1024;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    pub connect_timeout_ms: u64,
    /// From the first byte sent to the last one read.
    pub timeout_ms: u64,
}

impl ClientConfig {
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// Why a call brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Proven: no request left.
    #[error("not sent: {0}")]
    NotSent(String),
    /// The request may have been read by the other side.
    #[error("no answer: {0}")]
    Lost(String),
}

/// How a simulation answers in the gateway's place.
pub type InProcess = Arc<dyn Fn(&Call) -> BoxFuture<'static, Result<Reply, SendError>> + Send + Sync>;

#[derive(Clone)]
pub struct Client {
    wire: Wire,
    timeout: Duration,
    failpoints: Failpoints,
}

#[derive(Clone)]
enum Wire {
    Http(reqwest::Client),
    InProcess(InProcess),
}

impl Client {
    pub fn new(config: &ClientConfig) -> Result<Self, reqwest::Error> {
        // The provider is process-wide; a second client finds the first one's.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
            .timeout(config.timeout())
            .pool_idle_timeout(Duration::from_secs(30))
            .tcp_nodelay(true)
            .user_agent(concat!("dunlin/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { wire: Wire::Http(http), timeout: config.timeout(), failpoints: Failpoints::default() })
    }

    #[must_use]
    pub fn with_failpoints(self, failpoints: Failpoints) -> Self {
        Self { failpoints, ..self }
    }

    pub fn in_process(answer: InProcess) -> Self {
        Self {
            wire: Wire::InProcess(answer),
            timeout: Duration::from_secs(1),
            failpoints: Failpoints::default(),
        }
    }

    /// How long a call takes at most.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    pub async fn send(&self, account: &Account, call: &Call, api_version: &str) -> Result<Reply, SendError> {
        let http = match &self.wire {
            Wire::Http(http) => http,
            Wire::InProcess(answer) => return answer(call).await,
        };
        self.failpoints
            .pass(Point::Calling)
            .await
            .map_err(|broken| SendError::NotSent(broken.to_string()))?;
        let method = Method::from_bytes(call.method.as_bytes())
            .map_err(|error| SendError::NotSent(error.to_string()))?;
        let mut request = http.request(method, format!("{}{}", account.base_url, call.path));
        for (name, value) in account.gateway.headers(api_version) {
            request = request.header(name, value.expose_secret());
        }
        if let Some(key) = &call.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if !call.body.is_empty() {
            request = request.body(call.body.clone());
        }
        let mut response = tokio::select! {
            response = request.send() => response.map_err(|error| classify(&error))?,
            broken = self.failpoints.break_under_way() => return Err(broken.into()),
        };
        self.failpoints.pass(Point::Headed).await?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect::<BTreeMap<_, _>>();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(SendError::Lost(format!("the answer is longer than {MAX_BODY} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        self.failpoints.pass(Point::Read).await?;
        Ok(Reply { status, headers, body })
    }
}

impl From<Broken> for SendError {
    fn from(broken: Broken) -> Self {
        Self::Lost(broken.to_string())
    }
}

/// By evidence, not by name (S1.8): only what failed before a connection stood is proven not sent.
fn classify(error: &reqwest::Error) -> SendError {
    if error.is_connect() || error.is_builder() { SendError::NotSent(describe(error)) } else { lost(error) }
}

fn lost(error: &reqwest::Error) -> SendError {
    SendError::Lost(describe(error))
}

/// The whole chain of causes, without the address, which may carry secrets in its query.
fn describe(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    if error.is_timeout() {
        causes.push("timed out".to_owned());
    }
    if causes.is_empty() { "the call failed".to_owned() } else { causes.join(": ") }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wire = match self.wire {
            Wire::Http(_) => "http",
            Wire::InProcess(_) => "in process",
        };
        f.debug_struct("Client").field("wire", &wire).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

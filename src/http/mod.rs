//! The HTTP API: one file per resource. It parses, calls a flow, and answers; it never touches the store's
//! tables.

mod api_keys;
mod audit;
mod batch;
mod caller;
mod customers;
mod described;
mod docs;
mod edits;
mod extract;
mod gateway_webhooks;
mod gateways;
mod health;
mod jobs;
mod json;
mod lookups;
mod openapi;
mod operation;
mod page;
mod payment_methods;
mod payments;
mod problem;
mod rates;
mod refunds;
mod resolve;
mod retries;
mod routes;
mod starts;
mod story;
mod strict;
mod test_clock;
mod told;
mod wishes;

use crate::{domain::card::looks_like_card_number, flow::Flows};
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use dunlin_jobs::RequestId;
use lookups::Lookups;
use problem::Problem;
use rates::Rates;
use routes::Routes;
use serde::Deserialize;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tracing::Instrument;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub listen: SocketAddr,
    pub max_body_bytes: usize,
    pub max_batch_body_bytes: usize,
    pub max_batch_items: usize,
    /// How many requests a second an API key may make for long, of one process; 0 for no limit.
    pub key_requests_per_s: u32,
    /// How many it may make at once.
    pub key_burst: u32,
    /// How long one request may take, waiting included.
    pub request_timeout_s: u64,
    /// How long a stop is only announced by `/readyz`, so that a load balancer notices before connections fail.
    pub drain_notice_s: u64,
    /// How long a stop then waits for requests under way.
    pub drain_timeout_s: u64,
}

/// What every handler works with.
#[derive(Debug, Clone)]
struct Api {
    flows: Flows,
    settings: Arc<Settings>,
    draining: Arc<AtomicBool>,
    lookups: Lookups,
    rates: Arc<Rates>,
}

/// The running server.
#[derive(Debug)]
pub struct Server {
    pub address: SocketAddr,
    draining: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
    done: JoinHandle<std::io::Result<()>>,
    drain_notice: Duration,
    drain_timeout: Duration,
}

impl Server {
    /// Binds the address and serves until it is stopped.
    pub async fn start(flows: Flows, settings: Settings) -> std::io::Result<Self> {
        let listen = settings.listen;
        Self::start_with(flows, settings, listen, routes).await
    }

    /// The same with what tells of its health only.
    pub async fn start_health(flows: Flows, settings: Settings, listen: SocketAddr) -> std::io::Result<Self> {
        Self::start_with(flows, settings, listen, |_| health::routes()).await
    }

    async fn start_with(
        flows: Flows,
        settings: Settings,
        listen: SocketAddr,
        routes: impl FnOnce(&Settings) -> Routes,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let drain_notice = Duration::from_secs(settings.drain_notice_s);
        let drain_timeout = Duration::from_secs(settings.drain_timeout_s);
        let draining = Arc::new(AtomicBool::new(false));
        let rates = Arc::new(Rates::new(settings.key_requests_per_s, settings.key_burst));
        let settings = Arc::new(settings);
        let api = Api { flows, settings, draining: Arc::clone(&draining), lookups: Lookups::new(), rates };
        let (stop, mut stopped) = watch::channel(false);
        let service = axum::serve(listener, router(routes, api)).with_graceful_shutdown(async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        });
        let done = tokio::spawn(service.into_future());
        Ok(Self { address, draining, stop, done, drain_notice, drain_timeout })
    }

    /// Says in `/readyz` that it is going, and after the notice no longer takes connections.
    pub async fn drain(self) {
        self.draining.store(true, Ordering::SeqCst);
        tokio::time::sleep(self.drain_notice).await;
        self.stop.send_replace(true);
        if tokio::time::timeout(self.drain_timeout, self.done).await.is_err() {
            tracing::warn!("some requests took too long to be waited for");
        }
    }
}

/// Reads JSON as the API reads it, for a file of what is to be sent to it; else says what is wrong with it.
pub fn read_json(text: &[u8]) -> Result<serde_json::Value, String> {
    crate::domain::json::read(text).map_err(|misread| misread.detail)
}

fn routes(settings: &Settings) -> Routes {
    let single = payments::routes()
        .merge(refunds::routes())
        .merge(edits::routes())
        .merge(starts::routes())
        .merge(retries::routes())
        .merge(gateways::routes())
        .merge(resolve::routes())
        .merge(jobs::routes())
        .merge(customers::routes())
        .merge(payment_methods::routes())
        .merge(gateway_webhooks::routes())
        .merge(test_clock::routes())
        .merge(api_keys::routes())
        .merge(audit::routes())
        .at_most(settings.max_body_bytes);
    let batch = batch::routes().at_most(settings.max_batch_body_bytes);
    single.merge(batch).merge(health::routes())
}

fn router(routes: impl FnOnce(&Settings) -> Routes, api: Api) -> Router {
    routes(&api.settings)
        .finish()
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(api.clone(), frame))
        .with_state(api)
}

async fn no_such_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_route", "there is nothing at this path")
}

async fn no_such_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no_such_method", "this path does not take that method")
}

/// What every request has: an id, a deadline, and a problem's body where it went wrong.
async fn frame(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let id = RequestId::mint(api.flows.clock().now(true), api.flows.clock().random());
    request.extensions_mut().insert(id);
    let id = id.to_string();
    let path =
        Some(request.uri().path()).filter(|path| !looks_like_card_number(path)).unwrap_or("(withheld)");
    let span =
        tracing::info_span!("request", request.id = id, http.method = %request.method(), http.path = path);
    let deadline = Duration::from_secs(api.settings.request_timeout_s);
    let next = next.run(request).instrument(span);
    let mut response = tokio::time::timeout(deadline, next).await.unwrap_or_else(|_| {
        let detail = "this took too long; nothing was lost: send it again under the same key";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", detail).into_response()
    });
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let allowed = response.headers_mut().remove(header::ALLOW);
        response = Problem { request_id: Some(id.as_str().into()), ..problem }.render();
        response.headers_mut().extend(allowed.map(|allowed| (header::ALLOW, allowed)));
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("request-id", value);
    }
    response
}

//! The application: puts the parts together from the configuration, and stops them in order.

use crate::{
    accounts,
    config::{Config, Environment},
    domain::{api_key::NewKey, clock::Clock, payment::Plan, scope::Scopes},
    failpoint::{Failpoints, Point},
    flow::{Flows, charge::PARKED_FOR_CREDENTIALS, sweep},
    gateway::{Registry, client::Client},
    http::Server,
    sandbox::SandboxProcess,
    store::{Owner, Store},
    worker::Workers,
};
use anyhow::Context;
use chrono::TimeDelta;
use dunlin_jobs::Job;
use secrecy::{ExposeSecret, SecretString};
use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

/// A running dunlin: API and workers in one process.
#[derive(Debug)]
pub struct App {
    pub flows: Flows,
    pub server: Server,
    pub sandbox: Option<SandboxProcess>,
    /// In development, a key to try things with.
    pub development_key: Option<SecretString>,
    workers: Workers,
}

/// The tenant that development's key belongs to.
pub const DEVELOPMENT_TENANT: &str = "development";

impl App {
    /// Starts everything. `program` is dunlin itself, for the sandbox's process.
    pub async fn start(mut config: Config, program: &Path) -> anyhow::Result<Self> {
        let store = open_store(&config).await?;
        let sandbox = start_sandbox(&mut config, program).await?;
        let flows = prepare(&config, store).await?;
        let development_key = match config.environment {
            Environment::Development => Some(development_key(&flows, &config.data_dir).await?),
            Environment::Production => None,
        };
        let server = Server::start(flows.clone(), config.http.clone()).await.with_context(|| {
            format!("cannot listen on {}: is the port taken? set http.listen or --listen", config.http.listen)
        })?;
        let workers = Workers::start(flows.clone(), config.worker.clone());
        Ok(Self { flows, server, sandbox, development_key, workers })
    }

    /// Takes no more, finishes what runs, and closes the database.
    pub async fn stop(self) {
        let _ = self.flows.store.pass(Point::Stopping).await;
        // Side by side, so that both together end within the grace that an orchestrator gives.
        tokio::join!(self.server.drain(), self.workers.drain());
        let _ = self.flows.store.pass(Point::Stopped).await;
        self.flows.store.close().await;
    }
}

/// Opens the database as the configuration has it.
pub async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let failpoints = match Point::from_name(&config.failpoint.point) {
        Some(point) => Failpoints::act(point, config.failpoint.nth, config.failpoint.deed),
        None => Failpoints::default(),
    };
    let first_poll = config.payments.unknown_polls_s.first().copied().unwrap_or(5);
    let plan = Plan {
        declines: config.declines.clone().context("the policy of declines was not loaded")?,
        first_poll: TimeDelta::try_seconds(i64::try_from(first_poll)?)
            .context("the first poll is too far")?,
    };
    Ok(Store::open(&config.store_options(), Clock::system(), plan, failpoints).await?)
}

async fn start_sandbox(config: &mut Config, program: &Path) -> anyhow::Result<Option<SandboxProcess>> {
    if !config.sandbox.start {
        return Ok(None);
    }
    fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("data_dir {} cannot be made", config.data_dir.display()))?;
    let journal = config.data_dir.join("sandbox.jsonl");
    let sandbox = SandboxProcess::start(program, &journal, config.sandbox.latency_ms).await?;
    if let Some(account) = config.gateways.get_mut(&config.sandbox.account) {
        account.base_url = format!("http://{}", sandbox.address);
    }
    Ok(Some(sandbox))
}

async fn prepare(config: &Config, store: Store) -> anyhow::Result<Flows> {
    let configs = accounts::load(config, &store).await?;
    let gateways = Registry::new(&configs);
    let client = Client::new(&config.client).context("the client for gateways cannot be built")?;
    let client = client.with_failpoints(store.failpoints().clone());
    for (name, account) in &configs {
        accounts::note(&store, name, account).await?;
    }
    accounts::verify(&gateways, &store, &client).await?;
    store.refresh_clock().await?;
    if config.store_options().url.starts_with("sqlite") {
        // This process has the file to itself, so whoever held a lease is gone.
        store.expire_leases().await?;
    }
    // A restart is how new credentials come in.
    let released = store.unpark(PARKED_FOR_CREDENTIALS).await?;
    if released > 0 {
        tracing::info!(released, "{released} jobs that waited for credentials run again");
    }
    for job in sweep::ALL {
        store.plant(&Job::Sweep(job), store.clock().now(true)).await?;
    }
    store.pass(Point::Planted).await?;
    Ok(Flows { store, gateways, client, settings: config.payments.clone() })
}

/// The development key, kept beside the database so that a restart does not change it.
async fn development_key(flows: &Flows, data_dir: &Path) -> anyhow::Result<SecretString> {
    let path = data_dir.join(DEVELOPMENT_KEY_FILE);
    if let Ok(kept) = fs::read_to_string(&path) {
        let kept = SecretString::from(kept.trim().to_owned());
        if flows.store.find_key(&kept).await?.is_some() {
            return Ok(kept);
        }
    }
    let tenant = flows.store.ensure_tenant(DEVELOPMENT_TENANT).await?;
    let owner = Owner { tenant: tenant.id, livemode: false };
    let new = NewKey { name: "development".to_owned(), scopes: Scopes::everything(), expires_at: None };
    let key = flows.store.create_key(owner, new).await?;
    fs::create_dir_all(data_dir)?;
    let _ = fs::remove_file(&path);
    let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path)?;
    writeln!(file, "{}", key.secret.expose_secret())?;
    Ok(key.secret)
}

/// Where `charge` finds the development key.
pub const DEVELOPMENT_KEY_FILE: &str = "development-key";

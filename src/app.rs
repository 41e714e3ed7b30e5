//! The application: puts the parts together from the configuration, and stops them in order.

use crate::{
    accounts,
    config::{Config, Environment},
    domain::{api_key::NewKey, clock::Clock, payment::Plan, scope::Scopes},
    failpoint::{Failpoints, Point},
    flow::{Flows, Turns, sweep},
    gateway::{Registry, client::Client},
    http::Server,
    redis::{Bell, Line},
    sandbox::SandboxProcess,
    store::{Options, Owner, Store},
    worker::{
        Workers,
        intake::{Readers, Reading},
    },
};
use anyhow::{Context, bail};
use chrono::TimeDelta;
use dunlin_jobs::{GatewaySweep, Job};
use secrecy::{ExposeSecret, SecretString};
use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc, time::Duration};
use tokio::{sync::Notify, task::AbortHandle};

/// What a process does. Several of each may run over one PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes requests and works on jobs.
    Both,
    /// Takes requests; its jobs are for workers.
    Api,
    /// Works on jobs; of requests it answers those about its health, where it is told to listen.
    Worker,
}

/// A running dunlin.
#[derive(Debug)]
pub struct App {
    pub flows: Flows,
    pub server: Option<Server>,
    pub sandbox: Option<SandboxProcess>,
    /// In development, a key to try things with.
    pub development_key: Option<SecretString>,
    workers: Option<Workers>,
    readers: Option<Readers>,
    /// What goes on beside, until the end.
    beside: Vec<AbortHandle>,
}

/// The tenant that development's key belongs to.
pub const DEVELOPMENT_TENANT: &str = "development";

impl App {
    /// Starts what the role needs. `program` is dunlin itself, for the sandbox's process.
    pub async fn start(mut config: Config, role: Role, program: &Path) -> anyhow::Result<Self> {
        if role != Role::Both {
            check_shared(&config)?;
        }
        let store = open_kept(&config).await?;
        let sandbox = start_sandbox(&mut config, program).await?;
        let replicas = Replicas::join(&config, &store).await?;
        let flows = prepare(&config, store, replicas.line).await?;
        let development_key = match (config.environment, role) {
            (Environment::Development, Role::Both | Role::Api) => {
                Some(development_key(&flows, &config.data_dir).await?)
            }
            (Environment::Development, Role::Worker) | (Environment::Production, _) => None,
        };
        let server = start_server(&flows, &config, role).await?;
        let workers =
            (role != Role::Api).then(|| Workers::start(flows.clone(), config.worker.clone(), replicas.rung));
        let readers = (role != Role::Api).then(|| read_intake(&flows, &config));
        let mut beside = replicas.beside;
        beside.push(tokio::spawn(flows.clone().tend_holds()).abort_handle());
        if !is_embedded(&config) {
            beside.push(tokio::spawn(follow_clock(flows.clone())).abort_handle());
        }
        Ok(Self { flows, server, sandbox, development_key, workers, readers, beside })
    }

    /// Takes no more, finishes what runs, and closes the database.
    pub async fn stop(self) {
        let _ = self.flows.store.pass(Point::Stopping).await;
        // Side by side, so that both together end within the grace that an orchestrator gives.
        let requests = async {
            if let Some(server) = self.server {
                server.drain().await;
            }
        };
        let jobs = async {
            if let Some(workers) = self.workers {
                workers.drain().await;
            }
        };
        let mail = async {
            if let Some(readers) = self.readers {
                readers.drain().await;
            }
        };
        tokio::join!(requests, jobs, mail);
        let _ = self.flows.store.pass(Point::Stopped).await;
        for task in self.beside {
            task.abort();
        }
        self.flows.store.close().await;
    }
}

/// Whether the database is a file that this process has to itself.
fn is_embedded(config: &Config) -> bool {
    config.store_options().url.starts_with("sqlite")
}

/// What a process needs that is one of several.
fn check_shared(config: &Config) -> anyhow::Result<()> {
    if is_embedded(config) {
        bail!(
            "an API and workers in processes of their own need a database that they can share: set store.url to \
             one of PostgreSQL, or run `dunlin serve`, which is both in one process"
        );
    }
    if config.sandbox.start {
        bail!(
            "only `dunlin serve` starts a sandbox of its own: run `dunlin sandbox`, set sandbox.start = false and \
             gateways.{}.base_url to where it listens",
            config.sandbox.account
        );
    }
    Ok(())
}

async fn start_server(flows: &Flows, config: &Config, role: Role) -> anyhow::Result<Option<Server>> {
    let (server, listen, setting) = match (role, config.worker.listen) {
        (Role::Both | Role::Api, _) => {
            let listen = config.http.listen;
            (Server::start(flows.clone(), config.http.clone()).await, listen, "http.listen")
        }
        (Role::Worker, Some(listen)) => {
            (Server::start_health(flows.clone(), config.http.clone(), listen).await, listen, "worker.listen")
        }
        (Role::Worker, None) => return Ok(None),
    };
    let server = server.with_context(|| {
        format!("cannot listen on {listen}: is the port taken? set {setting} or --listen")
    })?;
    Ok(Some(server))
}

fn read_intake(flows: &Flows, config: &Config) -> Readers {
    Readers::start(Reading {
        flows: flows.clone(),
        settings: config.intake.clone(),
        max_bytes: config.http.max_body_bytes,
        poll: config.worker.poll(),
    })
}

/// The others, where Redis joins this process to them.
struct Replicas {
    line: Option<Line>,
    /// Rings when another one has left new jobs.
    rung: Arc<Notify>,
    beside: Vec<AbortHandle>,
}

impl Replicas {
    async fn join(config: &Config, store: &Store) -> anyhow::Result<Self> {
        if !config.redis.is_set() {
            return Ok(Self { line: None, rung: Arc::default(), beside: Vec::new() });
        }
        let (line, bell) =
            Line::open(&config.redis, &store.identity().await?).context("redis.url cannot be used")?;
        let rung = bell.heard();
        let enqueued = store.enqueued();
        let pass_on = tokio::spawn(async move { Bell::pass_on(&bell, enqueued).await });
        Ok(Self { line: Some(line), rung, beside: vec![pass_on.abort_handle()] })
    }
}

/// How often it is looked whether another process has moved test time.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(1);

/// Follows the test clock that another process may move. Claims look for themselves.
async fn follow_clock(flows: Flows) {
    loop {
        tokio::time::sleep(LOOK_AT_CLOCK).await;
        if let Err(error) = flows.store.refresh_clock().await {
            tracing::debug!(%error, "the test clock could not be looked at");
        }
    }
}

/// Opens the database as the configuration has it, for a command.
pub async fn open_store(config: &Config) -> anyhow::Result<Store> {
    open(config, config.store_options()).await
}

/// The same for a server, whose connections are its own from the start.
async fn open_kept(config: &Config) -> anyhow::Result<Store> {
    open(config, Options { kept: config.store.connections, ..config.store_options() }).await
}

async fn open(config: &Config, options: Options) -> anyhow::Result<Store> {
    let failpoints = match Point::from_name(&config.failpoint.point) {
        Some(point) => Failpoints::act(point, config.failpoint.nth, config.failpoint.deed),
        None => Failpoints::default(),
    };
    let first_poll = config.payments.unknown_polls_s.first().copied().unwrap_or(5);
    let plan = Plan {
        declines: config.declines.clone().context("the policy of declines was not loaded")?,
        first_poll: TimeDelta::try_seconds(i64::try_from(first_poll)?)
            .context("the first poll is too far")?,
        payable: config.payments.payable(),
    };
    Ok(Store::open(&options, Clock::system(), plan, failpoints).await?)
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

async fn prepare(config: &Config, store: Store, redis: Option<Line>) -> anyhow::Result<Flows> {
    let configs = accounts::load(config, &store).await?;
    let gateways = Registry::new(&configs);
    let client = Client::new(&config.client).context("the client for gateways cannot be built")?;
    let client = client.with_failpoints(store.failpoints().clone());
    for (name, account) in &configs {
        accounts::note(&store, name, account).await?;
    }
    store.refresh_clock().await?;
    store.refresh_holds().await?;
    if is_embedded(config) {
        // This process has the file to itself, so whoever held a lease is gone.
        store.expire_leases().await?;
    }
    for job in sweep::ALL {
        store.plant(&Job::Sweep(job), store.clock().now(true)).await?;
    }
    for account in [true, false].into_iter().flat_map(|livemode| gateways.of(livemode)) {
        let job = Job::GatewaySweep(GatewaySweep { account: account.name.clone() });
        store.plant(&job, store.clock().now(true)).await?;
    }
    store.pass(Point::Planted).await?;
    if let Some(restore) = store.find_restore().await? {
        tracing::error!(
            "nothing is sent to gateways: the database was restored at {} by {} from {}; compare it with the gateway, \
             then run `dunlin restore --release`",
            restore.at,
            restore.by,
            restore.source
        );
    }
    let turns = Turns::new(&config.gateway_rates).with_usual(config.gateway_usual_rate);
    let flows = Flows { store, gateways, client, turns, redis, settings: config.payments.clone() };
    accounts::verify(&flows).await?;
    Ok(flows)
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

//! Sites: where a round takes place. An empty database, a sandbox gateway, and dunlin in its roles, each a process.

use super::{
    Bench,
    client::Client,
    process::Process,
    servers::Servers,
    usage::{Usage, family},
};
use crate::{
    app,
    config::Config,
    sandbox::SandboxProcess,
    store::{Counters, Store, scratch},
};
use anyhow::{Context, ensure};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::Instant;

/// How often it is asked whether all is done.
const LOOK: Duration = Duration::from_millis(20);
/// How often payments are listed for that, which costs the service something; the sandbox is asked else.
const LIST: Duration = Duration::from_millis(500);
/// How long nothing may move before the rest is taken for stuck.
const STUCK_AFTER: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Site<'a> {
    servers: &'a Servers,
    pub(super) sandbox: SandboxProcess,
    pub(super) folder: PathBuf,
    pub(super) key: String,
    pub(super) doors: Vec<SocketAddr>,
    services: Vec<Process>,
    url: String,
    /// Where schemas are made, on PostgreSQL, and what their names begin with.
    server: Option<(String, String)>,
    /// A look at the counters of a database that may be looked at beside the service.
    counting: Option<Store>,
}

impl<'a> Site<'a> {
    pub(super) async fn open(
        bench: &Bench,
        servers: &'a Servers,
        base: &Path,
        number: usize,
    ) -> anyhow::Result<Self> {
        let folder = base.join(format!("round-{number}"));
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let server = servers.database().map(|server| (server, schema(base, number)));
        let url = match &server {
            Some((server, name)) => scratch::make(server, &format!("{name}service")).await?,
            None => sqlite(&folder, "dunlin"),
        };
        let latency = u64::try_from(bench.gateway_latency.as_millis())?;
        let sandbox = SandboxProcess::start(&bench.program, &folder.join("sandbox.jsonl"), latency).await?;
        let (services, doors, counting) = (Vec::new(), Vec::new(), None);
        let mut site =
            Self { servers, sandbox, folder, key: String::new(), doors, services, url, server, counting };
        if let Err(error) = site.start(bench).await {
            site.close().await?;
            return Err(error);
        }
        Ok(site)
    }

    async fn start(&mut self, bench: &Bench) -> anyhow::Result<()> {
        for role in bench.roles() {
            let service = Process::start(&bench.program, role, &self.settings(bench)).await?;
            self.doors.extend(service.door);
            self.services.push(service);
        }
        let path = self.folder.join(app::DEVELOPMENT_KEY_FILE);
        let key = std::fs::read_to_string(path).context("the service has made no key")?;
        key.trim().clone_into(&mut self.key);
        if self.server.is_some() {
            self.counting = Some(self.store(&self.url).await?);
        }
        Ok(())
    }

    /// Variables, and only these: what a developer has set must not be measured.
    fn settings(&self, bench: &Bench) -> Vec<(String, String)> {
        let mut settings = vec![
            ("environment", "development".to_owned()),
            ("sandbox.start", "false".to_owned()),
            ("log.level", "error".to_owned()),
            // All clients share one key.
            ("http.key_requests_per_s", "0".to_owned()),
            ("store.url", self.url.clone()),
            ("data_dir", self.folder.display().to_string()),
            ("gateways.sandbox.base_url", format!("http://{}", self.sandbox.address)),
        ];
        settings.extend(self.servers.redis().map(|url| ("redis.url", url)));
        // Each round has a database of its own.
        settings.extend(self.server.iter().map(|(_, name)| ("redis.prefix", name.clone())));
        if let Some(concurrency) = bench.concurrency {
            settings.push(("worker.lanes.payments", concurrency.to_string()));
        }
        let variable = |(key, value): (&str, String)| {
            (format!("DUNLIN_{}", key.replace('.', "__").to_uppercase()), value)
        };
        settings.into_iter().map(variable).collect()
    }

    /// Waits until no payment is under way, and at best until as many are captured in all.
    pub(super) async fn settle(&self, captures: usize) -> anyhow::Result<()> {
        let mut bank = Client::connect(self.sandbox.address, "").await?;
        let door = self.doors.first().context("nobody takes requests")?;
        let mut api = Client::connect(*door, &self.key).await?;
        let (mut seen, mut moved, mut listed) = (0, Instant::now(), Instant::now());
        loop {
            let ledger = bank.get("/_sandbox/ledger").await?;
            let now = usize::try_from(ledger["captures"].as_u64().unwrap_or(0))?;
            if now != seen {
                (seen, moved) = (now, Instant::now());
            }
            if seen >= captures || listed.elapsed() >= LIST {
                listed = Instant::now();
                if is_quiet(&mut api).await? {
                    return Ok(());
                }
            }
            ensure!(
                moved.elapsed() < STUCK_AFTER,
                "{seen} of {captures} charges are captured, and nothing moves"
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What the processes have used so far, by what they are.
    pub(super) fn usage(&self) -> BTreeMap<&'static str, Usage> {
        let mut processes: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for service in &self.services {
            processes.entry(service.name()).or_default().push(service.id);
        }
        processes.entry("sandbox").or_default().extend(self.sandbox.id());
        processes.entry("clients").or_default().push(std::process::id());
        for (name, id) in self.servers.processes() {
            processes.entry(name).or_default().extend(family(id));
        }
        processes.into_iter().map(|(name, ids)| (name, Usage::of(&ids))).collect()
    }

    pub(super) async fn counters(&self) -> anyhow::Result<Option<Counters>> {
        match &self.counting {
            Some(store) => Ok(store.read_counters().await?),
            None => Ok(None),
        }
    }

    /// Ends the service in order, and opens what it has left.
    pub(super) async fn stop(&mut self) -> anyhow::Result<Store> {
        for service in self.services.drain(..) {
            service.stop().await?;
        }
        match self.counting.take() {
            Some(store) => Ok(store),
            None => self.store(&self.url).await,
        }
    }

    /// An empty database of the same kind, beside the service's.
    pub(super) async fn scratch(&self, name: &str) -> anyhow::Result<Store> {
        let url = match &self.server {
            Some((server, schema)) => scratch::make(server, &format!("{schema}{name}")).await?,
            None => sqlite(&self.folder, name),
        };
        self.store(&url).await
    }

    async fn store(&self, url: &str) -> anyhow::Result<Store> {
        let over = [
            ("environment", "development".to_owned()),
            ("store.url", url.to_owned()),
            ("data_dir", self.folder.display().to_string()),
        ];
        app::open_store(&Config::load_over(None, &over)?).await
    }

    /// Ends everything, and leaves nothing.
    pub(super) async fn close(mut self) -> anyhow::Result<()> {
        self.services.clear();
        if let Some(store) = self.counting.take() {
            store.close().await;
        }
        if let Some((server, schema)) = &self.server {
            scratch::clear(server, schema).await?;
        }
        std::fs::remove_dir_all(&self.folder).context("the folder of a round cannot be removed")
    }
}

/// No other run's schemas begin so; the last underscore keeps one round's from beginning another's.
fn schema(base: &Path, number: usize) -> String {
    let run = base.file_name().unwrap_or_default().to_string_lossy().replace('-', "_");
    format!("{run}_{number}_")
}

fn sqlite(folder: &Path, name: &str) -> String {
    format!("sqlite:{}", folder.join(format!("{name}.db")).display())
}

/// Whether no payment is under way.
async fn is_quiet(api: &mut Client) -> anyhow::Result<bool> {
    for status in ["pending", "processing"] {
        let page = api.get(&format!("/v1/payments?limit=1&status={status}")).await?;
        if page["data"].as_array().is_none_or(|payments| !payments.is_empty()) {
            return Ok(false);
        }
    }
    Ok(true)
}

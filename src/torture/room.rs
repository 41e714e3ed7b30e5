//! Rooms: where cells take place, one after the other. A database, a sandbox gateway, and their files.

use super::{
    gateway::{Endpoint, Gateway},
    menu::MISHAPS,
    plan::{Blow, Plan},
    relay::Relay,
};
use crate::{
    app,
    config::Config,
    private::Redis,
    sandbox::SandboxProcess,
    store::{Store, scratch},
};
use anyhow::Context;
use chrono::TimeDelta;
use std::path::{Path, PathBuf};

/// How many cells share a room; the test clock can go ten years ahead, and each takes two months or more.
const CELLS: usize = 16;

/// Leases and calls short enough that nothing has to be waited for long.
const BRISK: [(&str, &str); 14] = [
    ("environment", "development"),
    ("sandbox.start", "false"),
    ("log.level", "warn"),
    ("store.connections", "4"),
    ("http.drain_timeout_s", "1"),
    ("client.connect_timeout_ms", "300"),
    ("client.timeout_ms", "500"),
    ("payments.lease_margin_ms", "150"),
    ("payments.payable_days", "2"),
    ("worker.lease_s", "1"),
    ("worker.poll_ms", "50"),
    ("worker.drain_timeout_s", "1"),
    ("worker.job_timeout_s", "5"),
    ("http.request_timeout_s", "60"),
];

#[derive(Debug)]
pub(super) struct Room {
    pub(super) program: PathBuf,
    pub(super) sandbox: SandboxProcess,
    pub(super) relay: Relay,
    /// The last capture and the last line of refunds that were judged.
    pub(super) judged: u64,
    pub(super) refunds_judged: u64,
    /// What joins its processes, where something does.
    pub(super) redis: Option<Redis>,
    /// Where it is, or nothing.
    pub(super) redis_url: String,
    pub(super) gateway: Gateway,
    /// The last thing that the gateway had to tell before this cell.
    last_event: Option<String>,
    /// Where the gateway tells of what it does, in cells where it does.
    endpoint: Option<Endpoint>,
    folder: PathBuf,
    url: String,
    /// The server and the schema, on PostgreSQL.
    schema: Option<(String, String)>,
    cells: usize,
}

impl Room {
    /// An empty database and a sandbox that has taken nothing yet. `name` tells it from all others.
    pub(super) async fn open(
        program: &Path,
        server: Option<&str>,
        base: &Path,
        name: &str,
    ) -> anyhow::Result<Self> {
        let folder = base.join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let (url, schema) = match server {
            None => (format!("sqlite:{}", folder.join("dunlin.db").display()), None),
            Some(server) => (scratch::make(server, name).await?, Some((server.to_owned(), name.to_owned()))),
        };
        let sandbox = SandboxProcess::start(program, &folder.join("sandbox.jsonl"), 0).await?;
        let gateway = Gateway::new(sandbox.address)?;
        let relay = Relay::open().await?;
        let program = program.to_owned();
        let (judged, refunds_judged, endpoint, cells) = (0, 0, None, 0);
        Ok(Self {
            program,
            sandbox,
            relay,
            judged,
            refunds_judged,
            redis: None,
            redis_url: String::new(),
            gateway,
            last_event: None,
            endpoint,
            folder,
            url,
            schema,
            cells,
        })
    }

    /// Whether one more cell may take place here.
    pub(super) fn has_place(&self) -> bool {
        self.cells < CELLS
    }

    /// Makes the gateway what the plan has it be.
    pub(super) async fn enter(&mut self, plan: &Plan) -> anyhow::Result<()> {
        self.cells += 1;
        self.gateway.make_trouble(plan).await?;
        self.last_event = self.gateway.last_event().await?;
        if plan.told {
            self.endpoint = Some(self.gateway.listen(self.relay.address).await?);
        }
        Ok(())
    }

    /// Makes the gateway one that tells what it does, and at which so many of a hundred requests go wrong.
    pub(super) async fn prepare_for_fleet(&mut self, seed: u64, faults: u32) -> anyhow::Result<()> {
        if faults > 0 {
            let rate = format!("{}.{:02}", faults / 100, faults % 100);
            self.gateway.go_wrong_at_times(seed, &rate, &MISHAPS).await?;
        }
        self.endpoint = Some(self.gateway.listen(self.relay.address).await?);
        Ok(())
    }

    /// Where the gateway tells of what it does, if it does.
    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    pub(super) fn last_event(&self) -> Option<&str> {
        self.last_event.as_deref()
    }

    /// Nothing goes wrong at the gateway any more.
    pub(super) async fn calm(&self) -> anyhow::Result<()> {
        self.gateway.calm().await
    }

    /// Where the database is, by the shortest way.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The gateway tells nothing any more.
    pub(super) async fn hush(&mut self) -> anyhow::Result<()> {
        match self.endpoint.take() {
            Some(endpoint) => self.gateway.stop_telling(&endpoint).await,
            None => Ok(()),
        }
    }

    pub(super) async fn close(self) -> anyhow::Result<()> {
        drop(self.sandbox);
        if let Some((server, name)) = &self.schema {
            scratch::clear(server, name).await?;
        }
        std::fs::remove_dir_all(&self.folder).context("a room cannot be cleared")
    }

    /// The settings of a process in here, as variables.
    pub(super) fn variables(&self, blow: Option<&Blow>) -> Vec<(String, String)> {
        let variable = |key: &str, value: &str| {
            (format!("DUNLIN_{}", key.replace('.', "__").to_ascii_uppercase()), value.to_owned())
        };
        let mut all: Vec<_> = BRISK.iter().map(|(key, value)| variable(key, value)).collect();
        all.push(variable("store.url", &self.url));
        all.push(variable("data_dir", &self.folder.display().to_string()));
        all.push(variable("gateways.sandbox.base_url", &format!("http://{}", self.sandbox.address)));
        all.push(variable("redis.url", &self.redis_url));
        if let Some(endpoint) = &self.endpoint {
            all.push(variable("gateways.sandbox.webhook_secret", &endpoint.secret));
        }
        if let Some(blow) = blow {
            all.push(variable("failpoint.point", blow.point.name()));
            all.push(variable("failpoint.nth", &blow.nth.to_string()));
            all.push(variable("failpoint.deed", &format!("{:?}", blow.deed).to_ascii_lowercase()));
        }
        all
    }

    /// The key that the processes in here have made for themselves.
    pub(super) fn key(&self) -> anyhow::Result<String> {
        let path = self.folder.join(app::DEVELOPMENT_KEY_FILE);
        let key = std::fs::read_to_string(path).context("the process has made no key")?;
        Ok(key.trim().to_owned())
    }

    /// The database, for whoever looks while no process runs.
    pub(super) async fn store(&self) -> anyhow::Result<Store> {
        let over = [
            ("environment", "development".to_owned()),
            ("store.url", self.url.clone()),
            ("data_dir", self.folder.display().to_string()),
        ];
        app::open_store(&Config::load_over(None, &over)?).await
    }

    /// Test time passes while no process runs.
    pub(super) async fn pass_time(&self, by: TimeDelta) -> anyhow::Result<()> {
        if by.is_zero() {
            return Ok(());
        }
        let store = self.store().await?;
        store.refresh_clock().await?;
        let offset = store.clock().offset() + by;
        let told = self.gateway.tell_time(offset).await;
        let moved = store.advance_clock(offset).await;
        store.abandon().await;
        told?;
        Ok(moved?)
    }
}

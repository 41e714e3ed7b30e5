//! The benchmark: durable charges through real processes over real HTTP, the ledgers compared afterwards, and beside
//! them what the database alone could do with the same rows.

mod client;
mod figures;
mod lives;
mod load;
mod process;
mod round;
mod servers;
mod site;
mod usage;

pub use figures::{Figures, Medians, Value, over};
pub use round::Round;

use crate::app::Role;
use anyhow::Context;
use round::Run;
use servers::Servers;
use site::Site;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// What is measured.
#[derive(Debug, Clone)]
pub struct Bench {
    /// Dunlin itself, whose processes are measured.
    pub program: PathBuf,
    pub setup: SetUp,
    pub charges: usize,
    pub clients: usize,
    pub gateway_latency: Duration,
    /// How many processes of each kind there are, on PostgreSQL.
    pub apis: usize,
    pub workers: usize,
    /// How many charges each worker has in hand at a time, if not as many as it has by default.
    pub concurrency: Option<u16>,
    pub rounds: usize,
    /// The sandbox's token of what is charged.
    pub card: String,
    pub legs: Vec<Leg>,
    /// Where the data lies: on a disk, or nothing is durable.
    pub folder: PathBuf,
}

/// The parts of a round, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Leg {
    /// Single charges, far apart.
    Idle,
    /// As many charges as the clients can send.
    Load,
    /// Half as many.
    Half,
    /// A file of charges.
    Billing,
    /// Charges that are only taken in.
    Enqueue,
}

impl Leg {
    pub const ALL: [Self; 5] = [Self::Idle, Self::Load, Self::Half, Self::Billing, Self::Enqueue];
}

/// Where payments are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetUp {
    Sqlite,
    /// A PostgreSQL of the run's own.
    Postgres,
    /// The same, and a Redis that joins the processes.
    PostgresRedis,
    /// A PostgreSQL database in which schemas may be made.
    Server(String),
}

impl SetUp {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres | Self::Server(_) => "postgres",
            Self::PostgresRedis => "postgres+redis",
        }
    }
}

impl Bench {
    /// Measures round by round. Dropped, it ends its processes.
    pub async fn run(&self, mut tell: impl FnMut(&Round)) -> anyhow::Result<Vec<Round>> {
        // The provider is process-wide; a second client finds the first one's.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let name = format!("bench_{}_{}", std::process::id(), hex::encode(rand::random::<[u8; 4]>()));
        let base = self.folder.join(format!("dunlin-{name}"));
        let ended = Box::pin(self.rounds(&base, &mut tell)).await;
        if base.exists() {
            std::fs::remove_dir_all(&base).context("the folder of the run cannot be removed")?;
        }
        ended
    }

    async fn rounds(&self, base: &Path, tell: &mut impl FnMut(&Round)) -> anyhow::Result<Vec<Round>> {
        let servers = Servers::start(&self.setup).await?;
        let mut rounds = Vec::with_capacity(self.rounds);
        for number in 1..=self.rounds {
            let mut site = Site::open(self, &servers, base, number).await?;
            let round = Run::new(self, &mut site).measure().await;
            site.close().await?;
            let round = round?;
            tell(&round);
            rounds.push(round);
        }
        Ok(rounds)
    }

    /// Each process of the service, those that take requests first: they bring the schema up to date.
    fn roles(&self) -> Vec<Role> {
        match self.setup {
            SetUp::Sqlite => vec![Role::Both],
            SetUp::Postgres | SetUp::PostgresRedis | SetUp::Server(_) => {
                let apis = std::iter::repeat_n(Role::Api, self.apis);
                apis.chain(std::iter::repeat_n(Role::Worker, self.workers)).collect()
            }
        }
    }
}

//! Torture: real processes are hurt, started again and left to finish; then the gateway's ledger is compared
//! with SQL. A seed chooses everything that befalls a cell, so that it can be repeated.

mod caller;
mod cell;
mod customer;
pub mod fleet;
mod gateway;
mod life;
mod menu;
mod office;
mod people;
mod places;
mod plan;
mod refunds;
mod relay;
mod room;
mod verdict;

pub use verdict::Verdict;

use crate::{
    failpoint::Deed,
    private::{Postgres, Redis},
    store::scratch,
};
use anyhow::Context;
use futures_util::future::join_all;
use plan::Plan;
use room::Room;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

/// How many cells take place at a time; most of a cell is waiting.
const SIDE_BY_SIDE: usize = 8;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Torture {
    /// How many at most.
    pub cells: u64,
    /// After this long no cell begins any more.
    pub within: Option<Duration>,
    /// The first cell's seed; the others follow.
    pub seed: u64,
    pub stores: Vec<Store>,
}

/// Where payments are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    Sqlite,
    Postgres {
        /// The URL of a database in which schemas may be made; without it a server of the run's own.
        url: Option<String>,
        /// Whether a Redis of the run's own joins the processes.
        redis: bool,
    },
}

impl Store {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres { redis: false, .. } => "postgres",
            Self::Postgres { redis: true, .. } => "postgres+redis",
        }
    }

    fn has_redis(&self) -> bool {
        matches!(self, Self::Postgres { redis: true, .. })
    }

    fn needs_server(&self) -> bool {
        matches!(self, Self::Postgres { url: None, .. })
    }
}

/// Cells of one sort, and what came out of them.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub cells: u64,
    pub blows: u64,
    /// Blows whose point was met.
    pub fallen: u64,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, Default)]
pub struct Report {
    pub total: Tally,
    pub by_store: BTreeMap<&'static str, Tally>,
    /// By what befell the first process that was hit.
    pub by_deed: BTreeMap<&'static str, Tally>,
    pub failures: Vec<u64>,
}

/// How far it is.
#[derive(Debug)]
pub enum Progress<'a> {
    Done(u64),
    Failed { seed: u64, plan: String, complaints: &'a [String] },
}

/// Everything a run leaves outside of itself, removed by [`Workshop::clear`] however the run ends.
#[derive(Debug)]
pub struct Workshop {
    program: PathBuf,
    folder: PathBuf,
    name: String,
    torture: Torture,
    /// Where one is asked for.
    postgres: Option<Postgres>,
}

impl Workshop {
    pub async fn open(torture: Torture) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("dunlin cannot find itself")?;
        let name = format!("torture_{}_{}", std::process::id(), hex::encode(rand::random::<[u8; 4]>()));
        let folder = std::env::temp_dir().join(format!("dunlin-{name}"));
        // The provider is process-wide; a second client finds the first one's.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let is_needed = torture.stores.iter().any(Store::needs_server);
        let postgres = if is_needed { Some(Postgres::start().await?) } else { None };
        Ok(Self { program, folder, name, torture, postgres })
    }

    /// The server in which a store's schemas are made; without one it is a file.
    fn server(&self, store: &Store) -> Option<String> {
        match store {
            Store::Sqlite => None,
            Store::Postgres { url, .. } => url.clone().or_else(|| self.postgres.as_ref().map(Postgres::url)),
        }
    }

    /// Runs all cells. Dropped, it ends its processes.
    pub async fn run(&self, tell: impl Fn(Progress<'_>)) -> anyhow::Result<Report> {
        let (next, begun) = (Cell::new(0), Instant::now());
        let report = RefCell::new(Report::default());
        let lanes = (0..SIDE_BY_SIDE).map(|lane| Box::pin(self.lane(lane, (&next, begun), &report, &tell)));
        for lane in join_all(lanes).await {
            lane?;
        }
        let mut report = report.into_inner();
        report.failures.sort_unstable();
        Ok(report)
    }

    /// Removes what is left, after a run that was broken off too.
    pub async fn clear(&self) -> anyhow::Result<()> {
        for store in &self.torture.stores {
            // A server of our own goes with all that is in it.
            if let Store::Postgres { url: Some(server), .. } = store {
                scratch::clear(server, &format!("{}_", self.name)).await?;
            }
        }
        if self.folder.exists() {
            std::fs::remove_dir_all(&self.folder).context("the folder of the run cannot be removed")?;
        }
        Ok(())
    }

    async fn room(&self, store: &Store, name: &str) -> anyhow::Result<Room> {
        let mut room = Room::open(&self.program, self.server(store).as_deref(), &self.folder, name).await?;
        if store.has_redis() {
            room.redis = Some(Redis::start().await?);
        }
        Ok(room)
    }

    /// Takes one cell after the other, in a room for each database, until there are no more.
    async fn lane(
        &self,
        lane: usize,
        (next, begun): (&Cell<u64>, Instant),
        report: &RefCell<Report>,
        tell: &impl Fn(Progress<'_>),
    ) -> anyhow::Result<()> {
        let mut rooms: BTreeMap<usize, Room> = BTreeMap::new();
        let is_time = || self.torture.within.is_none_or(|within| begun.elapsed() < within);
        while next.get() < self.torture.cells && is_time() {
            let number = next.get();
            next.set(number + 1);
            let plan = Plan::of(self.torture.seed.wrapping_add(number), self.torture.stores.len());
            let store = &self.torture.stores[plan.database];
            let mut room = match rooms.remove(&plan.database) {
                Some(room) if room.has_place() && !plan.begins_empty() => room,
                used => {
                    if let Some(used) = used {
                        used.close().await?;
                    }
                    // The last underscore keeps one name from beginning with another.
                    let name = format!("{}_{lane}_{number}_", self.name);
                    self.room(store, &name).await?
                }
            };
            let ended = cell::run(&plan, &mut room).await;
            let clean = report.borrow_mut().take(store, &plan, ended, tell);
            tell(Progress::Done(report.borrow().total.cells));
            if clean {
                rooms.insert(plan.database, room);
            } else {
                // What went wrong in here must not be told of the next cell too.
                room.close().await?;
            }
        }
        for room in rooms.into_values() {
            room.close().await?;
        }
        Ok(())
    }
}

impl Report {
    /// True when the cell is as it should be.
    fn take(
        &mut self,
        store: &Store,
        plan: &Plan,
        ended: anyhow::Result<cell::Ended>,
        tell: &impl Fn(Progress<'_>),
    ) -> bool {
        let ended = ended.unwrap_or_else(|error| {
            let mut verdict = Verdict::default();
            verdict.stuck(format!("the cell could not be carried out: {error:#}"));
            cell::Ended { verdict, blows_fallen: 0 }
        });
        let deed = plan.blows.first().map_or("none", |blow| told(blow.deed));
        let tallies = [
            &mut self.total,
            self.by_store.entry(store.name()).or_default(),
            self.by_deed.entry(deed).or_default(),
        ];
        for tally in tallies {
            tally.cells += 1;
            tally.blows += u64::try_from(plan.blows.len()).unwrap_or(0);
            tally.fallen += u64::try_from(ended.blows_fallen).unwrap_or(0);
            tally.verdict.add(&ended.verdict);
        }
        let clean = ended.verdict.is_clean();
        if !clean {
            self.failures.push(plan.seed);
            let complaints = &ended.verdict.complaints;
            tell(Progress::Failed { seed: plan.seed, plan: format!("{plan:?}"), complaints });
        }
        clean
    }

    pub fn is_clean(&self) -> bool {
        self.failures.is_empty()
    }
}

/// A deed in the words of the report.
fn told(deed: Deed) -> &'static str {
    match deed {
        Deed::Hold => "killed",
        Deed::Stall => "stalled",
        Deed::Panic => "panicked",
        Deed::Fail => "failed",
        Deed::Lose => "answer lost",
    }
}

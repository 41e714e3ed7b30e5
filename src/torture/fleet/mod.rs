//! A fleet: APIs and workers in processes of their own over one database, under load, and hurt all the while.

mod blows;
mod healing;
mod load;
mod recovery;
mod replica;
mod road;
mod strike;

pub use blows::Sort;
pub use load::Met;
pub use recovery::Recoveries;

use super::{Verdict, Workshop, room::Room, verdict};
use crate::{
    private::{Postgres, Redis},
    store::Store,
};
use anyhow::{Context, bail};
use blows::{Blow, Blows};
use futures_util::stream::{FuturesUnordered, StreamExt};
use load::Load;
use recovery::Recovery;
use replica::{Doors, Replica, Role};
use road::Road;
use std::{
    collections::BTreeMap,
    sync::{Mutex as Cell, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::{Mutex, watch},
    time::{sleep_until, timeout},
};
use url::Url;

/// As the room's settings have it.
const LEASE: Duration = Duration::from_secs(1);
/// How long callers may still need for what they have in hand when the time is up.
const HANDED_OVER_WITHIN: Duration = Duration::from_mins(1);
/// What is other than in a cell.
const SETTINGS: [(&str, &str); 2] =
    [("DUNLIN_HTTP__KEY_REQUESTS_PER_S", "0"), ("DUNLIN_WORKER__DRAIN_TIMEOUT_S", "5")];
const POSTGRES_PORT: u16 = 5432;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Order {
    pub seed: u64,
    pub apis: usize,
    pub workers: usize,
    pub lasts: Duration,
    /// Between two blows.
    pub every: Duration,
    /// Payments a second.
    pub rate: u32,
    /// How many of a hundred requests go wrong at the gateway.
    pub faults: u32,
    /// Without any, all that apply.
    pub blows: Vec<Sort>,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Those that fell, by their sort.
    pub blows: BTreeMap<&'static str, u64>,
    pub met: Met,
    pub recoveries: Recoveries,
    /// Payments taken in, a second.
    pub payments_per_s: u128,
    /// Payments whose outcome was not known at some time.
    pub once_unknown: i64,
    pub verdict: Verdict,
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.verdict.is_clean() && self.met.server_errors == 0 && self.recoveries.unrecovered == 0
    }
}

struct Fleet<'a> {
    room: &'a Room,
    replicas: Vec<Mutex<Replica>>,
    doors: Doors,
    roads: Roads,
    /// The settings of its processes.
    variables: Vec<(String, String)>,
    /// The database by a road of our own, on which nothing goes wrong.
    store: Store,
    redis: Mutex<Option<Redis>>,
    postgres: Mutex<Option<&'a mut Postgres>>,
    recovery: Recovery,
    /// Held while every process is restarted in turn, and while a road is in trouble.
    rolling: Mutex<()>,
    stormy: Mutex<()>,
    /// Whether no more blows fall.
    over: watch::Sender<bool>,
    complaints: Cell<Vec<String>>,
}

/// What processes reach their servers by.
struct Roads {
    database: Road,
    gateway: Road,
    redis: Option<Road>,
}

impl Workshop {
    /// Runs a fleet over the first of the databases. Dropped, it ends its processes.
    pub async fn run_fleet(&mut self, order: &Order) -> anyhow::Result<Report> {
        let store = self.torture.stores.first().context("a fleet needs a database")?.clone();
        let is_private = store.needs_server();
        let sorts = sorts(order, is_private, store.has_redis())?;
        let mut room = self.room(&store, &format!("{}_fleet_", self.name)).await?;
        room.prepare_for_fleet(order.seed, order.faults).await?;
        let redis = room.redis.take();
        let postgres = self.postgres.as_mut().filter(|_| is_private);
        let fleet = Fleet::assemble(&room, redis, postgres, order).await?;
        let load = Load::new(order, room.key()?)?;
        let blows = fleet.live(&load, order, &sorts).await?;
        let seconds = order.lasts.as_millis().max(1);
        Box::pin(fleet.heal(&load)).await?;
        let once_unknown = fleet.store.count_once_unknown().await?;
        let (recoveries, mut complaints, alarms) = fleet.disband().await;
        let (charges, taken, met, wrong) = load.into_account();
        if !wrong.is_empty() {
            complaints.extend(wrong.into_iter().chain(alarms));
        }
        if sorts == [Sort::Term] && order.faults == 0 && once_unknown > 0 {
            complaints.push(format!("{once_unknown} outcomes were unknown after stops that drain"));
        }
        let mut verdict = verdict::judge(&charges, &mut room, &taken).await?;
        let payments_per_s = u128::from(verdict.payments) * 1000 / seconds;
        verdict.complaints.extend(complaints);
        room.close().await?;
        Ok(Report { blows, met, recoveries, payments_per_s, once_unknown, verdict })
    }
}

/// The sorts of blows that are asked for, or all that apply.
fn sorts(order: &Order, is_private: bool, has_redis: bool) -> anyhow::Result<Vec<Sort>> {
    let applies = |sort: &Sort| match sort {
        Sort::Flush | Sort::RestartRedis => has_redis,
        Sort::RestartPostgres => is_private,
        Sort::Kill | Sort::Stop | Sort::Pause | Sort::Term | Sort::Network => true,
    };
    if order.blows.is_empty() {
        return Ok(Sort::ALL.into_iter().filter(applies).collect());
    }
    if let Some(other) = order.blows.iter().find(|sort| !applies(sort)) {
        let needs =
            if has_redis { "--store postgres, a server of the run's own" } else { "a store with +redis" };
        bail!("--blows {} needs {needs}", other.name());
    }
    Ok(order.blows.clone())
}

impl<'a> Fleet<'a> {
    async fn assemble(
        room: &'a Room,
        redis: Option<Redis>,
        postgres: Option<&'a mut Postgres>,
        order: &Order,
    ) -> anyhow::Result<Self> {
        let mut roads = Vec::new();
        let mut variables = room.variables(None);
        variables.extend(SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let urls = [
            ("DUNLIN_STORE__URL", Some(room.url().to_owned())),
            ("DUNLIN_GATEWAYS__SANDBOX__BASE_URL", Some(format!("http://{}", room.sandbox.address))),
            ("DUNLIN_REDIS__URL", redis.as_ref().map(Redis::url)),
        ];
        for (name, url) in urls {
            let Some(url) = url else { continue };
            let (road, url) = build(&url).await?;
            roads.push(road);
            variables.push((name.to_owned(), url));
        }
        let mut roads = roads.into_iter();
        let roads = Roads {
            database: roads.next().context("a road to the database")?,
            gateway: roads.next().context("a road to the gateway")?,
            redis: roads.next(),
        };
        let roles = (0..order.apis).map(Role::Api).chain((0..order.workers).map(|_| Role::Worker));
        let fleet = Self {
            room,
            replicas: roles.map(Replica::new).map(Mutex::new).collect(),
            doors: Doors::new(order.apis),
            roads,
            variables,
            store: room.store().await?,
            redis: Mutex::new(redis),
            postgres: Mutex::new(postgres),
            recovery: Recovery::default(),
            rolling: Mutex::default(),
            stormy: Mutex::default(),
            over: watch::Sender::new(false),
            complaints: Cell::default(),
        };
        // One after the other: the first makes the key that all of them know.
        for replica in &fleet.replicas {
            fleet.start(&mut *replica.lock().await).await?;
        }
        Ok(fleet)
    }

    async fn start(&self, replica: &mut Replica) -> anyhow::Result<()> {
        replica.start(&self.room.program, &self.variables, &self.doors).await?;
        self.room.relay.lead_to(self.doors.any().as_deref());
        Ok(())
    }

    /// Load and blows until the time is up; the blows that fell.
    async fn live(
        &self,
        load: &Load,
        order: &Order,
        sorts: &[Sort],
    ) -> anyhow::Result<BTreeMap<&'static str, u64>> {
        let handing = timeout(order.lasts + HANDED_OVER_WITHIN, load.run(&self.doors, order.lasts));
        let both = async { tokio::join!(handing, Box::pin(self.suffer(order, sorts))) };
        let (handed, fallen) = tokio::select! {
            ended = both => ended,
            () = self.recovery.watch(&self.store) => bail!("the watch ended"),
            () = load.keep_asking_back(&self.doors) => bail!("the callers ended"),
        };
        if handed.is_err() {
            self.complain(Some("not all charges were taken in time".to_owned()));
        }
        fallen
    }

    /// One blow after the other, and each is mended while others fall.
    async fn suffer(&self, order: &Order, sorts: &[Sort]) -> anyhow::Result<BTreeMap<&'static str, u64>> {
        let mut blows = Blows::of(order.seed, sorts, LEASE);
        let mut fallen = BTreeMap::new();
        let mut strikes = FuturesUnordered::new();
        let end = Instant::now() + order.lasts;
        let mut next = Instant::now() + order.every;
        loop {
            tokio::select! {
                () = sleep_until(next.min(end).into()), if !*self.over.borrow() => {
                    if next < end {
                        next += order.every;
                        strikes.extend(blows.next().map(|blow| self.deal(blow)));
                    } else {
                        self.over.send_replace(true);
                    }
                }
                Some(struck) = strikes.next() => {
                    let (sort, fell): (Sort, bool) = struck?;
                    *fallen.entry(sort.name()).or_insert(0) += u64::from(fell);
                }
                else => return Ok(fallen),
            }
        }
    }

    async fn deal(&self, blow: Blow) -> anyhow::Result<(Sort, bool)> {
        let fell = Box::pin(self.strike(blow)).await;
        Ok((blow.sort, fell.with_context(|| format!("the blow {blow:?} could not be dealt"))?))
    }

    fn complain(&self, complaint: Option<String>) {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).extend(complaint);
    }

    /// What came of it, what was wrong, and what its processes had to say.
    async fn disband(self) -> (Recoveries, Vec<String>, Vec<String>) {
        self.store.abandon().await;
        let alarms = self.replicas.into_iter().flat_map(|replica| replica.into_inner().into_alarms());
        let complaints = self.complaints.into_inner().unwrap_or_else(PoisonError::into_inner);
        (self.recovery.figures(), complaints, alarms.collect())
    }
}

/// A road to the server of a URL, and the URL by it.
async fn build(url: &str) -> anyhow::Result<(Road, String)> {
    let mut url = Url::parse(url).context("the URL of a server")?;
    let host = url.host_str().context("the URL names no server")?;
    let port = url.port_or_known_default().unwrap_or(POSTGRES_PORT);
    let road = Road::to(format!("{host}:{port}")).await?;
    url.set_host(Some(&road.address.ip().to_string()))?;
    url.set_port(Some(road.address.port())).ok().context("the URL takes no port")?;
    Ok((road, url.as_str().trim_end_matches('/').to_owned()))
}

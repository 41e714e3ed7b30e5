//! Workers: apalis runs the pools, over leased rows. One match over `Job` says who does what.

mod backend;
mod claimer;
mod held;
pub mod intake;

use crate::{
    domain::decline::transport,
    failpoint::Point,
    flow::{
        ErrorKind, FlowError, Flows, charge, gateway_events, gateway_sweep, reconcile, refund, sweep,
        withdraw,
    },
    store::{
        StoreError,
        change::JobEnd,
        claim::{Claimed, Order},
    },
};
use apalis::prelude::{Data, Monitor, WorkerBuilder, WorkerBuilderExt};
use apalis_core::worker::ext::parallelize::ParallelizeExt;
use backend::{LaneBackend, Leased};
use claimer::Claimer;
use dunlin_jobs::{Job, Lane};
use futures_util::FutureExt;
use held::Held;
use serde::{Deserialize, Deserializer};
use std::{collections::BTreeMap, net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How long a claimed job is ours before another worker may take it; renewed at a third.
    pub lease_s: u64,
    /// How often job rows are looked at when nothing rings.
    pub poll_ms: u64,
    /// How long a stop waits for what is running.
    pub drain_timeout_s: u64,
    /// How long one run of a job may take.
    pub job_timeout_s: u64,
    /// A worker whose clock is farther than this from the database's claims nothing.
    pub max_clock_skew_ms: u64,
    /// How many jobs of each lane run at a time; 0 leaves the lane to other replicas.
    pub lanes: BTreeMap<Lane, u16>,
    /// Where a process that only works answers for its health.
    #[serde(default, deserialize_with = "address")]
    pub listen: Option<SocketAddr>,
}

/// An address, or nothing.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    (!text.is_empty()).then(|| text.parse()).transpose().map_err(serde::de::Error::custom)
}

impl Settings {
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_s)
    }

    pub fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }

    pub fn max_clock_skew(&self) -> Duration {
        Duration::from_millis(self.max_clock_skew_ms)
    }

    /// What S1.7 asks of the lease: half as much again as the longest call and its margin.
    pub fn check(&self, longest_call: Duration) -> Result<(), String> {
        let least = longest_call * 3 / 2;
        if self.lease() < least {
            return Err(format!(
                "worker.lease_s is {}, but must be at least {} s: 1.5 times client.timeout_ms and \
                 payments.lease_margin_ms together",
                self.lease_s,
                least.as_secs() + u64::from(least.subsec_nanos() > 0)
            ));
        }
        Ok(())
    }
}

/// What all lanes of a process share.
struct Pool {
    flows: Flows,
    settings: Settings,
    /// New in each life of the process, so that no lease is ever mistaken for an earlier life's.
    owner: String,
    held: Held,
    /// Rings when another process has left new jobs.
    rung: Arc<Notify>,
}

/// The running workers of this process.
#[derive(Debug)]
pub struct Workers {
    stop: watch::Sender<bool>,
    done: JoinHandle<()>,
}

impl Workers {
    /// Starts a worker for each lane; `rung` rings when another process has left new jobs.
    pub fn start(flows: Flows, settings: Settings, rung: Arc<Notify>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let owner = format!("{}-{}", std::process::id(), hex::encode(flows.clock().random()));
        let pool = Arc::new(Pool { flows, settings, owner, held: Held::default(), rung });
        let done = tokio::spawn(run(pool, stopped));
        Self { stop, done }
    }

    /// Stops claiming, lets what runs finish, and gives back what never started (S5.7).
    pub async fn drain(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.done.await {
            tracing::error!(%error, "the workers did not stop in order");
        }
    }
}

async fn run(pool: Arc<Pool>, stop: watch::Receiver<bool>) {
    let heartbeat = tokio::spawn(beat(Arc::clone(&pool)));
    // Before anything is claimed.
    pool.flows.check_clock().await;
    let clock = tokio::spawn(watch_clock(pool.flows.clone()));
    let mut monitor = Monitor::new().should_restart(|_, _| true);
    let mut claimers = Vec::new();
    for (lane, concurrency) in pool.settings.lanes.clone() {
        if concurrency == 0 {
            continue;
        }
        let (jobs, received) = mpsc::channel(concurrency.into());
        let backend = LaneBackend::new(received);
        let data = Arc::clone(&pool);
        let name = format!("{lane}-{}", pool.owner);
        monitor = monitor.register(move |restarts| {
            WorkerBuilder::new(format!("{name}-{restarts}"))
                .backend(backend.clone())
                .data(Arc::clone(&data))
                .concurrency(concurrency.into())
                .parallelize(tokio::spawn)
                .build(handle)
        });
        let claimer = Claimer { pool: Arc::clone(&pool), lane, concurrency, jobs, stop: stop.clone() };
        claimers.push(tokio::spawn(claimer.run()));
    }
    let monitor = tokio::spawn(monitor.run());
    for claimer in claimers {
        let _ = claimer.await;
    }
    let _ = pool.flows.store.pass(Point::Releasing).await;
    // Before what runs is waited for, and never to be started here: who claims it next must not find it begun.
    let unstarted = pool.held.give_back();
    if let Err(error) = pool.flows.store.release(&unstarted).await {
        tracing::warn!(%error, "leases could not be given back; they run out by themselves");
    }
    let drain = Duration::from_secs(pool.settings.drain_timeout_s);
    if tokio::time::timeout(drain, pool.held.wait_until_finished()).await.is_err() {
        // A charge on the wire is left to its lease: whoever claims it next asks what became of it.
        tracing::warn!(
            jobs = pool.held.all().len(),
            "the drain took too long; what runs is left to its lease"
        );
    }
    heartbeat.abort();
    clock.abort();
    monitor.abort();
}

/// How often our clock is compared with the database's.
const COMPARE_CLOCKS: Duration = Duration::from_secs(5);

async fn watch_clock(flows: Flows) {
    loop {
        tokio::time::sleep(COMPARE_CLOCKS).await;
        flows.check_clock().await;
    }
}

/// The heartbeat, for as long as the process lives.
async fn beat(pool: Arc<Pool>) {
    while AssertUnwindSafe(renew(&pool)).catch_unwind().await.is_err() {
        tracing::error!("the heartbeat panicked; it begins again");
    }
}

/// One heartbeat renews all leases that the process holds, at a third of their length.
async fn renew(pool: &Pool) {
    let mut beat = tokio::time::interval(pool.settings.lease() / 3);
    loop {
        beat.tick().await;
        let leases = pool.held.all();
        if leases.is_empty() {
            continue;
        }
        if pool.flows.store.pass(Point::Renewing).await.is_err() {
            continue;
        }
        let renewal = pool.flows.store.renew(&leases, pool.settings.lease());
        let renewed = tokio::time::timeout(pool.settings.lease() / 3, renewal).await;
        if let Err(error) = renewed.unwrap_or(Err(StoreError::Unavailable)) {
            tracing::warn!(jobs = leases.len(), %error, "leases could not be renewed");
        }
    }
}

/// What apalis calls for each job. The deadline and the panic guard are in here, inside our bookkeeping.
async fn handle(leased: Leased, pool: Data<Arc<Pool>>) -> Result<(), std::convert::Infallible> {
    let Leased { claimed, holding, _slot } = leased;
    if !holding.start() {
        return Ok(());
    }
    let deadline = Duration::from_secs(pool.settings.job_timeout_s);
    let work = AssertUnwindSafe(work(&pool.flows, &claimed)).catch_unwind();
    match tokio::time::timeout(deadline, work).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => tracing::error!(job.id = %claimed.lease.job, "{} panicked", claimed.lease.job),
        Err(_) => tracing::error!(job.id = %claimed.lease.job, "{} took too long", claimed.lease.job),
    }
    // After a panic or a deadline the lease runs out, and the next look finds what was left behind.
    drop(holding);
    Ok(())
}

/// Works on one job and records how it ended.
pub async fn work(flows: &Flows, claimed: &Claimed) {
    if let Err(error) = run_job(flows, claimed).await {
        fail(flows, claimed, &error).await;
    }
}

async fn run_job(flows: &Flows, claimed: &Claimed) -> Result<(), FlowError> {
    flows.store.pass(Point::Begun).await?;
    match &claimed.job {
        Job::Charge(job) => charge::run(flows, claimed, job.payment).await,
        Job::Retry(job) => charge::run(flows, claimed, job.payment).await,
        Job::Reconcile(job) => reconcile::run(flows, claimed, *job).await,
        Job::Withdraw(job) => withdraw::run(flows, claimed, job).await,
        Job::Refund(job) => refund::run(flows, claimed, *job).await,
        Job::Sweep(job) => sweep::run(flows, claimed, *job).await,
        Job::GatewayEvent(job) => Box::pin(gateway_events::run(flows, claimed, job)).await,
        Job::GatewaySweep(job) => gateway_sweep::run(flows, claimed, job).await,
    }
}

/// A failure moves the job's time in the same update that stores the error (S5.5).
async fn fail(flows: &Flows, claimed: &Claimed, error: &FlowError) {
    let job = &claimed.lease.job;
    let text = error.to_string();
    let at = flows.clock().now(claimed.livemode) + transport(claimed.failures + 1);
    match error.kind() {
        ErrorKind::Later | ErrorKind::Conflict => {
            tracing::warn!(job.id = %job, error = text, "{job} could not be worked on; it comes again");
        }
        // It comes again all the same: its payment may have an attempt open, which nothing else would ask after.
        ErrorKind::Caller | ErrorKind::Broken => {
            tracing::error!(job.id = %job, error = text, "{job} fails until a person mends what it needs; it comes again");
        }
    }
    let end = JobEnd::Failed(at, text);
    if let Err(error) = flows.end_job(&claimed.lease, end).await {
        tracing::warn!(job.id = %job, %error, "the failure of {job} could not be recorded; its lease runs out");
    }
}

/// Claims and works on what is due in a lane, one job after the other, until nothing is; for tests that hold
/// the clock.
pub async fn run_due_jobs(flows: &Flows, lane: Lane, livemode: bool) -> Result<usize, FlowError> {
    let lease = Duration::from_mins(1);
    let mut done = 0;
    loop {
        let order = Order { lane, livemode, owner: "by hand".to_owned(), lease, limit: 1 };
        let claimed = flows.store.claim(order).await?;
        let Some(claimed) = claimed.first() else { return Ok(done) };
        work(flows, claimed).await;
        done += 1;
    }
}

//! Rounds: the legs of a measurement, one after the other on one site, the ledgers compared, and the floor.

use super::{
    Bench, Leg,
    figures::{Figures, between, each, rate},
    lives::{Lives, Window},
    load::{CUSTOMERS, Load, Taken},
    site::Site,
    usage::Usage,
};
use crate::{
    audit::{self, Findings},
    domain::{clock::Clock, payment::Status},
    store::{Counters, Specimen, Store},
};
use anyhow::Context;
use chrono::TimeDelta;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
    time::Duration,
};
use tokio::time::Instant;

/// How many charges trickle in while nothing else happens, and how far apart.
const TRICKLE: usize = 200;
const TRICKLE_PACE: Duration = Duration::from_millis(20);
/// How long charges come at half the speed of the load before.
const HALF_FOR: Duration = Duration::from_secs(4);
/// How many rows the one bulk INSERT has at most, beside which the billing run is held.
const INSERT_ROWS: usize = 10_000;
/// How often the memory of a command is looked at.
const GLANCE: Duration = Duration::from_millis(50);
/// PostgreSQL tells what it has counted once a second.
const COUNTED_AFTER: Duration = Duration::from_millis(1100);

/// What a round has come to.
#[derive(Debug)]
pub struct Round {
    pub figures: Figures,
    pub findings: Findings,
    /// What is wrong with the ledgers, if anything is.
    pub complaint: Option<String>,
}

/// A round under way.
pub(super) struct Run<'a, 's> {
    bench: &'a Bench,
    site: &'a mut Site<'s>,
    clock: Clock,
    figures: Figures,
    /// How many charges were sent that are to be captured, and how many that are not yet.
    charged: usize,
    waiting: usize,
    windows: BTreeMap<Leg, Window>,
    load: Option<Spent>,
    /// The largest that each kind of process was.
    peaks_kib: BTreeMap<&'static str, u64>,
}

/// What the load has cost.
struct Spent {
    taken: Taken,
    usage: BTreeMap<&'static str, Usage>,
    counters: Option<Counters>,
}

impl<'a, 's> Run<'a, 's> {
    pub(super) fn new(bench: &'a Bench, site: &'a mut Site<'s>) -> Self {
        Self {
            bench,
            site,
            clock: Clock::system(),
            figures: Figures::default(),
            charged: 0,
            waiting: 0,
            windows: BTreeMap::new(),
            load: None,
            peaks_kib: BTreeMap::new(),
        }
    }

    pub(super) async fn measure(mut self) -> anyhow::Result<Round> {
        let mut enqueued = None;
        let (mut billed, mut accepted) = (None, None);
        for leg in &self.bench.legs {
            match leg {
                Leg::Idle => drop(self.trickle().await?),
                Leg::Load => accepted = self.load().await?,
                Leg::Half => self.half().await?,
                Leg::Billing => billed = self.bill().await?,
                Leg::Enqueue => enqueued = self.enqueue().await?,
            }
        }
        for (name, usage) in self.site.usage() {
            self.peaks_kib.insert(name, usage.peak_rss_kib);
        }
        let store = self.site.stop().await?;
        let findings = audit::compare(&store, self.site.sandbox.address).await?;
        let complaint = self.complaint(&findings);
        let lives = Lives::read(&store).await?;
        let specimen = find_specimen(&store).await?;
        store.close().await;
        self.tell_load(&lives, accepted);
        self.figures.whole("enqueued_per_s", enqueued);
        self.tell_floor(specimen.as_ref(), billed, &lives).await?;
        self.tell_spent();
        for (name, peak) in &self.peaks_kib {
            self.figures.whole(format!("peak_rss_mib_{name}"), Some(peak / 1024));
        }
        Ok(Round { figures: self.figures, findings, complaint })
    }

    /// Single charges while nothing else happens.
    async fn trickle(&mut self) -> anyhow::Result<Taken> {
        let charges = TRICKLE.min(self.bench.charges);
        let load = Load { charges, pace: Some(TRICKLE_PACE), ..self.charges("idle") };
        self.send(Leg::Idle, load).await
    }

    /// As much as the clients can send.
    async fn load(&mut self) -> anyhow::Result<Option<u64>> {
        let (before, counted) = (self.site.usage(), self.site.counters().await?);
        let taken = self.send(Leg::Load, self.charges("load")).await?;
        let mut usage = self.site.usage();
        for (name, usage) in &mut usage {
            *usage = usage.since(&before.get(name).copied().unwrap_or_default());
        }
        let counters = match counted {
            Some(before) => self.counted_since(before).await?,
            None => None,
        };
        let per_s = taken.per_s;
        self.load = Some(Spent { taken, usage, counters });
        Ok(per_s)
    }

    async fn counted_since(&self, before: Counters) -> anyhow::Result<Option<Counters>> {
        let wal_bytes = self.site.counters().await?.map_or(0, |counters| counters.wal_bytes);
        tokio::time::sleep(COUNTED_AFTER).await;
        let after = self.site.counters().await?;
        Ok(after.map(|after| Counters {
            commits: after.commits.saturating_sub(before.commits),
            wal_bytes: wal_bytes.saturating_sub(before.wal_bytes),
        }))
    }

    /// Half as much as the load has come to.
    async fn half(&mut self) -> anyhow::Result<()> {
        let Some(taken) = self.load.as_ref().and(self.windows.get(&Leg::Load)) else { return Ok(()) };
        let took = between(taken.from, taken.until) * 2;
        let pace = took / u32::try_from(self.bench.charges.max(1))?;
        let enough = usize::try_from(HALF_FOR.as_micros() / pace.as_micros().max(1))?;
        let load = Load { charges: enough.min(self.bench.charges), pace: Some(pace), ..self.charges("half") };
        self.send(Leg::Half, load).await.map(drop)
    }

    /// Charges that are not due for long, so that they are only taken in.
    async fn enqueue(&mut self) -> anyhow::Result<Option<u64>> {
        let later = self.clock.now(false) + TimeDelta::days(30);
        let load = Load { process_at: Some(later.to_rfc3339()), ..self.charges("later") };
        self.waiting += load.charges;
        Ok(load.send().await?.per_s)
    }

    fn charges(&self, name: &str) -> Load {
        Load {
            doors: self.site.doors.clone(),
            key: self.site.key.clone(),
            clients: self.bench.clients,
            charges: self.bench.charges,
            pace: None,
            card: self.bench.card.clone(),
            process_at: None,
            name: name.to_owned(),
        }
    }

    /// Sends the charges and waits for their outcomes.
    async fn send(&mut self, leg: Leg, load: Load) -> anyhow::Result<Taken> {
        self.charged += load.charges;
        let from = self.clock.now(false);
        let taken = load.send().await?;
        self.site.settle(self.charged).await?;
        self.windows.insert(leg, Window { from, until: self.clock.now(false) });
        Ok(taken)
    }

    /// A file of charges, by the command that is made for it; how many rows a second it had taken in.
    async fn bill(&mut self) -> anyhow::Result<Option<u64>> {
        let file = self.write_file()?;
        let door = self.site.doors.first().context("nobody takes charges")?;
        self.charged += self.bench.charges;
        let (from, started) = (self.clock.now(false), Instant::now());
        let mut command = tokio::process::Command::new(&self.bench.program)
            .arg("charge")
            .arg(file)
            .args(["--url", &format!("http://{door}"), "--api-key", &self.site.key])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        let id: Vec<_> = command.id().into_iter().collect();
        let ended = loop {
            // It tells its memory while it runs only.
            let peak = Usage::of(&id).peak_rss_kib;
            self.peaks_kib.entry("charge").and_modify(|known| *known = peak.max(*known)).or_insert(peak);
            if let Ok(ended) = tokio::time::timeout(GLANCE, command.wait()).await {
                break ended?;
            }
        };
        anyhow::ensure!(ended.success(), "the billing run ended with {ended}");
        let took = started.elapsed();
        self.site.settle(self.charged).await?;
        self.windows.insert(Leg::Billing, Window { from, until: self.clock.now(false) });
        Ok(rate(self.bench.charges, took))
    }

    fn write_file(&self) -> anyhow::Result<PathBuf> {
        let path = self.site.folder.join("charges.csv");
        let mut file = BufWriter::new(File::create(&path).context("the file of charges cannot be made")?);
        writeln!(file, "reference,amount,currency,customer,method,description")?;
        for row in 0..self.bench.charges {
            let (customer, card) = (row % CUSTOMERS, &self.bench.card);
            writeln!(file, "bill-{row},12.50,EUR,cus_{customer},{card},Monthly subscription")?;
        }
        file.flush().context("the file of charges cannot be written")?;
        Ok(path)
    }

    /// A fast run that lost or doubled one payment is a failed run.
    fn complaint(&self, findings: &Findings) -> Option<String> {
        let all = u64::try_from(self.charged + self.waiting).unwrap_or(u64::MAX);
        let charged = u64::try_from(self.charged).unwrap_or(u64::MAX);
        let Findings { payments, succeeded, double_captures, lost, wrong_amounts, .. } = findings;
        if !findings.agree() {
            Some(format!("{double_captures} charges doubled, {lost} lost, {wrong_amounts} of a wrong amount"))
        } else if *payments != all {
            Some(format!("{all} payments were taken in, and {payments} are there"))
        } else if *succeeded != charged {
            Some(format!("{charged} payments were to be charged, and {succeeded} were"))
        } else {
            None
        }
    }

    fn tell_load(&mut self, lives: &Lives, accepted: Option<u64>) {
        let of = |leg| self.windows.get(&leg).map(|window| lives.within(*window));
        let (load, half, idle) = (of(Leg::Load), of(Leg::Half), of(Leg::Idle));
        let gateway = self.bench.gateway_latency;
        let figures = &mut self.figures;
        figures.whole("payments_per_s", load.as_ref().and_then(Lives::per_s));
        figures.whole("accepted_per_s", accepted);
        let latencies = self.load.as_ref().map(|spent| spent.taken.latencies.clone());
        figures.spread("accept", latencies.unwrap_or_default());
        for (name, lives) in [("load", &load), ("half_load", &half), ("idle", &idle)] {
            let spans = |take: &dyn Fn(&Lives) -> Vec<Duration>| lives.as_ref().map(take).unwrap_or_default();
            figures.spread(&format!("accept_to_attempt_{name}"), spans(&Lives::until_attempt));
            figures.spread(&format!("worker_overhead_{name}"), spans(&|lives| lives.overhead(gateway)));
        }
    }

    /// The same rows by themselves, on the same database.
    async fn tell_floor(
        &mut self,
        specimen: Option<&Specimen>,
        accepted: Option<u64>,
        lives: &Lives,
    ) -> anyhow::Result<()> {
        let (mut floor, mut inserted) = (None, None);
        if let Some(specimen) = specimen {
            let store = self.site.scratch("floor").await?;
            let charges = self.bench.charges;
            floor = rate(charges, store.write_charges(specimen, charges).await?);
            if accepted.is_some() {
                let rows = charges.min(INSERT_ROWS);
                inserted = rate(rows, store.write_acceptances(specimen, rows).await?);
            }
            store.close().await;
        }
        let per_s = |leg| self.windows.get(&leg).and_then(|window| lives.within(*window).per_s());
        let (loaded, charged) = (per_s(Leg::Load), per_s(Leg::Billing));
        let figures = &mut self.figures;
        figures.whole("billing_accepted_per_s", accepted);
        figures.whole("billing_payments_per_s", charged);
        figures.whole("insert_payments_per_s", inserted);
        figures.ratio("ratio_billing_to_insert", accepted, inserted);
        figures.whole("floor_payments_per_s", floor);
        figures.ratio("ratio_to_floor", loaded.or(charged), floor);
        Ok(())
    }

    /// What a charge of the load has cost.
    fn tell_spent(&mut self) {
        let Some(Spent { usage, counters, .. }) = &self.load else { return };
        let charges = self.bench.charges;
        let micros = |usage: &Usage| u64::try_from(usage.cpu.as_micros()).ok();
        let figures = &mut self.figures;
        for (name, usage) in usage {
            figures.whole(format!("cpu_us_per_payment_{name}"), each(micros(usage), charges));
        }
        let all = usage.values().filter_map(micros).sum();
        figures.whole("cpu_us_per_payment_all", each(Some(all), charges));
        let commits = counters.map(|counters| counters.commits);
        figures.ratio("commits_per_payment", commits, u64::try_from(charges).ok());
        figures.whole("wal_bytes_per_payment", each(counters.map(|counters| counters.wal_bytes), charges));
        // SQLite tells neither; what its process had written is its log, and in time its tables.
        let written = usage.get("serve").map(|usage| usage.written_bytes);
        figures.whole("written_bytes_per_payment_serve", each(written, charges));
    }
}

impl Lives {
    fn per_s(&self) -> Option<u64> {
        rate(self.count(), self.span()?)
    }
}

/// One charge that went as all should.
async fn find_specimen(store: &Store) -> anyhow::Result<Option<Specimen>> {
    let payments = store.list_all_payments(None, 100).await?;
    let Some(payment) = payments.into_iter().find(|payment| payment.status == Status::Succeeded) else {
        return Ok(None);
    };
    let exchange = store.list_exchanges(payment.id).await?.into_iter().next();
    Ok(exchange.map(|exchange| Specimen { payment, exchange }))
}

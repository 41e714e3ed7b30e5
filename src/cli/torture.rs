//! `dunlin torture`: processes killed and broken at every place there is, and the ledgers compared.

use super::{Ending, charge::bar, fleet, note, say, stop::Stop, words::seconds};
use crate::torture::{Progress, Report, Store, Tally, Torture, Verdict, Workshop};
use indicatif::ProgressBar;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt::Display,
    time::{Duration, Instant},
};

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// How many cells at most, one seed each; by default 100, or as many as fit into --minutes.
    #[arg(long, conflicts_with = "fleet")]
    cells: Option<u64>,
    /// After so many minutes no cell begins any more; or how long a fleet is under load, by default 1.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    minutes: Option<u16>,
    /// The same in seconds.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "minutes")]
    seconds: Option<u16>,
    /// The first cell's seed; the others follow. Or the fleet's.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where payments are kept: sqlite; postgres, for which a private server is started; or `postgres://URL` of a
    /// database in which schemas may be made; the last two with +redis behind them for a private Redis too. May be given
    /// several times for cells, which are sqlite's by default; a fleet takes one, by default postgres.
    #[arg(long = "store", value_name = "STORE", value_parser = store)]
    stores: Vec<Store>,
    /// End with one JSON object on the last line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    fleet: fleet::Wishes,
}

const AFTER_HELP: &str = "\
A cell starts `dunlin serve`, hands it a few payments and asks some of them back; some of their cards lose answers, \
answer late, or decline, and the gateway may fail by chance or tell of what it does. At the nth visit of one of 47 \
places the process is killed, panics, or fails at what it does there; with Redis, that may lose all it holds or be \
restarted, over and over. Time may pass. Another process is started, perhaps hit as well; the last one is left alone \
until nothing is due. Then the sandbox's ledger is compared with SQL.

A fleet (--fleet) is --apis and --workers in processes of their own, to which callers hand --rate payments a second, \
each under its key until it is taken, at whichever API answers, one of 16 at all of them at once. Every --every \
seconds a blow falls, and is mended beside the next ones:
  kill              SIGKILL of a process
  stop              SIGSTOP for longer than a lease, then SIGCONT
  pause             the same for a minute, or until the load ends
  term              SIGTERM to one process after the other, each started again: a deployment
  flush             Redis: FLUSHALL
  restart-redis     Redis is stopped and started, empty
  restart-postgres  the private PostgreSQL too, in half of the cases as though its power had failed
  network           what goes to the database, the gateway or Redis is late, cut off or refused, or a COMMIT is not answered
Then all is mended, test time passes until nothing is due, and the ledger is compared with SQL.

Recovery is what a job in a killed process's hands waits for: from the SIGKILL until its payment's next change, or \
until the job is done or put back, by whomever; it is looked at every 50 ms. A lease is 1 s here.

Exit code 1 if anything is doubled, lost, falsely failed or stuck, or if a caller met a 5xx other than 503 with \
Retry-After. The seed of a failing cell, the same --store arguments and --cells 1 repeat it; a fleet's seed repeats \
its blows and charges. Everything happens on this machine, in temporary folders.";

const CELLS: u64 = 100;
const BROKEN_OFF: &str = "broken off; its processes are ended and nothing of it is left";

fn store(text: &str) -> Result<Store, String> {
    let (place, redis) = text.strip_suffix("+redis").map_or((text, false), |place| (place, true));
    let scheme = place.split_once("://").map(|(scheme, _)| scheme);
    match (place, scheme, redis) {
        ("sqlite", _, false) => Ok(Store::Sqlite),
        ("postgres", _, _) => Ok(Store::Postgres { url: None, redis }),
        (_, Some("postgres" | "postgresql"), _) => Ok(Store::Postgres { url: Some(place.to_owned()), redis }),
        // The rest may hold a password.
        _ => {
            Err("give sqlite, postgres, postgres+redis, or postgres://USER:PASSWORD@HOST:PORT/NAME"
                .to_owned())
        }
    }
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    cells: u64,
    databases: BTreeMap<&'a str, u64>,
    blows: u64,
    blows_fallen: u64,
    #[serde(flatten)]
    verdict: &'a Verdict,
    failures: &'a [u64],
    #[serde(serialize_with = "seconds")]
    seconds: Duration,
}

pub(super) async fn run(args: Args) -> anyhow::Result<Ending> {
    let mut stores = args.stores;
    if stores.is_empty() {
        let shared = Store::Postgres { url: None, redis: false };
        stores.push(if args.fleet.fleet { shared } else { Store::Sqlite });
    }
    let seconds = args.seconds.map(|seconds| Duration::from_secs(seconds.into()));
    let within = args.minutes.map(|minutes| Duration::from_mins(minutes.into())).or(seconds);
    let cells = args.cells.unwrap_or(if within.is_some() { u64::MAX } else { CELLS });
    let torture = Torture { cells, within, seed: args.seed, stores };
    if args.fleet.fleet {
        return Box::pin(fleet::run(args.fleet, torture, args.json)).await;
    }
    let mut stop = Stop::listen()?;
    let workshop = until_told(&mut stop, Workshop::open(torture)).await??;
    run_cells(workshop, stop, args.json, args.cells).await
}

/// Unless it is told to stop meanwhile.
pub(super) async fn until_told<T>(stop: &mut Stop, work: impl Future<Output = T>) -> anyhow::Result<T> {
    tokio::select! {
        done = work => Ok(done),
        () = stop.told() => anyhow::bail!(BROKEN_OFF),
    }
}

async fn run_cells(
    workshop: Workshop,
    mut stop: Stop,
    json: bool,
    cells: Option<u64>,
) -> anyhow::Result<Ending> {
    let started = Instant::now();
    let progress = cells.map_or_else(ProgressBar::new_spinner, bar);
    let tell = |told: Progress<'_>| match told {
        Progress::Done(cells) => progress.set_position(cells),
        Progress::Failed { seed, plan, complaints } => progress.suspend(|| {
            note(format_args!("seed {seed} failed: {plan}"));
            for complaint in complaints {
                note(format_args!("  {complaint}"));
            }
        }),
    };
    let ended = until_told(&mut stop, Box::pin(workshop.run(tell))).await;
    progress.finish_and_clear();
    let cleared = workshop.clear().await;
    let report = ended??;
    cleared?;
    show(&report, started.elapsed());
    if json {
        say(serde_json::to_string(&summary(&report, started.elapsed()))?);
    }
    Ok(if report.is_clean() { Ending::Done } else { Ending::Disproved })
}

fn summary(report: &Report, seconds: Duration) -> Shown<'_> {
    let Tally { cells, blows, fallen, verdict } = &report.total;
    let databases = report.by_store.iter().map(|(name, tally)| (*name, tally.cells)).collect();
    let (cells, blows, blows_fallen) = (*cells, *blows, *fallen);
    Shown { cells, databases, blows, blows_fallen, verdict, failures: &report.failures, seconds }
}

fn show(report: &Report, seconds: Duration) {
    let rows = || {
        let rows = report.by_store.iter().chain(&report.by_deed).map(|(name, tally)| (*name, tally));
        rows.chain([("all", &report.total)])
    };
    let heads =
        ["cells", "blows", "fallen", "payments", "expected", "seen", "doubled", "lost", "false", "stuck"];
    line("", heads);
    for (name, Tally { cells, blows, fallen, verdict }) in rows() {
        let Verdict { payments, captures_expected, captures_seen, .. } = verdict;
        let Verdict { double_captures, lost, false_failed, stuck, .. } = verdict;
        let first = [cells, blows, fallen, payments, captures_expected, captures_seen];
        line(name, first.into_iter().chain([double_captures, lost, false_failed, stuck]));
    }
    line("refunds", ["expected", "seen", "doubled", "lost", "over", "false"]);
    for (name, Tally { verdict, .. }) in rows() {
        let Verdict { refunds_expected, refunds_seen, double_refunds, .. } = verdict;
        let Verdict { lost_refunds, over_refunds, false_failed_refunds, .. } = verdict;
        let first = [refunds_expected, refunds_seen, double_refunds];
        line(name, first.into_iter().chain([lost_refunds, over_refunds, false_failed_refunds]));
    }
    line("disputes", ["expected", "seen", "false"]);
    for (name, Tally { verdict, .. }) in rows() {
        let Verdict { disputes_expected, disputes_seen, false_disputes, .. } = verdict;
        line(name, [disputes_expected, disputes_seen, false_disputes]);
    }
    for seed in &report.failures {
        say(format_args!("failed: --seed {seed} --cells 1, with the same --store"));
    }
    let verdict =
        if report.is_clean() { "nothing doubled, lost, falsely failed or stuck" } else { "DISPROVED" };
    say(format_args!("{verdict}, in {}.{:03} s", seconds.as_secs(), seconds.subsec_millis()));
}

pub(super) fn line(name: &str, figures: impl IntoIterator<Item: Display>) {
    let figures: Vec<_> = figures.into_iter().map(|figure| format!("{figure:>9}")).collect();
    say(format_args!("{name:<15}{}", figures.concat()));
}

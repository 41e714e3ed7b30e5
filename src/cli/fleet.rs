//! `dunlin torture --fleet`: what is asked of a fleet, and what came of it.

use super::{
    Ending, note, say,
    stop::Stop,
    torture::{line, until_told},
    words::seconds,
};
use crate::torture::{
    Torture, Verdict, Workshop,
    fleet::{Met, Order, Recoveries, Report, Sort},
};
use anyhow::ensure;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

#[derive(Debug, clap::Args)]
pub(super) struct Wishes {
    /// Hurt a fleet under load, rather than one process after the other.
    #[arg(long)]
    pub(super) fleet: bool,
    /// How many `dunlin api` a fleet has.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=32))]
    apis: u8,
    /// How many `dunlin worker` it has.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    workers: u8,
    /// How many seconds lie between two blows.
    #[arg(long, value_name = "S", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    every: u16,
    /// How many payments a second are handed over.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// How many of a hundred requests go wrong at the gateway, by chance; with 0, no card loses answers either.
    #[arg(long, value_name = "PERCENT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(..=90))]
    faults: u32,
    /// Which blows fall, with commas between; all that apply unless some are named.
    #[arg(long, value_name = "BLOWS", value_delimiter = ',', value_parser = sort)]
    blows: Vec<Sort>,
}

fn sort(name: &str) -> Result<Sort, String> {
    let names = Sort::ALL.map(Sort::name);
    let found = Sort::ALL.into_iter().find(|sort| sort.name() == name);
    found.ok_or_else(|| format!("there is no such blow; the blows are {}", names.join(", ")))
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    database: &'a str,
    seed: u64,
    apis: usize,
    workers: usize,
    #[serde(serialize_with = "seconds")]
    load_seconds: Duration,
    payments_per_s: u128,
    blows: &'a BTreeMap<&'static str, u64>,
    blows_fallen: u64,
    #[serde(flatten)]
    verdict: &'a Verdict,
    once_unknown: i64,
    #[serde(flatten)]
    recoveries: &'a Recoveries,
    #[serde(flatten)]
    met: &'a Met,
    clean: bool,
    #[serde(serialize_with = "seconds")]
    seconds: Duration,
}

pub(super) async fn run(args: Wishes, torture: Torture, json: bool) -> anyhow::Result<Ending> {
    ensure!(torture.stores.len() == 1, "a fleet has one database: give --store once");
    let database = torture.stores[0].name();
    ensure!(database != "sqlite", "a fleet needs a database that processes can share: give --store postgres");
    let order = Order {
        seed: torture.seed,
        apis: args.apis.into(),
        workers: args.workers.into(),
        lasts: torture.within.unwrap_or(Duration::from_mins(1)),
        every: Duration::from_secs(args.every.into()),
        rate: args.rate,
        faults: args.faults,
        blows: args.blows,
    };
    let started = Instant::now();
    let mut stop = Stop::listen()?;
    let mut workshop = until_told(&mut stop, Workshop::open(torture)).await??;
    let ended = until_told(&mut stop, Box::pin(workshop.run_fleet(&order))).await;
    let cleared = workshop.clear().await;
    let report = ended??;
    cleared?;
    for complaint in &report.verdict.complaints {
        note(format_args!("seed {}: {complaint}", order.seed));
    }
    show(&report, started.elapsed());
    if json {
        let Report { blows, met, recoveries, payments_per_s, once_unknown, verdict } = &report;
        let shown = Shown {
            database,
            seed: order.seed,
            apis: order.apis,
            workers: order.workers,
            load_seconds: order.lasts,
            payments_per_s: *payments_per_s,
            blows,
            blows_fallen: blows.values().sum(),
            verdict,
            once_unknown: *once_unknown,
            recoveries,
            met,
            clean: report.is_clean(),
            seconds: started.elapsed(),
        };
        say(serde_json::to_string(&shown)?);
    }
    Ok(if report.is_clean() { Ending::Done } else { Ending::Disproved })
}

fn show(report: &Report, seconds: Duration) {
    let Report { blows, met, recoveries, payments_per_s, once_unknown, verdict } = report;
    line("", ["payments", "a second", "expected", "seen", "doubled", "lost", "false", "stuck", "unknown"]);
    let Verdict { payments, captures_expected, captures_seen, .. } = verdict;
    let Verdict { double_captures, lost, false_failed, stuck, .. } = verdict;
    let figures = [payments, captures_expected, captures_seen, double_captures, lost, false_failed, stuck];
    let mut figures: Vec<_> = figures.map(ToString::to_string).into();
    figures.insert(1, payments_per_s.to_string());
    figures.push(once_unknown.to_string());
    line("payments", figures);
    let Verdict { refunds_expected, refunds_seen, double_refunds, .. } = verdict;
    let Verdict { lost_refunds, over_refunds, false_failed_refunds, .. } = verdict;
    line("refunds", ["expected", "seen", "doubled", "lost", "over", "false"]);
    let figures =
        [refunds_expected, refunds_seen, double_refunds, lost_refunds, over_refunds, false_failed_refunds];
    line("", figures);
    line("recovery, ms", ["jobs", "p50", "p99", "longest", "never"]);
    let Recoveries { recoveries, recovery_p50_ms, recovery_p99_ms, recovery_max_ms, unrecovered } =
        recoveries;
    line(
        "",
        [
            recoveries.to_string(),
            recovery_p50_ms.to_string(),
            recovery_p99_ms.to_string(),
            recovery_max_ms.to_string(),
            unrecovered.to_string(),
        ],
    );
    line("callers met", ["refused", "silence", "sent away", "5xx"]);
    line("", [met.refused, met.unanswered, met.sent_away, met.server_errors]);
    let blows: Vec<_> = blows.iter().map(|(sort, count)| format!("{sort} {count}")).collect();
    say(format_args!("blows: {}", blows.join(", ")));
    let verdict =
        if report.is_clean() { "nothing doubled, lost, falsely failed or stuck" } else { "DISPROVED" };
    say(format_args!("{verdict}, in {}.{:03} s", seconds.as_secs(), seconds.subsec_millis()));
}

//! `dunlin torture`: processes killed and broken at every place there is, and the ledgers compared.

use super::{Ending, charge::bar, note, say, stop::Stop, words::seconds};
use crate::torture::{Progress, Report, Store, Tally, Torture, Verdict, Workshop};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt::Display,
    time::{Duration, Instant},
};

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// How many cells, one seed each.
    #[arg(long, default_value_t = 100)]
    cells: u64,
    /// The first cell's seed; the others follow.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where payments are kept; may be given several times: sqlite; postgres, for which a private server is started;
    /// or `postgres://URL` of a database in which schemas may be made.
    #[arg(long = "store", value_name = "STORE", value_parser = store, default_value = "sqlite")]
    stores: Vec<Store>,
    /// End with one JSON object on the last line.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
A cell starts `dunlin serve`, hands it a few payments and asks some of them back; some of their cards lose answers, \
answer late, or decline, and the gateway may fail by chance or tell of what it does. At the nth visit of one of 47 places the process is killed, panics, or fails at what it does there. Time may pass. \
Another process is started, perhaps hit as well; the last one is left alone until nothing is due. Then the sandbox's \
ledger is compared with SQL.

Exit code 1 if anything is doubled, lost, falsely failed or stuck. The seed of a failing cell, the same --store \
arguments and --cells 1 repeat it. Everything happens on this machine, in a temporary folder.";

const BROKEN_OFF: &str = "broken off; its processes are ended and nothing of it is left";

fn store(text: &str) -> Result<Store, String> {
    match text.split_once("://") {
        None if text == "sqlite" => Ok(Store::Sqlite),
        None if text == "postgres" => Ok(Store::PrivatePostgres),
        Some(("postgres" | "postgresql", _)) => Ok(Store::Postgres(text.to_owned())),
        // The rest may hold a password.
        _ => Err("give sqlite, postgres, or postgres://USER:PASSWORD@HOST:PORT/NAME".to_owned()),
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
    let started = Instant::now();
    let torture = Torture { cells: args.cells, seed: args.seed, stores: args.stores };
    let mut stop = Stop::listen()?;
    let opened = tokio::select! {
        opened = Workshop::open(torture) => Some(opened),
        () = stop.told() => None,
    };
    let Some(workshop) = opened.transpose()? else { anyhow::bail!(BROKEN_OFF) };
    let progress = bar(args.cells);
    let tell = |told: Progress<'_>| match told {
        Progress::Done(cells) => progress.set_position(cells),
        Progress::Failed { seed, plan, complaints } => progress.suspend(|| {
            note(format_args!("seed {seed} failed: {plan}"));
            for complaint in complaints {
                note(format_args!("  {complaint}"));
            }
        }),
    };
    let ended = tokio::select! {
        ended = Box::pin(workshop.run(tell)) => Some(ended),
        () = stop.told() => None,
    };
    progress.finish_and_clear();
    let cleared = workshop.clear().await;
    let Some(report) = ended.transpose()? else {
        anyhow::bail!(BROKEN_OFF);
    };
    cleared?;
    show(&report, started.elapsed());
    if args.json {
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
    for seed in &report.failures {
        say(format_args!("failed: --seed {seed} --cells 1, with the same --store"));
    }
    let verdict =
        if report.is_clean() { "nothing doubled, lost, falsely failed or stuck" } else { "DISPROVED" };
    say(format_args!("{verdict}, in {}.{:03} s", seconds.as_secs(), seconds.subsec_millis()));
}

fn line(name: &str, figures: impl IntoIterator<Item: Display>) {
    let figures: Vec<_> = figures.into_iter().map(|figure| format!("{figure:>9}")).collect();
    say(format_args!("{name:<12}{}", figures.concat()));
}

//! `dunlin charge FILE`: a billing run. Each row's key is its reference, so a mended file may be run again.

use super::{Ending, api::Server, note, say};
use crate::{
    billing_run::{self, Format, Plan, Progress, Report, Stop},
    config::Config,
};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    fs::File,
    path::{Path, PathBuf},
};
use tokio::sync::watch;

/// The columns of the file.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A CSV file has a header. Columns: reference (unique in the file), amount (in major units, such as \
    12.50), currency, customer, method (the gateway's token), gateway_customer (its id of whom the token is of),
    description. A JSON Lines file has one object a line, as \
    POST /v1/payments takes it, with a reference. A row that is refused is reported with its line; mend it and run the \
    whole file again: what was accepted before is not charged again."
)]
pub(super) struct Args {
    file: PathBuf,
    /// How the file is read, if its name does not end in .csv, .jsonl or .ndjson.
    #[arg(long)]
    format: Option<Format>,
    /// Wait until each payment is paid, or will not be paid for now.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    server: Server,
    /// End with one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, config: &Config) -> anyhow::Result<Ending> {
    let target = args.server.target(config)?;
    let format = match args.format {
        Some(format) => format,
        None => format_of(&args.file)?,
    };
    let file = File::open(&args.file).with_context(|| format!("{} cannot be read", args.file.display()))?;
    let bar = bar(file.metadata()?.len());
    let tell = |progress: Progress<'_>| match progress {
        Progress::Read(bytes) => bar.set_position(bytes),
        Progress::Refused(row) => bar.suspend(|| note(row)),
        Progress::Settled { payments, of } => bar.set_message(format!("{payments} of {of} are settled")),
    };
    let plan = Plan { format, wait: args.wait };
    let (stop, stopped) = watch::channel(false);
    let report = tokio::select! {
        report = billing_run::run(&target, file, plan, stopped, tell) => report?,
        () = interrupted_twice(stop) => {
            note("stopped; run the same file again to see what was taken in, and to go on");
            return Ok(Ending::Interrupted);
        }
    };
    bar.finish_and_clear();
    show(&report, args.json)?;
    Ok(ending(&report, args.wait))
}

/// By the file's name.
fn format_of(file: &Path) -> anyhow::Result<Format> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Ok(Format::Csv),
        Some("jsonl" | "ndjson") => Ok(Format::Jsonl),
        Some(_) | None => {
            anyhow::bail!(
                "what {} holds is not known by its name: give --format csv or jsonl",
                file.display()
            )
        }
    }
}

/// Ctrl-C lets what was sent be answered; pressed again, it ends the command.
async fn interrupted_twice(stop: watch::Sender<bool>) {
    interrupted().await;
    note("stopping: what was sent is waited for; press Ctrl-C again to leave now");
    stop.send_replace(true);
    interrupted().await;
}

/// Waits for Ctrl-C; where it cannot be heard, for ever.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn show(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        say(serde_json::to_string(report)?);
        return Ok(());
    }
    say(format_args!(
        "{} rows: {} accepted, {} of them known from before, {} refused",
        report.rows, report.accepted, report.replayed, report.refused
    ));
    say(report.summary.to_string().trim_end());
    if report.stopped {
        say("stopped early; run the same file again to go on");
    }
    Ok(())
}

fn ending(report: &Report, waited: bool) -> Ending {
    if report.stopped {
        Ending::Interrupted
    } else if report.refused > 0 {
        Ending::SomeRefused
    } else if waited && !report.summary.is_all_paid() {
        Ending::SomeUnpaid
    } else {
        Ending::Done
    }
}

/// A run that nobody stops.
pub(super) fn unstopped() -> Stop {
    watch::channel(false).1
}

/// A progress bar over a file's bytes; without a terminal it shows nothing.
pub(super) fn bar(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent}% {elapsed} {msg}");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

//! `dunlin charge FILE.csv`: a billing run. Each row's key is its reference, so a mended file may be run again.

use super::{Ending, api::Server, note, say};
use crate::{
    billing_run::{self, Progress},
    config::Config,
};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use std::{fs::File, path::PathBuf};

/// The columns of the file.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The file has a header. Columns: reference (unique in the file), amount (in major units, such as \
    12.50), currency, customer, method (the gateway's token), description. A row that is refused is reported with its \
    line; mend it and run the whole file again: what was accepted before is not charged again."
)]
pub(super) struct Args {
    file: PathBuf,
    #[command(flatten)]
    server: Server,
    /// End with one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, config: &Config) -> anyhow::Result<Ending> {
    let target = args.server.target(config)?;
    let file = File::open(&args.file).with_context(|| format!("{} cannot be read", args.file.display()))?;
    let bar = bar(file.metadata()?.len());
    let tell = |progress: Progress<'_>| match progress {
        Progress::Read(bytes) => bar.set_position(bytes),
        Progress::Refused(row) => bar.suspend(|| note(row)),
    };
    let report = billing_run::run(&target, file, tell).await?;
    bar.finish_and_clear();
    if args.json {
        say(serde_json::to_string(&report)?);
    } else {
        say(format_args!(
            "{} rows: {} accepted, {} of them known from before, {} refused",
            report.rows, report.accepted, report.replayed, report.refused
        ));
    }
    Ok(if report.refused == 0 { Ending::Done } else { Ending::SomeRefused })
}

/// A progress bar over a file's bytes; without a terminal it shows nothing.
pub(super) fn bar(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent}% {elapsed} {msg}");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

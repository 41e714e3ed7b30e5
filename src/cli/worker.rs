//! `dunlin worker`: workers in a process of their own.

use super::{Ending, say, serve::run_until_told};
use crate::{
    app::{App, Role},
    config::Config,
};
use anyhow::ensure;
use dunlin_jobs::Lane;
use std::{collections::BTreeMap, path::Path};

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// The lanes to work on, with commas between; all unless some are named.
    #[arg(long, value_name = "LANES", value_delimiter = ',', value_parser = lane)]
    lanes: Vec<Lane>,
    /// How many jobs of a lane run at a time, instead of worker.lanes; may be given for each lane.
    #[arg(long, value_name = "LANE=JOBS", value_parser = slots)]
    concurrency: Vec<(Lane, u16)>,
    /// Where to answer /livez and /readyz, instead of worker.listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Stop when standard input closes, as it does when the starting process dies.
    #[arg(long, hide = true)]
    with_parent: bool,
}

const AFTER_HELP: &str = "\
The lanes are payments (charges, retries, refunds), reconcile (what became of charges and refunds, and what gateways \
tell) and upkeep (what keeps order). Each has to be somebody's: run at least one worker for each.

A stop (SIGTERM or Ctrl-C) claims nothing more, finishes what runs within worker.drain_timeout_s, and gives back what \
was not begun.";

fn lane(name: &str) -> Result<Lane, String> {
    let names = Lane::ALL.map(Lane::name);
    let found = Lane::ALL.into_iter().find(|lane| lane.name() == name);
    found.ok_or_else(|| format!("there is no such lane; the lanes are {}", names.join(", ")))
}

fn slots(text: &str) -> Result<(Lane, u16), String> {
    let (name, jobs) = text.split_once('=').ok_or("give LANE=JOBS, such as payments=64")?;
    let jobs = jobs.parse().map_err(|_| format!("{jobs:?} is no number of jobs from 0 to {}", u16::MAX))?;
    Ok((lane(name)?, jobs))
}

pub(super) async fn run(args: Args, file: Option<&Path>) -> anyhow::Result<Ending> {
    let over: Vec<_> = args.listen.map(|listen| ("worker.listen", listen)).into_iter().collect();
    let mut config = Config::load_over(file, &over)?;
    let lanes = &mut config.worker.lanes;
    lanes.extend(args.concurrency);
    if !args.lanes.is_empty() {
        lanes.retain(|lane, _| args.lanes.contains(lane));
    }
    lanes.retain(|_, jobs| *jobs > 0);
    ensure!(!lanes.is_empty(), "no lane is left to work on: look at --lanes, --concurrency and worker.lanes");
    let greeting = greeting(lanes);
    run_until_told(config, Role::Worker, args.with_parent, |app| greet(app, &greeting)).await
}

fn greeting(lanes: &BTreeMap<Lane, u16>) -> String {
    let lanes: Vec<_> = lanes.iter().map(|(lane, jobs)| format!("{lane} {jobs}")).collect();
    format!("dunlin worker runs: {} jobs at a time", lanes.join(", "))
}

fn greet(app: &App, greeting: &str) {
    say(greeting);
    if let Some(server) = &app.server {
        say(format_args!("health on http://{}", server.address));
    }
}

//! `dunlin bench`: how fast it is, in figures that anyone can measure, with the ledgers compared.

use super::{Ending, note, say, stop::Stop, table};
use crate::bench::{Bench, Figures, Leg, Medians, Round, SetUp, Value, over};
use anyhow::Context;
use serde::Serialize;
use std::{path::PathBuf, time::Duration};

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// sqlite, postgres or postgres+redis (servers of its own, gone afterwards), or the URL of a PostgreSQL database in
    /// which schemas may be made.
    #[arg(long, value_parser = store, default_value = "sqlite")]
    store: SetUp,
    /// How many charges each leg sends.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    charges: u32,
    /// How many send charges at a time, each over a connection of its own.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    clients: u16,
    /// How long the gateway thinks before it answers, such as 50ms.
    #[arg(long, default_value = "0ms", value_parser = latency, value_name = "LATENCY")]
    gateway_latency: Duration,
    /// How many processes work, on PostgreSQL.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// How many processes take requests, on PostgreSQL.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    apis: u16,
    /// How many charges each process that works has in hand at a time, if not as the configuration has it.
    #[arg(long, value_parser = concurrency, value_name = "payments=N")]
    concurrency: Option<u16>,
    /// How often everything is measured, each time on an empty database; what is told is the median.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=99))]
    rounds: u16,
    /// Which parts of a round to run, in their order.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Leg::ALL)]
    legs: Vec<Leg>,
    /// The sandbox's token of the card that is charged.
    #[arg(long, default_value = "pm_card_visa")]
    card: String,
    /// Where the data lies. On a disk: where it is memory, nothing is durable.
    #[arg(long, default_value = "/var/tmp")]
    folder: PathBuf,
    /// End with one JSON object on the last line.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Each charge is durable: a request is taken in by a commit, a worker commits the intent, calls the sandbox gateway over \
HTTP and commits the outcome. Everything runs on this machine, in processes of its own: the gateway, the service (`serve` \
on SQLite, `api` and `worker` on PostgreSQL), and this command, whose clients count as well.

A round has these legs: idle (200 charges, 20 ms apart), load (--charges from --clients, one request each), half (4 s of \
charges at half the speed of the load), billing (`dunlin charge` with a file of --charges rows) and enqueue (--charges \
that are due in a month). Then the gateway's ledger is compared with SQL: exit code 1 if one charge is lost, doubled or \
not made.

The floor is what the database could do at all with these rows: copies of a charge of the run, written by the service's \
own statements in the same three commits, 256 charges a batch, by as many connections as the service commits with; with \
no HTTP, no gateway, no claims, no reading and no locks. What is written is worked out before the clock runs. \
insert_payments_per_s is the first of the three commits by itself, all rows in one transaction.

Times between acceptance, attempt and outcome are those of the payments' history. The worker's overhead is the time of \
an attempt less --gateway-latency, so what the gateway computes is in it.";

fn store(text: &str) -> Result<SetUp, String> {
    match text.split_once("://") {
        None if text == "sqlite" => Ok(SetUp::Sqlite),
        None if text == "postgres" => Ok(SetUp::Postgres),
        None if text == "postgres+redis" => Ok(SetUp::PostgresRedis),
        Some(("postgres" | "postgresql", _)) => Ok(SetUp::Server(text.to_owned())),
        // The rest may hold a password.
        _ => {
            Err("give sqlite, postgres, postgres+redis, or postgres://USER:PASSWORD@HOST:PORT/NAME"
                .to_owned())
        }
    }
}

fn latency(text: &str) -> Result<Duration, String> {
    let millis = text.strip_suffix("ms").and_then(|number| number.parse().ok());
    millis
        .filter(|millis| *millis <= 10_000)
        .map(Duration::from_millis)
        .ok_or_else(|| "write a whole number of milliseconds up to 10000, such as 50ms".to_owned())
}

fn concurrency(text: &str) -> Result<u16, String> {
    let number = text.strip_prefix("payments=").and_then(|number| number.parse().ok());
    number.filter(|number| *number > 0).ok_or_else(|| "write payments= and a whole number".to_owned())
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    store: &'a str,
    charges: u32,
    clients: u16,
    apis: u16,
    workers: u16,
    gateway_latency_ms: u128,
    rounds: usize,
    captures_expected: u64,
    captures_seen: u64,
    double_captures: u64,
    lost: u64,
    agree: bool,
    #[serde(flatten)]
    medians: Medians<'a>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<Ending> {
    let bench = bench(&args)?;
    let mut number = 0;
    let tell = |round: &Round| {
        number += 1;
        let figure =
            |name| round.figures.find(name).map_or_else(|| "-".to_owned(), |value| value.to_string());
        let (rate, floor) = (figure("payments_per_s"), figure("floor_payments_per_s"));
        note(format_args!("round {number}: {rate} payments/s, the floor {floor}"));
        if let Some(complaint) = &round.complaint {
            note(format_args!("round {number} failed: {complaint}"));
        }
    };
    let mut stop = Stop::listen()?;
    let rounds = tokio::select! {
        rounds = Box::pin(bench.run(tell)) => rounds?,
        () = stop.told() => return Ok(Ending::Interrupted),
    };
    let agree = rounds.iter().all(|round| round.complaint.is_none());
    let all: Vec<Figures> = rounds.iter().map(|round| round.figures.clone()).collect();
    let figures = over(&all);
    show(&figures);
    say(if agree {
        "each charge was made once"
    } else {
        "FAILED: the ledgers do not agree with what was asked"
    });
    if args.json {
        say(serde_json::to_string(&summary(&args, &rounds, Medians(&figures), agree))?);
    }
    Ok(if agree { Ending::Done } else { Ending::Disproved })
}

fn bench(args: &Args) -> anyhow::Result<Bench> {
    let mut legs = args.legs.clone();
    legs.sort_unstable();
    legs.dedup();
    Ok(Bench {
        program: std::env::current_exe().context("dunlin cannot find itself")?,
        setup: args.store.clone(),
        charges: args.charges.try_into()?,
        clients: args.clients.into(),
        gateway_latency: args.gateway_latency,
        apis: args.apis.into(),
        workers: args.workers.into(),
        concurrency: args.concurrency,
        rounds: args.rounds.into(),
        card: args.card.clone(),
        legs,
        folder: args.folder.clone(),
    })
}

fn show(figures: &[(String, Option<[Value; 3]>)]) {
    let row = |(name, values): &(String, Option<[Value; 3]>)| {
        let [low, median, high] =
            values.map_or_else(Default::default, |values| values.map(|value| value.to_string()));
        [name.clone(), median, low, high]
    };
    let rows: Vec<_> = figures.iter().map(row).collect();
    for line in table::lines(["", "median", "lowest", "highest"], &rows) {
        say(line);
    }
}

fn summary<'a>(args: &'a Args, rounds: &[Round], medians: Medians<'a>, agree: bool) -> Shown<'a> {
    let sum = |figure: fn(&Round) -> u64| rounds.iter().map(figure).sum();
    Shown {
        store: args.store.name(),
        charges: args.charges,
        clients: args.clients,
        apis: args.apis,
        workers: args.workers,
        gateway_latency_ms: args.gateway_latency.as_millis(),
        rounds: rounds.len(),
        captures_expected: sum(|round| round.findings.captures_expected),
        captures_seen: sum(|round| round.findings.captures_seen),
        double_captures: sum(|round| round.findings.double_captures),
        lost: sum(|round| round.findings.lost),
        agree,
        medians,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_a_number_of_milliseconds() {
        assert_eq!(latency("50ms"), Ok(Duration::from_millis(50)));
        for wrong in ["50", "ms", "-1ms", "0.5ms", "10001ms", "50 ms", "1s"] {
            assert!(latency(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_concurrency_names_its_lane() {
        assert_eq!(concurrency("payments=8"), Ok(8));
        for wrong in ["8", "payments=0", "payments=", "reconcile=8", "payments=70000"] {
            assert!(concurrency(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_password_is_not_repeated_in_an_error() {
        assert_eq!(store("sqlite"), Ok(SetUp::Sqlite));
        assert!(!store("mysql://u:secret@host/x").unwrap_err().contains("secret"));
    }
}

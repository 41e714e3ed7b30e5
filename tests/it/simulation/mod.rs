//! The simulation: the real store, committer, flows and adapter in one thread, with a seed that chooses who
//! takes the next step, who dies, which answers and which COMMITs are lost, and when time passes.
//!
//! A seed repeats its run: `SIMULATION_SEED=17 cargo nextest run -E 'test(simulation)'`.

mod actors;
mod day;
mod dice;
mod failover;
mod judge;
mod ledger;
mod mail;
mod office;
mod people;
mod process;
mod scheduler;
mod tally;
mod wire;

use crate::support::{
    database::Database,
    world::{self, BEGIN},
};
use chrono::DateTime;
use dice::Dice;
use dunlin::{domain::clock::Clock, failpoint::Failpoints};
use scheduler::Simulation;

/// How many seeds each database is tried with, or as many as `SIMULATION_SEEDS` says. A seed takes ten times as
/// long on PostgreSQL.
const ON_SQLITE: u64 = 2000;
const ON_POSTGRES: u64 = 160;

fn setting(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

/// The seeds of one of `parts` tests, so that they share the cores.
fn seeds(part: u64, parts: u64, usually: u64) -> Vec<u64> {
    if let Some(seed) = setting("SIMULATION_SEED") {
        return if part == 0 { vec![seed] } else { vec![] };
    }
    (0..setting("SIMULATION_SEEDS").unwrap_or(usually)).filter(|seed| seed % parts == part).collect()
}

async fn try_seeds(database: Database, seeds: Vec<u64>) {
    let mut told = tally::Tally::default();
    let mut found = Vec::new();
    let clock = Clock::held(DateTime::from_timestamp(BEGIN, 0).unwrap(), 0);
    database.open_with_one_committer(clock, Failpoints::default()).await.abandon().await;
    for seed in seeds {
        // What one seed has left behind is nothing to the next, so that it repeats its run alone.
        let own = database.copied();
        let database = own.as_ref().unwrap_or(&database);
        let mut simulation = Simulation::begin(database, Dice::new(seed)).await;
        simulation.trouble().await;
        let judged = match Box::pin(simulation.heal()).await {
            Ok(()) => judge::judge(&mut simulation).await,
            Err(restless) => Err(restless),
        };
        match judged {
            Ok(tally) => told.add(&tally),
            Err(what) => found.push((seed, what)),
        }
        simulation.end().await;
    }
    if let Some((seed, story)) = found.first() {
        let all =
            found.iter().map(|(seed, what)| format!("\n{seed}: {}", what.lines().next().unwrap_or_default()));
        panic!("seed {seed}: {story}\nall that fail: {}", all.collect::<String>());
    }
    // A simulation in which nothing goes wrong proves nothing.
    #[expect(clippy::print_stdout, reason = "what a run has seen, for whoever asks with --no-capture")]
    {
        println!("{told:?}");
    }
    told.assert_varied();
}

macro_rules! parts {
    ($($name:ident $part:literal)*) => {$(
        mod $name {
            #[tokio::test]
            async fn sqlite() {
                let database = super::world::in_memory();
                super::try_seeds(database, super::seeds($part, 2, super::ON_SQLITE)).await;
            }

            #[tokio::test]
            async fn postgres() {
                let database = super::Database::postgres().await.without_fsync();
                super::try_seeds(database, super::seeds($part, 2, super::ON_POSTGRES)).await;
            }
        }
    )*};
}

parts! {
    no_interleaving_of_crashes_and_lost_answers_charges_twice_or_loses_a_payment 0
    no_interleaving_of_lost_commits_and_expired_leases_does_either 1
}

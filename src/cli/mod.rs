//! The command line: one file per command.

mod api;
mod audit;
mod backup;
mod bench;
mod charge;
mod clock;
mod completions;
mod dead_letters;
mod demo;
mod dump;
mod fleet;
mod gateways;
mod holds;
mod jobs;
mod keys;
mod payments;
mod person;
mod refunds;
mod restore;
mod sandbox;
mod serve;
mod setup;
mod stop;
mod story;
mod table;
mod torture;
mod unknown;
mod words;
mod worker;

use crate::{app::Role, config::Config, domain::card::looks_like_card_number, telemetry};
use clap::{Parser, Subcommand};
use std::{io::Write, path::PathBuf, process::ExitCode};
use tokio::io::AsyncReadExt;

/// A payment processor that is a job queue at heart: each charge once, whatever dies.
#[derive(Debug, Parser)]
#[command(name = "dunlin", version, propagate_version = true, after_help = AFTER_HELP)]
struct Cli {
    /// Settings laid over the defaults; see config/default.toml.
    #[arg(long, global = true, value_name = "FILE", env = "DUNLIN_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done; 1 failed; 2 the command line is wrong; 3 done, but some rows of a file were refused; 4 done, but
some of the payments that were waited for are not paid; 130 stopped by Ctrl-C.

Every setting is also a variable: DUNLIN_STORE__URL is store.url.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the API and the workers; in development also a sandbox gateway.
    Serve(serve::Args),
    /// Run the API alone; workers run elsewhere, over the same PostgreSQL.
    Api(serve::Args),
    /// Run workers alone, as many as there is work for, over one PostgreSQL.
    Worker(worker::Args),
    /// Charge a file of payments (a billing run); running it again charges nobody twice.
    Charge(charge::Args),
    /// See it work: 2,000 charges with declines and lost answers, then the ledgers compared.
    Demo(demo::Args),
    /// Hurt it: processes killed and broken at 47 places, then the ledgers compared.
    Torture(torture::Args),
    /// Measure it: durable charges a second, beside what the database alone could do.
    Bench(bench::Args),
    /// Bring the database's schema up to date.
    Migrate,
    /// Check the configuration, and the schema of its database, and say what is wrong.
    CheckConfig,
    /// Write a backup of the database, while it is used.
    Backup(backup::Args),
    /// Put a backup in the place of the database; nothing is sent until you release it.
    Restore(restore::Args),
    /// Payments: which there are, what became of one, and what a person can do about it.
    #[command(subcommand)]
    Payments(payments::Command),
    /// Refunds: which there are, whoever made them, and another try of one that failed.
    #[command(subcommand)]
    Refunds(refunds::Command),
    /// Jobs: what payments have before them, and what a person can do about it.
    #[command(subcommand)]
    Jobs(jobs::Command),
    /// Payments and refunds that a person has to look at, and their word on an outcome.
    #[command(subcommand)]
    Unknown(unknown::Command),
    /// Envelopes that producers left and that could not be taken: why, and what a person does about it.
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    /// The test environment's time, to read and to advance.
    #[command(subcommand)]
    Clock(clock::Command),
    /// API keys: who may call, and what they may do.
    #[command(subcommand)]
    Keys(keys::Command),
    /// The audit trail: what people did, and whether the record of it is whole.
    Audit(audit::Args),
    /// Accounts at gateways whose secrets the database keeps, sealed.
    #[command(subcommand)]
    Gateways(gateways::Command),
    /// Run the sandbox gateway alone.
    Sandbox(sandbox::Args),
    /// Print what a shell needs to complete these commands.
    Completions(completions::Args),
}

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Done,
    SomeRefused,
    /// Some of the payments that were waited for are not paid.
    SomeUnpaid,
    /// Stopped by Ctrl-C.
    Interrupted,
    /// What was to be shown is not so.
    Disproved,
}

pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Its words repeat what stood there.
        Err(error) if error.use_stderr() && looks_like_card_number(&error.to_string()) => {
            note(
                "dunlin: the command line has what looks like a card number, which dunlin never takes, in an argument: give \
                  the gateway's token instead",
            );
            return ExitCode::from(2);
        }
        Err(error) => error.exit(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let ending = runtime.block_on(run(cli));
    // A stuck file system must not keep a command that is done.
    runtime.shutdown_background();
    match ending {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::SomeRefused) => ExitCode::from(3),
        Ok(Ending::SomeUnpaid) => ExitCode::from(4),
        Ok(Ending::Interrupted) => ExitCode::from(130),
        Ok(Ending::Disproved) => ExitCode::FAILURE,
        Err(error) => failed(&error),
    }
}

async fn run(cli: Cli) -> anyhow::Result<Ending> {
    let config = cli.config.as_deref();
    match cli.command {
        Command::Serve(args) => Box::pin(serve::run(args, Role::Both, config)).await,
        Command::Api(args) => Box::pin(serve::run(args, Role::Api, config)).await,
        Command::Worker(args) => Box::pin(worker::run(args, config)).await,
        Command::Charge(args) => charge::run(args, &Config::load(config)?).await,
        Command::Demo(args) => Box::pin(demo::run(args)).await,
        Command::Torture(args) => Box::pin(torture::run(args)).await,
        Command::Bench(args) => Box::pin(bench::run(args)).await,
        Command::Migrate => setup::migrate(Config::load(config)?).await,
        Command::CheckConfig => setup::check(&Config::load(config)?).await,
        Command::Backup(args) => backup::run(args, &Config::load(config)?).await,
        Command::Restore(args) => restore::run(args, &Config::load(config)?).await,
        Command::Payments(command) => payments::run(command, &Config::load(config)?).await,
        Command::Refunds(command) => refunds::run(command, &Config::load(config)?).await,
        Command::Jobs(command) => jobs::run(command, &Config::load(config)?).await,
        Command::Unknown(command) => unknown::run(command, &Config::load(config)?).await,
        Command::DeadLetters(command) => dead_letters::run(command, &Config::load(config)?).await,
        Command::Clock(command) => clock::run(command, &Config::load(config)?).await,
        Command::Keys(command) => Box::pin(keys::run(command, &Config::load(config)?)).await,
        Command::Audit(args) => audit::run(args, &Config::load(config)?).await,
        Command::Gateways(command) => Box::pin(gateways::run(command, Config::load(config)?)).await,
        Command::Sandbox(args) => sandbox::run(args).await,
        Command::Completions(args) => Ok(completions::run(&args)),
    }
}

fn start_logging(config: &Config) -> anyhow::Result<()> {
    telemetry::start(&config.log).map_err(anyhow::Error::msg)
}

/// Prints a line for people or machines to read.
fn say(line: impl std::fmt::Display) {
    // Whoever stopped reading, as `head` does, must not stop the command.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a line that is not the command's result, without what looks like a card number.
fn note(line: impl std::fmt::Display) {
    let line = line.to_string();
    let line = if looks_like_card_number(&line) {
        "dunlin: what there is to say has what looks like a card number in it, and is not repeated: send the gateway's \
         token instead"
    } else {
        &line
    };
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Reads until the other end of standard input is gone; it never says anything.
async fn parent_gone() {
    let mut byte = [0; 1];
    while let Ok(1) = tokio::io::stdin().read(&mut byte).await {}
}

fn failed(error: &anyhow::Error) -> ExitCode {
    note(format_args!("dunlin: {error:#}"));
    ExitCode::FAILURE
}

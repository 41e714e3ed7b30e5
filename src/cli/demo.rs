//! `dunlin demo`: everything embedded, a business's billing run, a month of retries, and the proof.

use super::{
    Ending,
    charge::{bar, unstopped},
    note, say,
};
use crate::{
    app::App,
    audit::{self, Findings},
    billing_run::{self, Format, Plan, Progress, Target},
    config::Config,
};
use anyhow::Context;
use chrono::TimeDelta;
use indicatif::ProgressBar;
use serde::Serialize;
use std::time::{Duration, Instant};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// End with one JSON object on the last line.
    #[arg(long)]
    json: bool,
}

const CHARGES: &str = include_str!("../../examples/charges.csv");

/// How long test time passes: longer than the longest schedule of retries.
const PASSES: TimeDelta = TimeDelta::days(45);

#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    findings: Findings,
    refused_rows: u64,
    #[serde(serialize_with = "seconds")]
    seconds: Duration,
}

/// Seconds with three decimals, as a JSON number.
pub(super) fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let text = format!("{}.{:03}", duration.as_secs(), duration.subsec_millis());
    let number: serde_json::Number = serde_json::from_str(&text).map_err(serde::ser::Error::custom)?;
    number.serialize(serializer)
}

pub(super) async fn run(args: Args) -> anyhow::Result<Ending> {
    let started = Instant::now();
    let folder = std::env::temp_dir().join(format!("dunlin-demo-{}", std::process::id()));
    let over = [
        ("data_dir", folder.display().to_string()),
        ("http.listen", "127.0.0.1:0".to_owned()),
        ("log.level", "error".to_owned()),
        ("environment", "development".to_owned()),
        ("store.url", String::new()),
    ];
    let config = Config::load_over(None, &over)?;
    super::start_logging(&config)?;
    let program = std::env::current_exe().context("dunlin cannot find itself")?;
    let app = Box::pin(App::start(config, &program)).await?;
    let shown = show(&app, started).await;
    app.stop().await;
    let _ = std::fs::remove_dir_all(&folder);
    let shown = shown?;
    tell(&shown);
    if args.json {
        say(serde_json::to_string(&shown)?);
    }
    Ok(if shown.findings.agree() { Ending::Done } else { Ending::Disproved })
}

async fn show(app: &App, started: Instant) -> anyhow::Result<Shown> {
    say("1. A billing run of 2,000 charges, through the HTTP API:");
    let key = app.development_key.clone().context("development has a key")?;
    let target = Target { url: format!("http://{}", app.server.address), key };
    let progress = bar(CHARGES.len().try_into()?);
    let plan = Plan { format: Format::Csv, wait: false };
    let report = billing_run::run(&target, CHARGES.as_bytes(), plan, unstopped(), |told| match told {
        Progress::Read(bytes) => progress.set_position(bytes),
        Progress::Refused(row) => progress.suspend(|| note(format_args!("   refused: {row}"))),
        Progress::Settled { .. } => {}
    })
    .await?;
    progress.finish_and_clear();
    say(format_args!("   {} accepted, {} refused", report.accepted, report.refused));

    say("2. Workers charge them; declined ones wait for their retries, lost answers are asked after:");
    let spinner = ProgressBar::new_spinner().with_message("charging");
    spinner.enable_steady_tick(Duration::from_millis(100));
    app.flows.wait_until_quiet().await?;
    spinner.finish_and_clear();
    say(format_args!("   {}", counts(app).await?));

    say("3. The test clock lets 45 days pass:");
    let spinner = ProgressBar::new_spinner().with_message("45 days pass");
    spinner.enable_steady_tick(Duration::from_millis(100));
    app.flows.advance_test_clock(app.flows.clock().now(false) + PASSES).await?;
    spinner.finish_and_clear();
    say(format_args!("   {}", counts(app).await?));

    let sandbox = app.sandbox.as_ref().context("the demo has a sandbox")?;
    let findings = audit::compare(&app.flows.store, sandbox.address).await?;
    Ok(Shown { findings, refused_rows: report.refused, seconds: started.elapsed() })
}

async fn counts(app: &App) -> anyhow::Result<String> {
    let counts = app.flows.store.count_by_status(false).await?;
    let told: Vec<_> = counts.iter().map(|(status, count)| format!("{count} {status}")).collect();
    Ok(told.join(", "))
}

fn tell(shown: &Shown) {
    let Findings { payments, succeeded, recovered_by_retry, resolved_unknowns, .. } = shown.findings;
    let findings = &shown.findings;
    say("4. The gateway's ledger against ours:");
    say(format_args!("   payments             {payments}"));
    say(format_args!("   succeeded            {succeeded}"));
    say(format_args!("     recovered by retry {recovered_by_retry}"));
    say(format_args!("   waiting for customer {}", findings.requires_action));
    say(format_args!("   failed               {}", findings.failed));
    say(format_args!("   still unknown        {}", findings.unknown));
    say(format_args!("   lost answers found   {resolved_unknowns}"));
    say(format_args!("   refused rows         {}", shown.refused_rows));
    say(format_args!("   double captures      {}", findings.double_captures));
    say(format_args!("   lost                 {}", findings.lost));
    let (expected, seen) = (findings.captures_expected, findings.captures_seen);
    let verdict = if findings.agree() { "equal" } else { "NOT EQUAL" };
    say(format_args!("captures expected {expected}, captures seen {seen}: {verdict}"));
}

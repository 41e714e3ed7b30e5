//! `dunlin demo`: everything embedded, a business's billing run, a month of retries, and the proof.

mod acts;
mod examples;
mod figures;
mod stay;

use super::{Ending, say, words::Paint};
use crate::{
    app::{App, Role},
    audit,
    config::Config,
};
use acts::Stage;
use anyhow::Context;
use figures::Shown;
use std::{path::Path, time::Instant};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many rows of the billing run are charged.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u16).range(1..=2000))]
    charges: u16,
    /// Leave everything running after the report, to be looked at, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// End with one JSON object on the last line.
    #[arg(long, conflicts_with = "keep")]
    json: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<Ending> {
    let started = Instant::now();
    let folder = std::env::temp_dir().join(format!("dunlin-demo-{}", std::process::id()));
    let program = std::env::current_exe().context("dunlin cannot find itself")?;
    let app = start(&folder, &program).await?;
    let ended = show(&app, &args, started).await;
    app.stop().await;
    let _ = std::fs::remove_dir_all(&folder);
    ended
}

async fn start(folder: &Path, program: &Path) -> anyhow::Result<App> {
    let over = [
        ("data_dir", folder.display().to_string()),
        ("http.listen", "127.0.0.1:0".to_owned()),
        ("log.level", "error".to_owned()),
        ("environment", "development".to_owned()),
        ("store.url", String::new()),
    ];
    let config = Config::load_over(None, &over)?;
    super::start_logging(&config)?;
    Box::pin(App::start(config, Role::Both, program)).await
}

async fn show(app: &App, args: &Args, started: Instant) -> anyhow::Result<Ending> {
    let paint = Paint::detect();
    let stage = Stage::new(app, paint)?;
    let file = examples::rows(args.charges);
    let refused_rows = stage.bill(&file).await?;
    stage.charge().await?;
    stage.let_time_pass().await?;
    let asked = stage.check_out().await?;
    let sandbox = app.sandbox.as_ref().context("the demo has a sandbox")?;
    let findings = audit::compare(&app.flows.store, sandbox.address).await?;
    let examples = examples::find(&stage.api, &file, asked).await?;
    let shown = Shown { findings, refused_rows, examples, seconds: started.elapsed() };
    shown.tell(paint);
    if args.keep {
        stay::until_stopped(app, &shown.examples, paint).await?;
    } else {
        say(paint
            .faint("`dunlin demo --keep` leaves them there, for `dunlin payments show` and for a browser."));
    }
    if args.json {
        say(serde_json::to_string(&shown)?);
    }
    Ok(if shown.findings.agree() { Ending::Done } else { Ending::Disproved })
}

//! `dunlin serve` and `dunlin api`: the API, with the workers in the same process or without.

use super::{Ending, note, parent_gone, say, stop::Stop};
use crate::{
    app::{App, Role},
    config::Config,
};
use anyhow::Context;
use secrecy::ExposeSecret;
use std::path::Path;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen, instead of http.listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Stop when standard input closes, as it does when the starting process dies.
    #[arg(long, hide = true)]
    with_parent: bool,
}

pub(super) async fn run(args: Args, role: Role, file: Option<&Path>) -> anyhow::Result<Ending> {
    let over: Vec<_> = args.listen.map(|listen| ("http.listen", listen)).into_iter().collect();
    let config = Config::load_over(file, &over)?;
    run_until_told(config, role, args.with_parent, greet).await
}

/// Runs a process of that role until it is told to stop, and drains it.
pub(super) async fn run_until_told(
    config: Config,
    role: Role,
    with_parent: bool,
    greet: impl FnOnce(&App),
) -> anyhow::Result<Ending> {
    super::start_logging(&config)?;
    let mut stop = Stop::listen()?;
    let program = std::env::current_exe().context("dunlin cannot find itself")?;
    let app = Box::pin(App::start(config, role, &program)).await?;
    greet(&app);
    tokio::select! {
        () = stop.told() => {}
        () = parent_gone(), if with_parent => {}
    }
    note("stopping: finishing what runs");
    app.stop().await;
    Ok(Ending::Done)
}

fn greet(app: &App) {
    let Some(server) = &app.server else { return };
    let address = server.address;
    say(format_args!("dunlin listening on http://{address}"));
    if let Some(sandbox) = &app.sandbox {
        say(format_args!("sandbox gateway on http://{}", sandbox.address));
    }
    if let Some(key) = &app.development_key {
        say(format_args!(
            "\nA charge to try:\n\n\
             curl -sS http://{address}/v1/payments -H 'Authorization: Bearer {}' \
             -H \"Idempotency-Key: try-$(date +%s%N)\" -H 'Content-Type: application/json' -H 'Prefer: wait=5' \
             -d '{{\"amount\":1250,\"currency\":\"EUR\",\"customer\":\"cus_1\",\
             \"method\":{{\"type\":\"card\",\"payment_method\":\"pm_card_visa\"}}}}'\n",
            key.expose_secret()
        ));
    }
}

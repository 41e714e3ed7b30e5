//! `dunlin sandbox`: the sandbox gateway alone.

use super::{Ending, parent_gone, say, stop::Stop};
use dunlin_sandbox::Options;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:12111")]
    listen: SocketAddr,
    /// Keep everything in this file, so that a restart knows what was captured.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// How long to think before answering.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    latency_ms: u64,
    /// End when standard input closes, as it does when the starting process dies.
    #[arg(long, hide = true)]
    with_parent: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<Ending> {
    let latency = Duration::from_millis(args.latency_ms);
    let running =
        dunlin_sandbox::serve(Options { listen: args.listen, journal: args.journal, latency }).await?;
    say(format_args!("sandbox listening on http://{}", running.address));
    let stopper = running.stopper();
    let mut stop = Stop::listen()?;
    tokio::select! {
        () = stop.told() => stopper.stop(),
        () = parent_gone(), if args.with_parent => stopper.stop(),
    }
    running.stopped().await;
    Ok(Ending::Done)
}

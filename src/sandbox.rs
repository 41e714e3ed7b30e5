//! The sandbox as a process of its own, started beside the service and ended with it.

use anyhow::{Context, bail};
use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// How long the sandbox may take to start; it reads its journal first.
const START_WITHIN: Duration = Duration::from_secs(30);

/// Ends with this value, and with this process: it watches its standard input, which closes with us.
#[derive(Debug)]
pub struct SandboxProcess {
    pub address: SocketAddr,
    child: Child,
}

impl SandboxProcess {
    /// Starts `program sandbox` and waits until it listens.
    pub async fn start(program: &Path, journal: &Path, latency_ms: u64) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(["sandbox", "--listen", "127.0.0.1:0", "--with-parent", "--journal"])
            .arg(journal)
            .args(["--latency-ms", &latency_ms.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} could not be started as the sandbox", program.display()))?;
        let output = child.stdout.take().context("the sandbox has no output")?;
        let mut lines = BufReader::new(output).lines();
        let line = tokio::time::timeout(START_WITHIN, lines.next_line())
            .await
            .context("the sandbox did not start in time")?
            .context("the sandbox could not be heard")?;
        let Some(address) =
            line.as_deref().and_then(|line| line.strip_prefix("sandbox listening on http://"))
        else {
            bail!("the sandbox ended before it listened; what it said is above");
        };
        let address = address.parse().context("the sandbox said no address")?;
        Ok(Self { address, child })
    }

    /// The process's own, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }
}

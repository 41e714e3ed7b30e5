//! Lives: `dunlin serve` as a process, from its start to its kill.

use super::{plan::Blow, room::Room};
use crate::signals::{self, Signal};
use anyhow::{Context, bail};
use std::{
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::watch,
};

/// How long a start may take.
const START_WITHIN: Duration = Duration::from_secs(30);
/// How many of its last lines are kept.
const LINES: usize = 60;

#[derive(Debug)]
pub(super) struct Life {
    child: Child,
    output: Option<Lines<BufReader<ChildStdout>>>,
    struck: watch::Receiver<bool>,
    said: Arc<Mutex<Vec<String>>>,
}

impl Life {
    /// Starts a process that has nothing but its settings, and ends with this value.
    pub(super) fn start(room: &Room, blow: Option<&Blow>) -> anyhow::Result<Self> {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--with-parent"];
        Self::launch(&room.program, &serve, room.variables(blow))
    }

    /// The same for any command that ends with its parent.
    pub(super) fn launch(
        program: &Path,
        arguments: &[&str],
        variables: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("a process could not be started")?;
        let output = child.stdout.take().context("the process has no output")?;
        let errors = child.stderr.take().context("the process has no errors")?;
        let (strike, struck) = watch::channel(false);
        let said = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&said);
        tokio::spawn(async move {
            let mut lines = BufReader::new(errors).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if line.starts_with("failpoint ") {
                    strike.send_replace(true);
                }
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() == LINES {
                    kept.remove(0);
                }
                kept.push(line);
            }
        });
        Ok(Self { child, output: Some(BufReader::new(output).lines()), struck, said })
    }

    /// Waits until it listens, and says where.
    pub(super) async fn door(&mut self) -> anyhow::Result<String> {
        self.says("dunlin listening on ").await
    }

    /// Waits for its first line, which begins so, and gives the rest of it.
    pub(super) async fn says(&mut self, prefix: &str) -> anyhow::Result<String> {
        let mut output = self.output.take().context("it was asked before")?;
        let line = tokio::time::timeout(START_WITHIN, output.next_line()).await;
        let line = line.context("a process did not start in time")??;
        let Some(rest) = line.as_deref().and_then(|line| line.strip_prefix(prefix)) else {
            bail!("a process ended before it had started: {}", self.last_words());
        };
        // Whoever writes to a closed pipe dies of it, so the rest is read too.
        tokio::spawn(async move { while let Ok(Some(_)) = output.next_line().await {} });
        Ok(rest.to_owned())
    }

    /// Ends when the process has come to its failpoint; never for one that has none.
    pub(super) fn strike(&self) -> impl Future<Output = ()> + use<> {
        let mut struck = self.struck.clone();
        async move {
            if struck.wait_for(|struck| *struck).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    pub(super) fn was_struck(&self) -> bool {
        *self.struck.borrow()
    }

    /// Asks it to stop, as the end of its parent does, and waits for its end.
    pub(super) async fn stop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait().await;
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    pub(super) fn signal(&self, signal: Signal) -> std::io::Result<()> {
        signals::send(&self.child, signal)
    }

    /// Waits for an end that it was asked for.
    pub(super) async fn end(&mut self) {
        let _ = self.child.wait().await;
    }

    /// Whether it has ended without having been asked to.
    pub(super) fn is_gone(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL: nothing is flushed, nothing is said.
    pub(super) async fn kill(&mut self) {
        let _ = self.child.kill().await;
    }

    pub(super) fn last_words(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }
}

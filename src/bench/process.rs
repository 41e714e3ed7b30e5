//! Processes: dunlin in one of its roles, as an operator starts it.

use crate::app::Role;
use anyhow::{Context, bail, ensure};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStderr, Command},
};

/// How long a start may take.
const START_WITHIN: Duration = Duration::from_secs(30);
/// How long a stop may take, which finishes what runs.
const STOP_WITHIN: Duration = Duration::from_mins(1);
/// How many of its last lines are kept, to be told where it fails.
const LINES: usize = 20;

#[derive(Debug)]
pub(super) struct Process {
    role: Role,
    pub(super) id: u32,
    /// Where it takes requests.
    pub(super) door: Option<SocketAddr>,
    child: Child,
    said: Said,
}

/// What a process has said to whoever watches it, its last lines.
#[derive(Debug, Clone, Default)]
struct Said(Arc<Mutex<VecDeque<String>>>);

fn arguments(role: Role) -> &'static [&'static str] {
    match role {
        Role::Both => &["serve", "--listen", "127.0.0.1:0", "--with-parent"],
        Role::Api => &["api", "--listen", "127.0.0.1:0", "--with-parent"],
        Role::Worker => &["worker", "--with-parent"],
    }
}

impl Process {
    /// Starts it with these settings and no others, and waits until it is there. It ends with this value.
    pub(super) async fn start(
        program: &Path,
        role: Role,
        settings: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let name = name(role);
        let mut child = Command::new(program)
            .args(arguments(role))
            .env_clear()
            .envs(settings.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        let id = child.id().context("a process ended at once")?;
        let output = child.stdout.take().context("a process has no output")?;
        let said = Said::default();
        if let Some(errors) = child.stderr.take() {
            tokio::spawn(said.clone().hear(errors));
        }
        let mut lines = BufReader::new(output).lines();
        let line = tokio::time::timeout(START_WITHIN, lines.next_line()).await;
        let line = line.with_context(|| format!("{name} did not start in time"))??;
        let door = match line.as_deref() {
            Some(line) if line.starts_with("dunlin worker runs") => None,
            Some(line) => {
                let address = line.strip_prefix("dunlin listening on http://");
                Some(address.with_context(|| format!("{name} said {line:?}"))?.parse()?)
            }
            None => {
                let _ = child.wait().await;
                bail!("{} ended before it was there: {}", name, said.last());
            }
        };
        // Whoever writes to a closed pipe dies of it, so the rest is read too.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { role, id, door, child, said })
    }

    /// What it is, by its command.
    pub(super) fn name(&self) -> &'static str {
        name(self.role)
    }

    /// Lets it finish what runs, as the end of its parent does.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        let ended = tokio::time::timeout(STOP_WITHIN, self.child.wait()).await;
        let status = ended.with_context(|| format!("{} does not stop", self.name()))??;
        ensure!(status.success(), "{} ended with {status}: {}", self.name(), self.said.last());
        Ok(())
    }
}

fn name(role: Role) -> &'static str {
    arguments(role).first().copied().unwrap_or_default()
}

impl Said {
    async fn hear(self, errors: ChildStderr) {
        let mut lines = BufReader::new(errors).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == LINES {
                kept.pop_front();
            }
            kept.push_back(line);
        }
    }

    fn last(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

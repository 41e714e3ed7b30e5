//! A server's process and its folder; both end with this value.

use super::keeper::Keeper;
use crate::signals;
use anyhow::{Context, bail};
use rustix::process::Signal;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// Not TMPDIR: the path of a socket must be short, and /tmp may be memory, where fsync is free.
const BASE: &str = "/var/tmp";
/// Below the range from which the system takes ports for outgoing connections.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// How many ports are tried; most are free.
const TRIES: usize = 20;
const START_WITHIN: Duration = Duration::from_mins(1);
const STOP_WITHIN: Duration = Duration::from_mins(1);
const CLEAR_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Server {
    name: &'static str,
    pub(super) folder: PathBuf,
    pub(super) port: u16,
    child: Option<Child>,
    /// The signal at which it ends at once.
    last: Signal,
    _keeper: Keeper,
}

impl Server {
    /// A folder for a server that is not started yet.
    pub(super) fn new(name: &'static str, last: Signal) -> anyhow::Result<Self> {
        let random = hex::encode(rand::random::<[u8; 4]>());
        let folder = Path::new(BASE).join(format!("dunlin-{name}-{}-{random}", std::process::id()));
        let made = std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), 0o700).create(&folder);
        made.with_context(|| format!("{} cannot be made", folder.display()))?;
        let keeper = Keeper::of(&folder, last).context("/bin/sh could not be started")?;
        Ok(Self { name, folder, port: 0, child: None, last, _keeper: keeper })
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Starts it on a free port. A port is found by trying, so that two runs at once cannot pick the same one.
    pub(super) async fn start_somewhere(
        &mut self,
        command: impl Fn(&Self) -> Command,
        is_ready: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<()> {
        for _ in 1..TRIES {
            self.port = rand::random_range(PORTS);
            let started = self.start(command(self), &is_ready).await;
            if started.is_ok() || !self.log().contains("Address already in use") {
                return started;
            }
        }
        bail!("{} found no free port", self.name)
    }

    /// Starts it and waits until it is ready.
    pub(super) async fn start(
        &mut self,
        mut command: Command,
        is_ready: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<()> {
        let log = fs::File::create(self.log_file())?;
        // A group of its own: Ctrl-C is for us, and we end it when nobody needs it any more.
        command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("{} could not be started", self.name))?;
        fs::write(self.folder.join("pid"), child.id().unwrap_or_default().to_string())?;
        self.child = Some(child);
        let begun = Instant::now();
        while !is_ready(self) {
            let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || begun.elapsed() > START_WITHIN {
                bail!("{} did not start: {}", self.name, self.log());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Sends the signal and waits for the end.
    pub(super) async fn stop(&mut self, signal: Signal) -> anyhow::Result<()> {
        let Some(child) = &mut self.child else { return Ok(()) };
        signals::send(child, signal)?;
        let ended = timeout(STOP_WITHIN, child.wait()).await;
        ended.with_context(|| format!("{} did not stop: {}", self.name, self.log()))??;
        self.child = None;
        Ok(())
    }

    /// What it has said since its last start.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("server.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = signals::send(child, self.last);
            let begun = Instant::now();
            while matches!(child.try_wait(), Ok(None)) && begun.elapsed() < STOP_WITHIN {
                std::thread::sleep(LOOK_EVERY);
            }
        }
        // What was still being made in it may be written to for another moment.
        let begun = Instant::now();
        while fs::remove_dir_all(&self.folder).is_err()
            && self.folder.exists()
            && begun.elapsed() < CLEAR_WITHIN
        {
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

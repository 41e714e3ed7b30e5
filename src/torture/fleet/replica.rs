//! Replicas: the fleet's processes, each started again after its end, and the doors of those that take requests.

use super::super::life::Life;
use crate::signals::Signal;
use anyhow::Context;
use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a process may take until it runs, over servers that come and go.
const START_WITHIN: Duration = Duration::from_mins(1);
/// How long it may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// What such a line has in it, and how many of them are kept.
const ALARM: &str = "ERROR";
const ALARMS: usize = 20;
const TRY_AGAIN: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// With its number among the doors.
    Api(usize),
    Worker,
}

/// Where the APIs listen that run now.
#[derive(Debug)]
pub(super) struct Doors(Mutex<Vec<Option<String>>>);

impl Doors {
    pub(super) fn new(count: usize) -> Self {
        Self(Mutex::new(vec![None; count]))
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The door of the nth API; none while it is away.
    pub(super) fn of(&self, number: usize) -> Option<String> {
        let doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        doors[number % doors.len()].clone()
    }

    /// Any that is open.
    pub(super) fn any(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten().next().cloned()
    }

    fn set(&self, number: usize, door: Option<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[number] = door;
    }
}

#[derive(Debug)]
pub(super) struct Replica {
    role: Role,
    life: Option<Life>,
    /// What its processes have said that a person should act on.
    alarms: Vec<String>,
}

impl Replica {
    pub(super) fn new(role: Role) -> Self {
        Self { role, life: None, alarms: Vec::new() }
    }

    /// Starts it as whoever looks after processes does: again, where it could not start.
    pub(super) async fn start(
        &mut self,
        program: &Path,
        variables: &[(String, String)],
        doors: &Doors,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            match self.try_start(program, variables, doors).await {
                Err(error) if begun.elapsed() > START_WITHIN => return Err(error),
                Err(_) => tokio::time::sleep(TRY_AGAIN).await,
                Ok(()) => return Ok(()),
            }
        }
    }

    async fn try_start(
        &mut self,
        program: &Path,
        variables: &[(String, String)],
        doors: &Doors,
    ) -> anyhow::Result<()> {
        let (arguments, prefix): (&[&str], _) = match self.role {
            Role::Api(_) => (&["api", "--listen", "127.0.0.1:0", "--with-parent"], "dunlin listening on "),
            Role::Worker => (&["worker", "--with-parent"], "dunlin worker runs"),
        };
        let mut life = Life::launch(program, arguments, variables.to_vec())?;
        let said = life.says(prefix).await?;
        if let Role::Api(number) = self.role {
            doors.set(number, Some(said));
        }
        self.life = Some(life);
        Ok(())
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.life.as_ref().and_then(Life::pid)
    }

    /// What it said last, if it has ended and nobody had told it to.
    pub(super) fn mishap(&mut self) -> Option<String> {
        self.life.as_mut()?.is_gone().then_some(())?;
        let said = self.life.take().map(|life| life.last_words());
        Some(format!("a process ended by itself: {}", said.unwrap_or_default()))
    }

    pub(super) async fn kill(&mut self, doors: &Doors) {
        if let Some(mut life) = self.life.take() {
            life.kill().await;
            self.listen(&life);
        }
        self.close(doors);
    }

    /// SIGTERM, and its end.
    pub(super) async fn stop(&mut self, doors: &Doors) -> anyhow::Result<()> {
        let Some(mut life) = self.life.take() else { return Ok(()) };
        life.signal(Signal::TERM)?;
        // Whoever looks after processes sends nobody more to one that stops.
        self.close(doors);
        let ended = tokio::time::timeout(STOP_WITHIN, life.end()).await;
        self.listen(&life);
        ended.with_context(|| format!("a process did not stop: {}", life.last_words()))
    }

    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        self.life.as_ref().map_or(Ok(()), |life| Ok(life.signal(signal)?))
    }

    fn listen(&mut self, life: &Life) {
        let words = life.last_words();
        let alarms = words.lines().filter(|line| line.contains(ALARM)).map(str::to_owned);
        self.alarms.extend(alarms.take(ALARMS.saturating_sub(self.alarms.len())));
    }

    pub(super) fn into_alarms(self) -> Vec<String> {
        self.alarms
    }

    fn close(&self, doors: &Doors) {
        if let Role::Api(number) = self.role {
            doors.set(number, None);
        }
    }
}

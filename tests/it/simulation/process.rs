//! A process: the store with its committer, the flows, and a clock of its own, which may be wrong.

use super::{dice::Dice, scheduler::Told, wire::Wire};
use crate::support::{database::Database, world};
use chrono::TimeDelta;
use dunlin::{
    domain::clock::Clock,
    failpoint::{Failpoints, Point, Visit},
    flow::{Flows, Settings, Turns},
};
use tokio::sync::mpsc;

/// What all processes share.
pub(super) struct Site<'a> {
    pub(super) database: &'a Database,
    pub(super) dice: Dice,
    /// The true time, which is the gateway's.
    pub(super) clock: Clock,
    pub(super) wire: Wire,
    pub(super) settings: Settings,
    /// With which the gateway signs what it tells.
    pub(super) secret: String,
    pub(super) tell: mpsc::UnboundedSender<Told>,
}

pub(super) struct Process {
    pub(super) flows: Flows,
    pub(super) committer: Committer,
}

#[derive(Debug)]
pub(super) enum Committer {
    Idle,
    At(Visit),
}

impl Site<'_> {
    /// Starts a process, whose number none had before, with a clock that is so far ahead.
    pub(super) async fn start(&self, number: u64, ahead: TimeDelta) -> Process {
        let (visits, mut visited) = mpsc::unbounded_channel();
        let tell = self.tell.clone();
        tokio::spawn(async move {
            while let Some(visit) = visited.recv().await {
                let _ = tell.send(Told::Visit(number, visit));
            }
        });
        let clock = Clock::held(self.clock.now(false), self.dice.seed * 1_000 + number).drifting(ahead);
        let store = self.database.open_with_one_committer(clock, Failpoints::ask(visits)).await;
        store.refresh_holds().await.unwrap();
        let flows = Flows {
            store,
            gateways: world::gateways_with(&self.secret),
            client: self.wire.client(),
            turns: Turns::default(),
            redis: None,
            settings: self.settings.clone(),
        };
        Process { flows, committer: Committer::Idle }
    }
}

impl Process {
    /// Whether it has a transaction open: on SQLite it has the only writer then, on PostgreSQL its locks.
    pub(super) fn is_writing(&self) -> bool {
        matches!(&self.committer, Committer::At(visit) if visit.point == Point::BatchWritten)
    }
}

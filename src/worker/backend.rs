//! The backend: apalis's view of a lane, which is a channel that a claimer fills from the job rows.
//!
//! It never returns an error: apalis would end the worker and drop its handlers at an await point.

use super::held::Holding;
use crate::store::claim::Claimed;
use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::{Task, builder::TaskBuilder},
    worker::context::WorkerContext,
};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tower::layer::util::Identity;

/// A claimed job on its way to a handler, with the slot that it fills.
#[derive(Debug)]
pub(super) struct Leased {
    pub(super) claimed: Claimed,
    pub(super) holding: Holding,
    pub(super) _slot: OwnedSemaphorePermit,
}

/// One lane; a restarted apalis worker goes on with the same channel.
#[derive(Debug, Clone)]
pub(super) struct LaneBackend {
    jobs: Arc<Mutex<mpsc::Receiver<Leased>>>,
}

impl LaneBackend {
    pub(super) fn new(jobs: mpsc::Receiver<Leased>) -> Self {
        Self { jobs: Arc::new(Mutex::new(jobs)) }
    }
}

impl Backend for LaneBackend {
    type Task = Task<Leased>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Task<Leased>, Infallible>>> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.poll_recv(cx).map(|leased| leased.map(|leased| Ok(TaskBuilder::new(leased).build())))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for LaneBackend {
    type Args = Leased;
    type Id = ();
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}

//! Held leases: which jobs this process has in hand, so that one heartbeat renews them all, and a stop gives
//! back what was never started.

use dunlin_jobs::JobId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    jobs: Arc<Mutex<HashMap<JobId, Stage>>>,
    emptied: Arc<Notify>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Claimed,
    Started,
    /// By a stop: whoever claims it next has it.
    GivenBack,
}

/// One job in hand; dropping it means that the worker is through with it.
#[derive(Debug)]
pub(super) struct Holding {
    held: Held,
    job: JobId,
}

impl Held {
    pub(super) fn hold(&self, job: JobId) -> Holding {
        self.lock().insert(job, Stage::Claimed);
        Holding { held: self.clone(), job }
    }

    pub(super) fn all(&self) -> Vec<JobId> {
        self.lock().keys().copied().collect()
    }

    /// Those that were not started, and are not to be any more.
    pub(super) fn give_back(&self) -> Vec<JobId> {
        let mut jobs = self.lock();
        let unstarted = jobs.iter_mut().filter(|(_, stage)| **stage == Stage::Claimed);
        unstarted
            .map(|(job, stage)| {
                *stage = Stage::GivenBack;
                *job
            })
            .collect()
    }

    /// Returns once nothing that was started is left in hand.
    pub(super) async fn wait_until_finished(&self) {
        loop {
            let emptied = self.emptied.notified();
            if !self.lock().values().any(|stage| *stage == Stage::Started) {
                return;
            }
            emptied.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Stage>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holding {
    /// False where it was given back.
    #[must_use]
    pub(super) fn start(&self) -> bool {
        let mut jobs = self.held.lock();
        if jobs.get(&self.job) == Some(&Stage::GivenBack) {
            return false;
        }
        jobs.insert(self.job, Stage::Started);
        true
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.held.lock().remove(&self.job);
        self.held.emptied.notify_waiters();
    }
}

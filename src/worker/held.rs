//! Held leases: which jobs this process has in hand, so that one heartbeat renews them all, and a stop gives
//! back what was never started. A process that lost a lease may have the same job in hand twice.

use crate::store::change::Lease;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    jobs: Arc<Mutex<HashMap<Lease, Stage>>>,
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
    lease: Lease,
}

impl Held {
    pub(super) fn hold(&self, lease: Lease) -> Holding {
        self.lock().insert(lease.clone(), Stage::Claimed);
        Holding { held: self.clone(), lease }
    }

    pub(super) fn all(&self) -> Vec<Lease> {
        self.lock().keys().cloned().collect()
    }

    /// Those that were not started, and are not to be any more.
    pub(super) fn give_back(&self) -> Vec<Lease> {
        let mut jobs = self.lock();
        let unstarted = jobs.iter_mut().filter(|(_, stage)| **stage == Stage::Claimed);
        unstarted
            .map(|(lease, stage)| {
                *stage = Stage::GivenBack;
                lease.clone()
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

    fn lock(&self) -> MutexGuard<'_, HashMap<Lease, Stage>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holding {
    /// False where it was given back.
    #[must_use]
    pub(super) fn start(&self) -> bool {
        let mut jobs = self.held.lock();
        if jobs.get(&self.lease) == Some(&Stage::GivenBack) {
            return false;
        }
        jobs.insert(self.lease.clone(), Stage::Started);
        true
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.held.lock().remove(&self.lease);
        self.held.emptied.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use dunlin_jobs::JobId;

    #[test]
    fn a_job_that_is_in_hand_twice_is_held_until_both_are_through() {
        let job = JobId::mint(DateTime::UNIX_EPOCH, [0; 10]);
        let lease = |epoch| Lease { job, owner: "worker".to_owned(), epoch };
        let held = Held::default();
        let (first, second) = (held.hold(lease(1)), held.hold(lease(2)));

        assert!(first.start());
        let unstarted = held.give_back();
        let begun = second.start();
        drop(first);

        assert_eq!(unstarted, [lease(2)], "what runs is not given back");
        assert!(!begun);
        assert_eq!(held.all(), [lease(2)], "the end of one is not the end of the other");
    }
}

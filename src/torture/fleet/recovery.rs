//! Recovery: how long what a killed process had in hand waits for somebody to bring it on.

use crate::store::{Store, hands::InHand};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often it is looked, and so how exact the figures are.
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
pub(super) struct Recovery {
    waiting: Mutex<Vec<(Instant, InHand)>>,
    waited: Mutex<Vec<Duration>>,
}

/// How long jobs waited that were in a killed process's hands.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Recoveries {
    /// Of how many jobs.
    pub recoveries: usize,
    pub recovery_p50_ms: u128,
    pub recovery_p99_ms: u128,
    pub recovery_max_ms: u128,
    /// Those that nobody has brought on by the end.
    pub unrecovered: usize,
}

impl Recovery {
    /// Notes what a process held that was killed at that moment.
    pub(super) async fn note(&self, store: &Store, process: u32, killed: Instant) {
        // A database that is away comes back, and nothing of this is lost until a lease has run out.
        let held = loop {
            match store.list_in_hand(process).await {
                Ok(held) => break held,
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        };
        let held = held.into_iter().map(|job| (killed, job));
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).extend(held);
    }

    /// Looks for as long as it is polled.
    pub(super) async fn watch(&self, store: &Store) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let ids: Vec<_> = waiting.iter().map(|(_, job)| job.id.clone()).collect();
            if ids.is_empty() {
                continue;
            }
            let Ok(found) = store.look_at(&ids).await else { continue };
            let found: HashMap<_, _> = found.into_iter().map(|job| (job.id.clone(), job)).collect();
            let is_done = |job: &InHand| found.get(&job.id) != Some(job);
            let mut waited = self.waited.lock().unwrap_or_else(PoisonError::into_inner);
            waited.extend(waiting.iter().filter(|(_, job)| is_done(job)).map(|(killed, _)| killed.elapsed()));
            let mut still = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            // What was not there yet when it was looked at stays.
            still.retain(|entry| !waiting.contains(entry) || !is_done(&entry.1));
        }
    }

    pub(super) fn figures(&self) -> Recoveries {
        let mut waited = self.waited.lock().unwrap_or_else(PoisonError::into_inner).clone();
        waited.sort_unstable();
        let part = |percent: usize| {
            let at = (waited.len() * percent).div_ceil(100).saturating_sub(1);
            waited.get(at).map_or(0, Duration::as_millis)
        };
        Recoveries {
            recoveries: waited.len(),
            recovery_p50_ms: part(50),
            recovery_p99_ms: part(99),
            recovery_max_ms: part(100),
            unrecovered: self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len(),
        }
    }
}

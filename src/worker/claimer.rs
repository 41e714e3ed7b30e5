//! The claimer: fills a lane's free slots with jobs that are due, woken by commits and, failing that, by the
//! poll.

use super::{Pool, backend::Leased};
use crate::store::{
    StoreError,
    claim::{Claimed, Order},
};
use dunlin_jobs::Lane;
use futures_util::FutureExt;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

/// A claim that takes longer has lost its connection; what it may have leased comes back by itself.
const CLAIM_WITHIN: Duration = Duration::from_mins(1);
/// How long a claimer waits after the database failed it.
const AFTER_ERROR: Duration = Duration::from_secs(1);

pub(super) struct Claimer {
    pub(super) pool: Arc<Pool>,
    pub(super) lane: Lane,
    pub(super) concurrency: u16,
    pub(super) jobs: mpsc::Sender<Leased>,
    pub(super) stop: watch::Receiver<bool>,
}

impl Claimer {
    /// Runs until the stop is rung; then its channel closes, and with it the lane's worker ends.
    pub(super) async fn run(mut self) {
        let slots = Arc::new(Semaphore::new(self.concurrency.into()));
        // A lane without its claimer would stand still for as long as the process lives.
        while AssertUnwindSafe(self.claim(&slots)).catch_unwind().await.is_err() {
            tracing::error!(job.lane = %self.lane, "claiming panicked; it begins again");
            self.pause(std::future::pending::<()>(), AFTER_ERROR).await;
        }
    }

    async fn claim(&mut self, slots: &Arc<Semaphore>) {
        let enqueued = self.pool.flows.store.enqueued();
        let enqueued_elsewhere = Arc::clone(&self.pool.rung);
        // A backlog is taken in larger bites than one freed slot at a time.
        let mut at_least = 1;
        while !*self.stop.borrow() {
            let (here, elsewhere) = (enqueued.notified(), enqueued_elsewhere.notified());
            let Some(slots) = self.free(slots, at_least).await else { break };
            let wanted = slots.len();
            match self.fill(slots).await {
                Ok(claimed) if claimed == wanted => at_least = (self.concurrency / 4).max(1),
                Ok(_) => {
                    at_least = 1;
                    let rung = async {
                        tokio::select! {
                            () = here => {}
                            () = elsewhere => {}
                        }
                    };
                    self.pause(rung, self.pool.settings.poll()).await;
                }
                Err(error) => {
                    tracing::warn!(job.lane = %self.lane, %error, "claiming failed; trying again");
                    self.pause(std::future::pending::<()>(), AFTER_ERROR).await;
                }
            }
        }
    }

    /// Waits for free slots; none when the stop is rung.
    async fn free(&mut self, slots: &Arc<Semaphore>, at_least: u16) -> Option<Vec<OwnedSemaphorePermit>> {
        let first = tokio::select! {
            first = Arc::clone(slots).acquire_many_owned(at_least.into()) => first.ok()?,
            _ = self.stop.changed() => return None,
        };
        let mut first = first;
        let mut free = Vec::with_capacity(self.concurrency.into());
        while let Some(slot) = first.split(1) {
            free.push(slot);
        }
        while let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
            free.push(slot);
        }
        Some(free)
    }

    /// Claims at most as many jobs as there are slots, from each environment in turn.
    async fn fill(&self, mut slots: Vec<OwnedSemaphorePermit>) -> Result<usize, StoreError> {
        let mut filled = 0;
        for livemode in self.environments() {
            if slots.is_empty() {
                break;
            }
            let order = Order {
                lane: self.lane,
                livemode,
                owner: self.pool.owner.clone(),
                lease: self.pool.settings.lease(),
                limit: u16::try_from(slots.len()).unwrap_or(self.concurrency),
            };
            let claim = tokio::time::timeout(CLAIM_WITHIN, self.pool.flows.store.claim(order)).await;
            let claimed = claim.unwrap_or(Err(StoreError::Unavailable))?;
            filled += claimed.len();
            for claimed in claimed {
                let Some(slot) = slots.pop() else { break };
                self.hand_over(claimed, slot).await;
            }
        }
        Ok(filled)
    }

    /// Where there can be work: housekeeping is of no environment, payments go where there are accounts.
    fn environments(&self) -> impl Iterator<Item = bool> + use<'_> {
        let gateways = &self.pool.flows.gateways;
        let lane = self.lane;
        [true, false].into_iter().filter(move |livemode| match lane {
            Lane::Upkeep => *livemode,
            Lane::Payments | Lane::Reconcile => gateways.of(*livemode).next().is_some(),
        })
    }

    async fn hand_over(&self, claimed: Claimed, slot: OwnedSemaphorePermit) {
        if self.pool.flows.store.pass(crate::failpoint::Point::Claimed).await.is_err() {
            return;
        }
        let holding = self.pool.held.hold(claimed.lease.clone());
        // The channel holds as many as there are slots, so this does not wait; closed, the lease runs out.
        let _ = self.jobs.send(Leased { claimed, holding, _slot: slot }).await;
    }

    async fn pause(&mut self, rung: impl Future<Output = ()>, at_most: Duration) {
        tokio::select! {
            () = rung => {}
            () = tokio::time::sleep(at_most) => {}
            _ = self.stop.changed() => {}
        }
    }
}

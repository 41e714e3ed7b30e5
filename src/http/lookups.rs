//! Lookups: who an API key lets in, asked of the database once for all requests that wait for the answer.

use crate::{
    flow::{FlowError, Flows},
    store::{KeyHolder, StoreError},
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Semaphore, oneshot};

/// How many keys are looked up at a time: a storm of requests must leave connections for their commits, and must wait
/// here rather than be told that no connection is free.
const LOOKUPS: usize = 4;

type Found = Result<Option<KeyHolder>, StoreError>;

/// A request that comes while its key is looked up waits for the next look, which begins after it has come. So nobody is
/// let in by a key that was revoked before, and what many requests ask at once is asked once.
#[derive(Debug, Clone)]
pub(super) struct Lookups {
    waiting: Arc<Mutex<Waiting>>,
    turns: Arc<Semaphore>,
}

/// The keys that are being looked up, by their digest, and who waits for the next look at each.
type Waiting = HashMap<[u8; 32], Vec<oneshot::Sender<Found>>>;

impl Lookups {
    pub(super) fn new() -> Self {
        Self { waiting: Arc::default(), turns: Arc::new(Semaphore::new(LOOKUPS)) }
    }

    /// Who the key lets in, as the database says after this was asked.
    pub(super) async fn find(
        &self,
        flows: &Flows,
        secret: SecretString,
    ) -> Result<Option<KeyHolder>, FlowError> {
        let digest: [u8; 32] = Sha256::digest(secret.expose_secret()).into();
        let (answer, answered) = oneshot::channel();
        let is_first = {
            let mut waiting = self.lock();
            let is_first = !waiting.contains_key(&digest);
            waiting.entry(digest).or_default().push(answer);
            is_first
        };
        if is_first {
            // By itself, since others may wait for it after this request is gone.
            let looking = Looking { lookups: self.clone(), digest, is_over: false };
            tokio::spawn(looking.look(flows.clone(), secret));
        }
        Ok(answered.await.map_err(|_| StoreError::Unavailable)??)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One key's looks, one after the other while somebody waits.
struct Looking {
    lookups: Lookups,
    digest: [u8; 32],
    is_over: bool,
}

impl Looking {
    async fn look(mut self, flows: Flows, secret: SecretString) {
        let turns = Arc::clone(&self.lookups.turns);
        loop {
            let turn = turns.acquire().await;
            // Whoever comes from here on is of the next look.
            let Some(asking) = self.next() else { return };
            let found = flows.store.find_key(&secret).await;
            drop(turn);
            for answer in asking {
                let _ = answer.send(found.as_ref().map(Clone::clone).map_err(StoreError::again));
            }
        }
    }

    /// Those who wait; none is the end.
    fn next(&mut self) -> Option<Vec<oneshot::Sender<Found>>> {
        let mut waiting = self.lookups.lock();
        let asking = waiting.get_mut(&self.digest).map(std::mem::take).unwrap_or_default();
        if asking.is_empty() {
            waiting.remove(&self.digest);
            drop(waiting);
            self.is_over = true;
            return None;
        }
        Some(asking)
    }
}

impl Drop for Looking {
    /// After a panic nobody looks any more: who waits is told so, and the next request looks again.
    fn drop(&mut self) {
        if !self.is_over {
            self.lookups.lock().remove(&self.digest);
        }
    }
}

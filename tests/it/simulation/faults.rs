//! Faults: what a seed makes go wrong.

use crate::support::world;
use dunlin::{
    failpoint::CommitFault,
    gateway::client::{Client, SendError},
};
use dunlin_sandbox::Bank;
use futures_util::FutureExt;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

/// A seed's dice: the same seed throws the same.
#[derive(Debug, Clone)]
pub(crate) struct Dice {
    pub(crate) seed: u64,
    state: Arc<Mutex<u64>>,
    healed: Arc<AtomicBool>,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678_9abc_def1);
        Self { seed, state: Arc::new(Mutex::new(state)), healed: Arc::default() }
    }

    /// Xorshift: a number below `sides`.
    pub(crate) fn throw(&self, sides: usize) -> usize {
        let mut state = self.state.lock().unwrap();
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        usize::try_from((*state >> 16) % u64::try_from(sides).unwrap()).unwrap()
    }

    /// One time in `n`, and never once healed.
    pub(crate) fn trouble(&self, n: usize) -> bool {
        !self.healed.load(Ordering::SeqCst) && self.throw(n) == 0
    }

    pub(crate) fn heal(&self) {
        self.healed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn commit_fault(&self) -> CommitFault {
        if !self.trouble(12) {
            return CommitFault::None;
        }
        if self.throw(2) == 0 { CommitFault::LostAfter } else { CommitFault::LostBefore }
    }

    /// The bank over a bad line: refused connections, requests and answers that are lost.
    pub(crate) fn bad_line(&self, bank: Arc<Bank>) -> Client {
        let dice = self.clone();
        Client::in_process(Arc::new(move |call| {
            let answer = match dice.trouble(4).then(|| dice.throw(3)) {
                Some(0) => Err(SendError::NotSent("connection refused".to_owned())),
                Some(1) => Err(SendError::Lost("lost on the way".to_owned())),
                Some(_) => {
                    let _ = world::answer(&bank, call);
                    Err(SendError::Lost("lost on the way back".to_owned()))
                }
                None => world::answer(&bank, call),
            };
            std::future::ready(answer).boxed()
        }))
    }
}

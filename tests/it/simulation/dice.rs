//! Dice: a seed's, which throw the same whenever they are thrown again.

use dunlin::failpoint::CommitFault;
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

    pub(crate) fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.throw(from.len())]
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
}

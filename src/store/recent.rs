//! Payments written lately, so that the only writer need not read back what it has just written.
//!
//! Only SQLite has it, where one committer makes every change: what it last committed is what the table holds,
//! and should the two ever differ, the guard of the version refuses the write.

use crate::domain::payment::Payment;
use dunlin_jobs::PaymentId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many payments a generation holds; there are two, of about a kilobyte a payment.
const GENERATION: usize = 4096;

#[derive(Debug, Clone, Default)]
pub(super) struct Recent(Arc<Mutex<Generations>>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<PaymentId, Payment>,
    old: HashMap<PaymentId, Payment>,
}

impl Recent {
    pub(super) fn find(&self, id: PaymentId) -> Option<Payment> {
        let generations = self.lock();
        generations.young.get(&id).or_else(|| generations.old.get(&id)).cloned()
    }

    pub(super) fn holds(&self, id: PaymentId) -> bool {
        let generations = self.lock();
        generations.young.contains_key(&id) || generations.old.contains_key(&id)
    }

    /// Takes in what a commit has written.
    pub(super) fn keep(&self, written: Vec<Payment>) {
        let mut generations = self.lock();
        for payment in written {
            generations.young.insert(payment.id, payment);
        }
        if generations.young.len() > GENERATION {
            generations.old = std::mem::take(&mut generations.young);
        }
    }

    /// Forgets everything: what a failed transaction has left in the table is not known here.
    pub(super) fn forget(&self) {
        *self.lock() = Generations::default();
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

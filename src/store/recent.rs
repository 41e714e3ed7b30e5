//! Payments that this process knows as a commit has left them, so that what was just written need not be read back.
//!
//! SQLite has one writer, so what is remembered is what its table holds; should the two ever differ, the guard of the
//! version refuses the write. PostgreSQL has many: there a row is locked first, and what is remembered counts where its
//! version is the row's, since a version is never given to two states of a payment.

use crate::domain::payment::Payment;
use dunlin_jobs::PaymentId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many payments a generation holds; there are two, of about a kilobyte a payment.
const GENERATION: usize = 4096;

#[derive(Debug, Clone)]
pub(super) struct Recent {
    generations: Arc<Mutex<Generations>>,
    is_only_writer: bool,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<PaymentId, Payment>,
    old: HashMap<PaymentId, Payment>,
}

impl Recent {
    pub(super) fn of_only_writer() -> Self {
        Self { generations: Arc::default(), is_only_writer: true }
    }

    pub(super) fn of_one_of_many() -> Self {
        Self { generations: Arc::default(), is_only_writer: false }
    }

    /// The payment as the table holds it, where that is known without looking.
    pub(super) fn find(&self, id: PaymentId) -> Option<Payment> {
        if self.is_only_writer { self.lock().find(id).cloned() } else { None }
    }

    /// The payment as it is at that version.
    pub(super) fn find_at(&self, id: PaymentId, version: u32) -> Option<Payment> {
        self.lock().find(id).filter(|payment| payment.version == version).cloned()
    }

    /// Whether [`find`](Self::find) would find it.
    pub(super) fn holds(&self, id: PaymentId) -> bool {
        self.is_only_writer && self.lock().find(id).is_some()
    }

    /// Takes in what a commit has written.
    pub(super) fn keep(&self, written: impl IntoIterator<Item = Payment>) {
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
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn find(&self, id: PaymentId) -> Option<&Payment> {
        self.young.get(&id).or_else(|| self.old.get(&id))
    }
}

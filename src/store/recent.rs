//! Payments that this process knows as a commit has left them, so that what was just written need not be read back.
//!
//! SQLite has one writer, so what is remembered is what its table holds; should the two ever differ, the guard of the
//! revision refuses the write. PostgreSQL has many: there a row is locked first, and what is remembered counts where its
//! revision is the row's. Its version alone would not do: a failover takes commits back, and the numbers that they had
//! are given again, to other states.

use crate::domain::payment::Payment;
use dunlin_jobs::PaymentId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many payments a generation holds; there are two, of about a kilobyte a payment.
const GENERATION: usize = 4096;

/// A payment as its row holds it.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) payment: Payment,
    /// The id of the change that left it so; empty where that is not known.
    pub(super) change: String,
}

/// Which state of a payment is meant: how many changes there were, and which was the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Revision {
    pub(super) version: u32,
    pub(super) change: String,
}

#[derive(Debug, Clone)]
pub(super) struct Recent {
    generations: Arc<Mutex<Generations>>,
    is_only_writer: bool,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<PaymentId, Stored>,
    old: HashMap<PaymentId, Stored>,
}

impl Recent {
    pub(super) fn of_only_writer() -> Self {
        Self { generations: Arc::default(), is_only_writer: true }
    }

    pub(super) fn of_one_of_many() -> Self {
        Self { generations: Arc::default(), is_only_writer: false }
    }

    /// The payment as the table holds it, where that is known without looking.
    pub(super) fn find(&self, id: PaymentId) -> Option<Stored> {
        if self.is_only_writer { self.lock().find(id).cloned() } else { None }
    }

    /// The payment in that very state.
    pub(super) fn find_at(&self, id: PaymentId, revision: &Revision) -> Option<Stored> {
        self.lock().find(id).filter(|stored| stored.is_at(revision)).cloned()
    }

    /// Whether [`find`](Self::find) would find it.
    pub(super) fn holds(&self, id: PaymentId) -> bool {
        self.is_only_writer && self.lock().find(id).is_some()
    }

    /// Takes in what a commit has written.
    pub(super) fn keep(&self, written: impl IntoIterator<Item = Stored>) {
        let mut generations = self.lock();
        for stored in written {
            generations.young.insert(stored.payment.id, stored);
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

impl Stored {
    fn is_at(&self, revision: &Revision) -> bool {
        self.payment.version == revision.version && self.change == revision.change
    }
}

impl Generations {
    fn find(&self, id: PaymentId) -> Option<&Stored> {
        self.young.get(&id).or_else(|| self.old.get(&id))
    }
}

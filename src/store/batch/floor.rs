//! The floor: what successful charges leave behind, written in the same batches with nothing around it. It tells what
//! the database could do at all with these rows; `dunlin bench` measures the service against it.
//!
//! The rows come from the same code as a charge's and go through the same statements. What is left out: requests and
//! answers, the gateway, claims and leases, reading back, locks. What each batch writes is worked out before the clock
//! runs.

use super::{Beside, Context, Work};
use crate::{
    domain::{
        attempt::{Answer, Outcome},
        payment::{Event, Payment, Status},
    },
    store::{
        Store, StoreError,
        change::{
            Change, Closing, CommitError, Create, Exchange, ExchangeWrite, JobEnd, Key, Lease, Priority,
            Subject,
        },
        idempotency,
    },
};
use dunlin_jobs::{AttemptId, ChangeId, ExchangeId, JobId, PaymentId};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Barrier;

/// How many charges share a batch.
const BATCH: usize = 256;
/// How many batches of each writer are worked out ahead of the clock.
const AHEAD: usize = 8;

/// A charge that succeeded, of which copies are written.
#[derive(Debug, Clone)]
pub struct Specimen {
    pub payment: Payment,
    pub exchange: Exchange,
}

/// One commit of a batch, worked out: the changes for their keys, and what they write.
struct Step<'a> {
    changes: Vec<Change>,
    work: Work<'a>,
}

impl Store {
    /// Writes the rows of `count` charges in their three commits, and tells how long the database took.
    pub async fn write_charges(&self, specimen: &Specimen, count: usize) -> Result<Duration, CommitError> {
        let writers = self.committers.len().max(1);
        let barrier = Arc::new(Barrier::new(writers));
        let tasks: Vec<_> = (0..writers)
            .map(|writer| {
                // What does not divide evenly is the first writer's.
                let share = count / writers + if writer == 0 { count % writers } else { 0 };
                let slices = (count / writers + count % writers).div_ceil(BATCH * AHEAD);
                let task = Writer { store: self.clone(), specimen: specimen.clone(), slices };
                tokio::spawn(task.write(share, Arc::clone(&barrier)))
            })
            .collect();
        let mut slowest = Duration::ZERO;
        for task in tasks {
            slowest = slowest.max(task.await.map_err(|_| CommitError::Unavailable)??);
        }
        Ok(slowest)
    }

    /// Writes the rows that `count` accepted payments have before anything was tried, each table's in one statement,
    /// in one transaction.
    pub async fn write_acceptances(
        &self,
        specimen: &Specimen,
        count: usize,
    ) -> Result<Duration, CommitError> {
        let accepted = accept(&self.context, specimen, count)?;
        let started = Instant::now();
        accepted.write(self).await?;
        Ok(started.elapsed())
    }
}

/// One of those who write at the same time, as many as the service has committers.
struct Writer {
    store: Store,
    specimen: Specimen,
    /// How often all stop to work out what comes next.
    slices: usize,
}

impl Writer {
    async fn write(self, share: usize, barrier: Arc<Barrier>) -> Result<Duration, CommitError> {
        let mut took = Duration::ZERO;
        let mut left = share;
        let mut result = Ok(());
        for _ in 0..self.slices {
            let mut batches = Vec::with_capacity(AHEAD);
            while batches.len() < AHEAD && left > 0 && result.is_ok() {
                let size = left.min(BATCH);
                left -= size;
                batches.push(prepare(&self.store.context, &self.specimen, size)?);
            }
            barrier.wait().await;
            let started = Instant::now();
            for step in batches.into_iter().flatten() {
                if result.is_ok() {
                    result = step.write(&self.store).await;
                }
            }
            // Who has failed still comes to the barrier, where the others wait.
            barrier.wait().await;
            took += started.elapsed();
        }
        result.map(|()| took).map_err(CommitError::from)
    }
}

impl Step<'_> {
    async fn write(self, store: &Store) -> Result<(), StoreError> {
        let mut tx = store.begin().await?;
        idempotency::claim(&mut tx, &self.changes).await?;
        self.work.write(&mut tx).await?;
        tx.commit().await
    }
}

/// Works out what the three commits of these charges write: acceptance, intent, result.
fn prepare<'a>(
    context: &'a Context,
    specimen: &Specimen,
    count: usize,
) -> Result<[Step<'a>; 3], CommitError> {
    let accepted = accept(context, specimen, count)?;
    let jobs: Vec<JobId> = accepted.work.jobs.inserted().collect();
    let leases = jobs.iter().map(|job| Lease { job: *job, owner: "floor".to_owned(), epoch: 1 });
    let payments = accepted.changes.iter().filter_map(|change| match &change.subject {
        Subject::Create(create) => Some(create.payment.id),
        Subject::Event(..)
        | Subject::Wish(_)
        | Subject::Job(_)
        | Subject::Refund(_)
        | Subject::RefundEvent(..)
        | Subject::Fact(..)
        | Subject::Note => None,
    });
    let copies: Vec<_> =
        payments.zip(leases).map(|(id, lease)| Copy::of(context, specimen, id, lease)).collect();

    let mut begun = accepted.then(copies.iter().map(|copy| copy.begin(context)).collect());
    begun.take()?;
    let mut ended = begun.then(copies.iter().map(|copy| copy.end(context)).collect());
    ended.take()?;
    Ok([accepted, begun, ended])
}

fn accept<'a>(context: &'a Context, specimen: &Specimen, count: usize) -> Result<Step<'a>, CommitError> {
    let mut accepted = Step::of(context, (0..count).map(|_| create(context, specimen)).collect());
    accepted.take()?;
    Ok(accepted)
}

impl<'a> Step<'a> {
    fn of(context: &'a Context, changes: Vec<Change>) -> Self {
        Self { changes, work: Work::new(context) }
    }

    /// The next commit, which finds the payments as this one leaves them.
    fn then(&self, changes: Vec<Change>) -> Self {
        let mut next = Self::of(self.work.context, changes);
        next.work.held.clone_from(&self.work.held);
        next.work.held_by.clone_from(&self.work.held_by);
        let leases = next.changes.iter().filter_map(|change| change.job.as_ref());
        next.work.locked.leases = leases.map(|(lease, _)| (lease.job, lease.clone())).collect();
        next
    }

    fn take(&mut self) -> Result<(), CommitError> {
        self.changes.iter().try_for_each(|change| self.work.take(change, &Beside::default()).map(drop))
    }
}

/// A copy of the specimen: its own ids, the same facts.
struct Copy {
    payment: PaymentId,
    lease: Lease,
    exchange: Exchange,
    closing: Option<Closing>,
    answer: Answer,
}

fn change(context: &Context, actor: &'static str, subject: Subject) -> Change {
    let id = ChangeId::mint(context.clock.now(true), context.clock.random());
    Change { id, actor: actor.into(), subject, exchanges: Vec::new(), job: None }
}

fn create(context: &Context, specimen: &Specimen) -> Change {
    let now = context.clock.now(specimen.payment.livemode);
    let payment = Payment {
        id: PaymentId::mint(now, context.clock.random()),
        status: Status::Pending,
        version: 1,
        operation: None,
        attempt: None,
        created_at: now,
        updated_at: now,
        ..specimen.payment.clone()
    };
    let fingerprint = hex::encode([0_u8; 32]);
    let key = Key { scope: "payment.create".to_owned(), key: payment.id.to_string(), fingerprint };
    let create =
        Create { payment, key: Some(key), twin_since: None, priority: Priority::Bulk, traceparent: None };
    change(context, "api", Subject::Create(Box::new(create)))
}

impl Copy {
    fn of(context: &Context, specimen: &Specimen, payment: PaymentId, lease: Lease) -> Self {
        let now = context.clock.now(specimen.payment.livemode);
        let id = ExchangeId::mint(now, context.clock.random());
        let number = hex::encode(context.clock.random());
        let closing = specimen.exchange.closed.clone();
        let closing = closing.map(|closing| Closing { id, payment, at: now, ..closing });
        let exchange = Exchange { id, payment, opened_at: now, closed: None, ..specimen.exchange.clone() };
        let answer = Answer {
            operation: Some(format!("pi_{number}")),
            charge: Some(format!("ch_{number}")),
            amount: Some(specimen.payment.money),
            outcome: Outcome::Succeeded,
        };
        Self { payment, lease, exchange, closing, answer }
    }

    fn begin(&self, context: &Context) -> Change {
        let id = AttemptId::mint(self.exchange.opened_at, context.clock.random());
        let due = Event::Due { attempt: 1, id };
        let mut change = change(context, "worker", Subject::Event(self.payment, due));
        change.exchanges.push(ExchangeWrite::Open(self.exchange.clone()));
        change.job = Some((self.lease.clone(), JobEnd::Keep));
        change
    }

    fn end(&self, context: &Context) -> Change {
        let answered = Event::Answered { attempt: 1, answer: self.answer.clone() };
        let mut change = change(context, "worker", Subject::Event(self.payment, answered));
        change.exchanges.extend(self.closing.clone().map(ExchangeWrite::Close));
        change.job = Some((self.lease.clone(), JobEnd::Done));
        change
    }
}

//! One batch of changes in one transaction: load, apply in memory, write in bulk (S5.12).
//!
//! The order of locks is always keys, payments, jobs, payment methods, each sorted by id, so that two batches cannot deadlock.

pub(super) mod floor;
mod learning;
mod leases;
mod operating;
mod refunding;

use super::{
    Owner, StoreError, Tx,
    change::{Change, CommitError, Committed, Create, ExchangeWrite, Priority, Subject},
    disputes::{self, DisputeRow, WarningRow},
    events::EventRow,
    exchanges,
    history::{HistoryRow, Mark},
    idempotency,
    jobs::{self, JobRow, JobWrites, Wanted},
    methods, payments,
    recent::{Recent, Revision, Stored},
    refunds, trail,
    twins::OtherNames,
};
use crate::{
    domain::{
        attempt::Attempt,
        clock::Clock,
        payment::{Effect, Event, Payment, Plan, Start, Status, Step},
        refund::Refund,
        trail::Deed,
    },
    failpoint::{Failpoints, Point},
};
use dunlin_jobs::{EventId, JobId, MethodId, PaymentId, RefundId, TenantId};
use leases::Locked;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::atomic::{AtomicU64, Ordering},
};

/// What a batch needs besides its changes.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) clock: Clock,
    pub(super) plan: Plan,
    pub(super) failpoints: Failpoints,
    /// How often a state met an event that no right program brings to it (S1.23).
    pub(super) alarms: AtomicU64,
}

/// The answer to each change, in order; and what the transaction holds for the world after it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) answers: Vec<Result<Committed, CommitError>>,
    /// What stands in the history if this batch took effect, which tells for all of it.
    pub(super) mark: Option<Mark>,
    pub(super) enqueued: bool,
    /// The payments as the commit leaves them.
    pub(super) written: Vec<Stored>,
}

/// Applies and writes all changes in `tx`, which the caller commits.
pub(super) async fn run(
    tx: &mut Tx,
    changes: &[Change],
    context: &Context,
    recent: &Recent,
) -> Result<Outcome, StoreError> {
    let keys = idempotency::claim(tx, changes).await?;
    context.failpoints.pass(Point::Keyed).await?;
    let wanted: BTreeSet<_> = changes
        .iter()
        .filter_map(|change| match &change.subject {
            Subject::Event(payment, _) | Subject::RefundEvent(payment, ..) | Subject::Fact(payment, _) => {
                Some(*payment)
            }
            Subject::Refund(create) => Some(create.payment),
            Subject::Wish(wish) => Some(wish.payment),
            Subject::Job(wish) => Some(wish.payment),
            Subject::Create(_) | Subject::Note => None,
        })
        .chain(keys.values().filter_map(idempotency::Claim::existing).map(|made| made.payment))
        .collect();
    let in_hand = changes.iter().filter_map(|change| change.job.as_ref()).map(|(lease, _)| lease.job);
    let wanted_jobs = operating::wanted_jobs(changes);

    let mut work = Work::new(context);
    work.hold(payments::lock(tx, &wanted, recent).await?);
    // All of them at once: two statements would lock in two orders.
    let locked = leases::lock(tx, &in_hand.chain(wanted_jobs.iter().copied()).collect()).await?;
    work = Work {
        refunds: all_refunds(tx, changes, &keys).await?,
        locked,
        wanted: jobs::load(tx, &wanted_jobs).await?,
        attached: methods::lock(tx, &wanted_methods(changes, &work.held)).await?,
        ..work
    };
    context.failpoints.pass(Point::Locked).await?;
    work.names = OtherNames::of(tx, changes).await?;
    work.names.serialize_customers(tx, changes).await?;
    let mut answers = Vec::with_capacity(changes.len());
    for (index, change) in changes.iter().enumerate() {
        let beside = work.look_beside(tx, change, keys.get(&index)).await?;
        let won = |index: usize| keys.get(&index) == Some(&idempotency::Claim::Won);
        let is_refused = |(earlier, answer): (usize, &Result<_, _>)| {
            answer.is_err() && won(earlier) && idempotency::is_one_key(&changes[earlier], change)
        };
        let answer = match &change.subject {
            Subject::Wish(wish) if answers.iter().enumerate().any(is_refused) => {
                Err(work.refuse_again(wish, &beside))
            }
            Subject::Wish(_)
            | Subject::Create(_)
            | Subject::Event(..)
            | Subject::Job(_)
            | Subject::Refund(_)
            | Subject::RefundEvent(..)
            | Subject::Fact(..)
            | Subject::Note => work.take(change, &beside),
        };
        answers.push(answer);
    }
    let won = |index: &usize| keys.get(index) == Some(&idempotency::Claim::Won);
    let refused = answers.iter().enumerate().filter(|(index, answer)| answer.is_err() && won(index));
    let refused: Vec<_> = refused.map(|(index, _)| &changes[index]).collect();
    idempotency::release(tx, &refused).await?;
    let (mark, enqueued) = (work.history.first().map(HistoryRow::mark), work.jobs.enqueues());
    let written = work.write(tx).await?;
    Ok(Outcome { answers, mark, enqueued, written })
}

/// The refunds that the changes are about, and all those of payments of which facts are told.
async fn all_refunds(
    tx: &mut Tx,
    changes: &[Change],
    keys: &HashMap<usize, idempotency::Claim>,
) -> Result<HashMap<RefundId, Refund>, StoreError> {
    let mut refunds = refunds::load(tx, &refunding::wanted_refunds(changes, keys)).await?;
    let others = refunds::load_of(tx, &learning::wanted_payments(changes)).await?;
    refunds.extend(others.into_iter().map(|refund| (refund.id, refund)));
    Ok(refunds)
}

/// The methods by which attempts are to begin.
fn wanted_methods(changes: &[Change], held: &HashMap<PaymentId, Payment>) -> BTreeSet<MethodId> {
    let beginning = changes.iter().filter_map(|change| match &change.subject {
        Subject::Event(payment, Event::Due { .. }) => held.get(payment),
        Subject::Create(_)
        | Subject::Event(..)
        | Subject::Wish(_)
        | Subject::Refund(_)
        | Subject::RefundEvent(..)
        | Subject::Fact(..)
        | Subject::Job(_)
        | Subject::Note => None,
    });
    beginning.filter_map(|payment| payment.method_id).collect()
}

/// A batch in memory: what was read, and what is to be written.
struct Work<'a> {
    context: &'a Context,
    held: HashMap<PaymentId, Payment>,
    /// The change that left each of them so.
    held_by: HashMap<PaymentId, String>,
    refunds: HashMap<RefundId, Refund>,
    locked: Locked,
    /// Jobs that people want something of.
    wanted: HashMap<JobId, Wanted>,
    /// By which other names customers may have been charged a moment ago.
    names: OtherNames,
    /// Those of the wanted methods that can be charged.
    attached: BTreeSet<MethodId>,
    /// Payments to write, with the revision that the table holds; none for new ones.
    written: BTreeMap<PaymentId, Option<Revision>>,
    /// Those of them of which more has changed than what nearly all changes touch.
    amended: BTreeSet<PaymentId>,
    /// What people did, by tenant and environment.
    deeds: BTreeMap<(TenantId, bool), Vec<Deed>>,
    refunds_written: BTreeMap<RefundId, Option<u32>>,
    /// By the gateway's id.
    disputes: BTreeMap<String, DisputeRow>,
    warnings: Vec<WarningRow>,
    attempts: BTreeMap<(PaymentId, u32), Attempt>,
    history: Vec<HistoryRow>,
    events: Vec<EventRow>,
    exchanges: Vec<ExchangeWrite>,
    jobs: JobWrites,
}

/// Whether something may begin at an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum AccountNow {
    #[default]
    Charged,
    OnHold,
}

/// What had to be looked up for one change.
#[derive(Default)]
struct Beside {
    key: Option<idempotency::Claim>,
    /// An alike payment, where the caller wants to be warned of one.
    twin: Option<PaymentId>,
    /// All attempts of a payment for which a success is told that none of them may have.
    attempts: Vec<Attempt>,
    /// The charge that a person names is another attempt's.
    charge_taken: bool,
    /// A worker is at the payment on which a person has the last word.
    in_hand: bool,
    /// The warning of fraud is on record.
    is_warned: bool,
    /// Whether something may begin at its account.
    account: AccountNow,
}

impl<'a> Work<'a> {
    fn new(context: &'a Context) -> Self {
        Self {
            context,
            held: HashMap::new(),
            held_by: HashMap::new(),
            refunds: HashMap::new(),
            locked: Locked::default(),
            wanted: HashMap::new(),
            names: OtherNames::default(),
            attached: BTreeSet::new(),
            written: BTreeMap::new(),
            amended: BTreeSet::new(),
            deeds: BTreeMap::new(),
            refunds_written: BTreeMap::new(),
            disputes: BTreeMap::new(),
            warnings: Vec::new(),
            attempts: BTreeMap::new(),
            history: Vec::new(),
            events: Vec::new(),
            exchanges: Vec::new(),
            jobs: JobWrites::default(),
        }
    }
}

impl Work<'_> {
    fn hold(&mut self, payments: HashMap<PaymentId, Stored>) {
        for (id, Stored { payment, change }) in payments {
            self.held.insert(id, payment);
            self.held_by.insert(id, change);
        }
    }

    async fn look_beside(
        &self,
        tx: &mut Tx,
        change: &Change,
        key: Option<&idempotency::Claim>,
    ) -> Result<Beside, StoreError> {
        let key = key.copied();
        match &change.subject {
            Subject::Create(create) => {
                let twin = self.names.find(tx, create).await?.or_else(|| self.find_twin(create));
                Ok(Beside { key, twin, ..Beside::default() })
            }
            Subject::Event(id, Event::Due { .. } | Event::Send { .. }) => {
                Ok(Beside { account: self.look_at_account(tx, change, *id).await?, ..Beside::default() })
            }
            Subject::Event(id, event)
                if self.held.get(id).is_some_and(|held| held.is_paid_anew_by(event)) =>
            {
                let mut attempts = payments::load_attempts(tx, *id).await?;
                let written = self.attempts.iter().filter(|((payment, _), _)| payment == id);
                attempts.extend(written.map(|(_, attempt)| attempt.clone()));
                Ok(Beside { attempts, ..Beside::default() })
            }
            Subject::Wish(wish) => Ok(Beside { key, ..self.look_beside_word(tx, wish).await? }),
            Subject::Refund(_) => Ok(Beside { key, ..Beside::default() }),
            Subject::Fact(id, fact) => self.look_beside_fact(tx, *id, fact).await,
            Subject::Event(..) | Subject::Job(_) | Subject::RefundEvent(..) | Subject::Note => {
                Ok(Beside::default())
            }
        }
    }

    /// An alike payment in this very batch: two clicks are often in one.
    fn find_twin(&self, create: &Create) -> Option<PaymentId> {
        let (payment, since) = (&create.payment, create.twin_since?);
        payment.customer.as_ref()?;
        let alike = |other: &&Payment| {
            (other.tenant, other.livemode, other.money) == (payment.tenant, payment.livemode, payment.money)
                && self.names.is_of(create, other.customer.as_ref())
                && other.reference == payment.reference
                && other.created_at >= since
                && !matches!(other.status, Status::Failed | Status::Canceled)
        };
        let new = self.written.iter().filter(|(_, base)| base.is_none()).map(|(id, _)| &self.held[id]);
        new.filter(alike).map(|twin| twin.id).next_back()
    }

    fn take(&mut self, change: &Change, beside: &Beside) -> Result<Committed, CommitError> {
        let Beside { key, twin, .. } = *beside;
        if self.begins_too_late(change) {
            return Err(CommitError::LeaseLost);
        }
        match (&change.subject, key) {
            (Subject::Create(_) | Subject::Wish(_), Some(idempotency::Claim::Replayed(first))) => {
                self.replay(first.payment, twin)
            }
            (
                Subject::Create(_) | Subject::Refund(_) | Subject::Wish(_),
                Some(idempotency::Claim::Reused(first)),
            ) => Err(CommitError::KeyReused { first: first.payment }),
            (Subject::Refund(create), Some(idempotency::Claim::Replayed(first))) => {
                self.replay_refund(create, first)
            }
            (Subject::Refund(create), Some(idempotency::Claim::Won) | None) => self.refund(change, create),
            (Subject::RefundEvent(payment, refund, event), _) => {
                self.happen_to_refund(change, *payment, *refund, event)
            }
            (Subject::Create(create), Some(idempotency::Claim::Won) | None) => match twin {
                Some(first) => Err(CommitError::Twin { first }),
                None => Ok(self.create(change, create)),
            },
            (Subject::Event(payment, event), _) => self.happen(change, *payment, event, beside),
            (Subject::Fact(payment, fact), _) => self.learn(change, *payment, fact, beside),
            (Subject::Wish(wish), Some(idempotency::Claim::Won) | None) => {
                self.happen(change, wish.payment, &wish.event, beside)
            }
            (Subject::Job(wish), _) => self.operate(change, wish),
            (Subject::Note, _) => {
                self.end_job(change, true, false)?;
                self.exchanges.extend(change.exchanges.iter().cloned());
                Ok(Committed { payment: None, refund: None, fresh: true })
            }
        }
    }

    fn replay(&self, first: PaymentId, twin: Option<PaymentId>) -> Result<Committed, CommitError> {
        match (self.held.get(&first).cloned(), twin) {
            (Some(payment), _) => Ok(Committed { payment: Some(payment), refund: None, fresh: false }),
            // The same was refused a moment ago, in this batch.
            (None, Some(first)) => Err(CommitError::Twin { first }),
            (None, None) => Err(CommitError::NotFound),
        }
    }

    fn create(&mut self, change: &Change, create: &Create) -> Committed {
        let payment = &create.payment;
        self.history.push(HistoryRow::created(change, payment));
        self.emit(payment, crate::domain::event::EventType::Created, None);
        let work = dunlin_jobs::Job::Charge(dunlin_jobs::Charge { payment: payment.id });
        // What somebody has to ask for has no job until they do.
        if let Some(due) = payment.start.due(payment.created_at) {
            let job = JobRow::new(&self.context.clock, payment.livemode, &work, due)
                .with_priority(if payment.start == Start::Now { create.priority } else { Priority::Bulk })
                .with_traceparent(create.traceparent.clone())
                .with_account(&payment.account);
            self.jobs.insert(job);
        }
        self.written.insert(payment.id, None);
        self.held.insert(payment.id, payment.clone());
        self.held_by.insert(payment.id, change.id.to_string());
        Committed { payment: Some(payment.clone()), refund: None, fresh: true }
    }

    fn happen(
        &mut self,
        change: &Change,
        id: PaymentId,
        event: &Event,
        beside: &Beside,
    ) -> Result<Committed, CommitError> {
        let before = self.held.get(&id).cloned().ok_or(CommitError::NotFound)?;
        let needs_lease = event.needs_lease() && change.job.is_some();
        if needs_lease && !self.holds_lease(change) {
            return Err(CommitError::LeaseLost);
        }
        self.check(&before, event, beside)?;
        let now = self.context.clock.now(before.livemode);
        let step = before.apply(event.clone(), &self.context.plan, now);
        if let Err(refused) = &step
            && refused.is_impossible
        {
            self.context.alarms.fetch_add(1, Ordering::Relaxed);
            tracing::error!(payment.id = %id, "{refused}, which cannot be: tell whoever makes dunlin");
        }
        let step = step?.and_then(|step| step.beside(&before, &beside.attempts));
        self.exchanges.extend(change.exchanges.iter().cloned());
        let Some(step) = step else {
            self.end_job(change, false, before.is_asked_after())?;
            return Ok(Committed { payment: Some(before), refund: None, fresh: false });
        };
        self.end_job(change, false, step.payment.is_asked_after())?;
        let payment = step.payment.clone();
        self.record(change, event, &before, step);
        Ok(Committed { payment: Some(payment), refund: None, fresh: true })
    }

    fn record(&mut self, change: &Change, event: &Event, before: &Payment, step: Step) {
        let Step { payment, duplicate, refund, effects, detail } = step;
        let real_time = self.context.clock.now(true);
        if let Some(deed) = Deed::to_payment(change, event, [before, &payment], &detail, real_time) {
            self.deeds.entry((payment.tenant, payment.livemode)).or_default().push(deed);
        }
        self.history.push(HistoryRow::new(change, event.kind(), before, &payment, detail));
        for attempt in payment.attempt.iter().chain(duplicate.iter()) {
            self.attempts.insert((payment.id, attempt.n), attempt.clone());
        }
        for effect in effects {
            match effect {
                Effect::Enqueue(job, at) => {
                    let row = JobRow::new(&self.context.clock, payment.livemode, &job, at);
                    self.jobs.insert(row.with_account(&payment.account));
                }
                Effect::Hasten(job, at) => {
                    let row = JobRow::new(&self.context.clock, payment.livemode, &job, at);
                    self.jobs.hasten(row.with_account(&payment.account));
                }
                Effect::Emit(kind) => self.emit(&payment, kind, Some(before.status.name())),
            }
        }
        if let Some(refund) = refund {
            self.take_in(refund);
        }
        self.write_payment(change, before.version, payment);
    }

    fn write_payment(&mut self, change: &Change, version: u32, payment: Payment) {
        if self.held.get(&payment.id).is_some_and(|before| payments::is_amended(before, &payment)) {
            self.amended.insert(payment.id);
        }
        let by = self.held_by.insert(payment.id, change.id.to_string()).unwrap_or_default();
        self.written.entry(payment.id).or_insert(Some(Revision { version, change: by }));
        self.held.insert(payment.id, payment);
    }

    fn emit(
        &mut self,
        payment: &Payment,
        kind: crate::domain::event::EventType,
        previous: Option<&'static str>,
    ) {
        let id = EventId::mint(payment.updated_at, self.context.clock.random());
        self.events.push(EventRow::new(id, payment, kind, previous));
    }

    async fn write(mut self, tx: &mut Tx) -> Result<Vec<Stored>, StoreError> {
        let (mut new, mut changed) = (Vec::new(), Vec::new());
        for (id, base) in &self.written {
            let (payment, change) = (&self.held[id], self.held_by[id].as_str());
            match base {
                None => new.push((payment, change)),
                Some(base) => changed.push(payments::Update { payment, change, base }),
            }
        }
        payments::insert(tx, &new).await?;
        payments::update(tx, &changed).await?;
        let amended: Vec<_> = self.amended.iter().map(|id| &self.held[id]).collect();
        payments::amend(tx, &amended).await?;
        let attempts: Vec<_> =
            self.attempts.iter().map(|((id, _), attempt)| (&self.held[id], attempt)).collect();
        payments::save_attempts(tx, &attempts).await?;
        let written: Vec<_> =
            self.refunds_written.iter().map(|(id, base)| (&self.refunds[id], *base)).collect();
        refunds::write(tx, &written).await?;
        disputes::save(tx, &self.disputes.values().collect::<Vec<_>>()).await?;
        disputes::warn(tx, &self.warnings).await?;
        exchanges::write(tx, &self.exchanges).await?;
        self.context.failpoints.pass(Point::HalfWritten).await?;
        super::history::insert(tx, &self.history).await?;
        self.jobs.write(tx).await?;
        super::events::insert(tx, &self.events).await?;
        for ((tenant, livemode), deeds) in std::mem::take(&mut self.deeds) {
            trail::append(tx, Owner { tenant, livemode }, deeds).await?;
        }
        let stored = self.written.keys().filter_map(|id| {
            Some(Stored { payment: self.held.remove(id)?, change: self.held_by.remove(id)? })
        });
        Ok(stored.collect())
    }
}

impl Priority {
    pub(super) fn number(self) -> i64 {
        match self {
            Self::Interactive => 0,
            Self::Bulk => 1,
        }
    }
}

//! Refunds in a batch: each changes its payment too, whose lock and version guard how much can go back.

use super::{
    Work,
    idempotency::{self, Made},
};
use crate::{
    domain::{
        event::EventType,
        payment::Payment,
        refund::{Event, Refund},
    },
    store::{
        change::{Change, CommitError, Committed, RefundCreate, Subject},
        events::EventRow,
        history::HistoryRow,
        jobs::JobRow,
    },
};
use dunlin_jobs::{EventId, Job, PaymentId, RefundId};
use std::{
    collections::{BTreeSet, HashMap},
    sync::atomic::Ordering,
};

/// The refunds that a batch is about.
pub(super) fn wanted_refunds(
    changes: &[Change],
    keys: &HashMap<usize, idempotency::Claim>,
) -> BTreeSet<RefundId> {
    let replayed = keys.values().filter_map(|claim| claim.existing()?.refund);
    let told = changes.iter().filter_map(|change| match &change.subject {
        Subject::RefundEvent(_, refund, _) => Some(*refund),
        Subject::Create(_)
        | Subject::Event(..)
        | Subject::Wish(_)
        | Subject::Job(_)
        | Subject::Refund(_)
        | Subject::Fact(..)
        | Subject::Note => None,
    });
    replayed.chain(told).collect()
}

impl Work<'_> {
    /// Makes the refund that is asked for, if there is that much to go back.
    pub(super) fn refund(
        &mut self,
        change: &Change,
        create: &RefundCreate,
    ) -> Result<Committed, CommitError> {
        if let Some(failed) = create.retry_of {
            return self.retry_refund(change, create, failed);
        }
        let before = self.owned(create)?;
        let now = self.context.clock.now(before.livemode);
        let refund = before.refund(create.order.clone(), now)?;
        let payment = before.beside_refund(None, &refund, now);
        let detail = format!("a refund of {} is asked for", refund.money);
        self.history.push(HistoryRow::of_refund(change, "refund_created", &payment, &refund, detail));
        self.take_in(refund.clone());
        self.write_payment(change, before.version, payment.clone());
        Ok(Committed { payment: Some(payment), refund: Some(refund), fresh: true })
    }

    /// What was made under the key before. Where that was refused in this very batch, so is this.
    pub(super) fn replay_refund(&self, create: &RefundCreate, first: Made) -> Result<Committed, CommitError> {
        let payment = self.owned(create)?;
        if let Some(refund) = first.refund.and_then(|id| self.refunds.get(&id)).cloned() {
            return Ok(Committed { payment: Some(payment), refund: Some(refund), fresh: false });
        }
        if create.retry_of.is_none() {
            payment.refund(create.order.clone(), payment.updated_at)?;
        }
        Err(CommitError::Busy)
    }

    /// A new refund with the job that carries it out, where there is anything to carry out.
    pub(super) fn take_in(&mut self, refund: Refund) {
        if !refund.status.is_final() {
            let job = Job::Refund(dunlin_jobs::Refund { payment: refund.payment, refund: refund.id });
            let row = JobRow::new(&self.context.clock, refund.livemode, &job, refund.created_at);
            self.jobs.insert(row.with_account(&refund.account));
        }
        self.emit_refund(&refund, EventType::RefundCreated);
        self.refunds_written.insert(refund.id, None);
        self.refunds.insert(refund.id, refund);
    }

    pub(super) fn happen_to_refund(
        &mut self,
        change: &Change,
        payment: PaymentId,
        id: RefundId,
        event: &Event,
    ) -> Result<Committed, CommitError> {
        let before = self.refunds.get(&id).filter(|refund| refund.payment == payment).cloned();
        let before = before.ok_or(CommitError::NotFound)?;
        let held = self.held.get(&payment).cloned().ok_or(CommitError::NotFound)?;
        let needs_lease = event.needs_lease() && change.job.is_some();
        if needs_lease && !self.holds_lease(change) {
            return Err(CommitError::LeaseLost);
        }
        let now = self.context.clock.now(before.livemode);
        let step = before.apply(event.clone(), now);
        if let Err(refused) = &step
            && refused.is_impossible
        {
            self.context.alarms.fetch_add(1, Ordering::Relaxed);
            tracing::error!(refund.id = %id, "{refused}, which cannot be: tell whoever makes dunlin");
        }
        let step = step?;
        self.exchanges.extend(change.exchanges.iter().cloned());
        let Some(step) = step else {
            self.end_job(change, false, !before.status.is_final())?;
            return Ok(Committed { payment: Some(held), refund: Some(before), fresh: false });
        };
        self.end_job(change, false, !step.refund.status.is_final())?;
        let after = held.beside_refund(Some(&before), &step.refund, now);
        let cause = event.kind().name();
        self.history.push(HistoryRow::of_refund(change, cause, &after, &step.refund, step.detail));
        for kind in step.events {
            self.emit_refund(&step.refund, kind);
        }
        self.refunds_written.entry(id).or_insert(Some(before.version));
        self.refunds.insert(id, step.refund.clone());
        self.write_payment(change, held.version, after.clone());
        Ok(Committed { payment: Some(after), refund: Some(step.refund), fresh: true })
    }

    /// The payment, if it is the asker's.
    pub(super) fn owned(&self, create: &RefundCreate) -> Result<Payment, CommitError> {
        let payment = self.held.get(&create.payment);
        let owned = payment.filter(|it| (it.tenant, it.livemode) == (create.tenant, create.livemode));
        owned.cloned().ok_or(CommitError::NotFound)
    }

    pub(super) fn emit_refund(&mut self, refund: &Refund, kind: EventType) {
        let id = EventId::mint(refund.updated_at, self.context.clock.random());
        self.events.push(EventRow::of_refund(id, refund, kind));
    }
}

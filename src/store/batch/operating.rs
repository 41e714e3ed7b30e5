//! What people do, in a batch: they move jobs, and say what became of a payment. Each is looked at under the locks, for
//! a worker may be at it.

use super::{AccountNow, Beside, Work};
use crate::{
    domain::payment::{Event, NotRetriable, Payment, Status, Word},
    store::{
        StoreError, Tx,
        change::{Change, CommitError, Committed, JobAct, JobWish, Subject, Wish},
        holds, jobs, payments,
    },
};
use dunlin_jobs::{JobId, PaymentId};
use std::collections::BTreeSet;

/// The jobs that people want something of.
pub(super) fn wanted_jobs(changes: &[Change]) -> BTreeSet<JobId> {
    let wanted = changes.iter().filter_map(|change| match &change.subject {
        Subject::Job(wish) => Some(wish.job),
        Subject::Create(_)
        | Subject::Event(..)
        | Subject::Wish(_)
        | Subject::Refund(_)
        | Subject::RefundEvent(..)
        | Subject::Fact(..)
        | Subject::Note => None,
    });
    wanted.collect()
}

impl Work<'_> {
    /// What has to be known beside a person's word on an outcome.
    pub(super) async fn look_beside_word(&self, tx: &mut Tx, wish: &Wish) -> Result<Beside, StoreError> {
        let Some(payment) = self.held.get(&wish.payment) else { return Ok(Beside::default()) };
        // What is being canceled at the gateway is no operation for another attempt (S1.17).
        if let Event::Retry { .. } = &wish.event
            && payment.operation.is_some()
            && matches!(payment.status, Status::Failed | Status::RequiresAction)
        {
            let attempt = payment.attempt.as_ref().map_or(0, |attempt| attempt.n);
            let in_hand = jobs::is_being_withdrawn(tx, payment.id, attempt).await?;
            return Ok(Beside { in_hand, ..Beside::default() });
        }
        let Event::Resolve { word, .. } = &wish.event else { return Ok(Beside::default()) };
        match word {
            Word::Succeeded { charge, operation, .. } => {
                let found = payments::find_charge(tx, &payment.account, charge).await?;
                let own = payment.attempt.as_ref().map(|attempt| (payment.id, attempt.n));
                let charge_taken = found.is_some() && found != own;
                // Beside a charge that was made by hand, the same bytes must not leave once more.
                let in_hand = operation.is_none() && jobs::is_in_hand(tx, payment.id).await?;
                Ok(Beside { charge_taken, in_hand, ..Beside::default() })
            }
            // Whoever sends the same bytes again, or asks, may learn better in a moment.
            Word::Approve { .. } => {
                Ok(Beside { in_hand: jobs::is_in_hand(tx, payment.id).await?, ..Beside::default() })
            }
            Word::Propose { .. } => Ok(Beside::default()),
        }
    }

    /// Whether something may begin at the payment's account; while work on it resumes this takes one of its places.
    pub(super) async fn look_at_account(
        &self,
        tx: &mut Tx,
        change: &Change,
        payment: PaymentId,
    ) -> Result<AccountNow, StoreError> {
        let hold = change.job.as_ref().and_then(|(lease, _)| self.locked.on_hold.get(&lease.job));
        match (hold, self.held.get(&payment)) {
            (Some(1..), Some(payment)) if holds::begin(tx, &payment.account).await? => {
                Ok(AccountNow::Charged)
            }
            (Some(_), _) => Ok(AccountNow::OnHold),
            (None, _) => Ok(AccountNow::Charged),
        }
    }

    /// Whether what a person wants makes sense, with the reason where it does not.
    pub(super) fn check(&self, before: &Payment, event: &Event, beside: &Beside) -> Result<(), CommitError> {
        if let Event::Retry { .. } = event {
            let now = self.context.clock.now(before.livemode);
            before.retriable(&self.context.plan.declines, now)?;
        }
        if let Event::Edit(edit) = event {
            before.editable(edit)?;
        }
        // The last look (S1.16).
        if beside.account == AccountNow::OnHold {
            return Err(CommitError::OnHold);
        }
        let is_gone = |method| !self.attached.contains(&method);
        if matches!(event, Event::Due { .. }) && before.method_id.is_some_and(is_gone) {
            return Err(CommitError::MethodDetached);
        }
        before.resolvable(event)?;
        if beside.charge_taken {
            return Err(CommitError::ChargeTaken);
        }
        if beside.in_hand { Err(CommitError::InHand) } else { Ok(()) }
    }

    /// The same was refused a moment ago, in this batch, and its key is free again: nothing happens under it now.
    pub(super) fn refuse_again(&self, wish: &Wish, beside: &Beside) -> CommitError {
        let refuse = || -> Result<(), CommitError> {
            let before = self.held.get(&wish.payment).ok_or(CommitError::NotFound)?;
            self.check(before, &wish.event, beside)?;
            before.apply(wish.event.clone(), &self.context.plan, before.updated_at)?;
            Ok(())
        };
        refuse().err().unwrap_or(CommitError::Busy)
    }

    pub(super) fn operate(&mut self, change: &Change, wish: &JobWish) -> Result<Committed, CommitError> {
        let JobWish { payment: id, job, act, reason } = wish.clone();
        let before = self.held.get(&id).cloned().ok_or(CommitError::NotFound)?;
        let wanted = self.wanted.get(&job).filter(|wanted| wanted.payment == id);
        let wanted = wanted.cloned().ok_or(CommitError::NotFound)?;
        let now = self.context.clock.now(before.livemode);
        let kind = wanted.kind.clone();
        let event = match (act, wanted.is_parked) {
            _ if wanted.is_leased => return Err(CommitError::InHand),
            (JobAct::Retry, true) => return Err(CommitError::Parked),
            (JobAct::Release, true) => Event::Release { job, kind, reason },
            // A time that was set for it is moved by who may do that, and one that a decline has set only as far as
            // its rules allow (S3.4).
            (JobAct::Retry, false) if begins(&kind) && before.is_early(now) => {
                if before.status == Status::Pending {
                    return Err(NotRetriable::Scheduled.into());
                }
                Event::Retry { reason }
            }
            (JobAct::Retry, false) if wanted.due_at > now => Event::Hurry { job, kind, reason },
            (JobAct::Retry | JobAct::Release, false) => {
                return Ok(Committed { payment: Some(before), refund: None, fresh: false });
            }
        };
        let committed = self.happen(change, id, &event, &Beside::default())?;
        self.jobs.wake(job, now);
        if let Some(wanted) = self.wanted.get_mut(&job) {
            (wanted.is_parked, wanted.due_at) = (false, now);
        }
        Ok(committed)
    }
}

/// Whether a job of the kind begins an attempt.
fn begins(kind: &str) -> bool {
    matches!(kind, "charge" | "retry")
}

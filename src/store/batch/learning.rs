//! What a gateway shows of money that others moved, in a batch: each fact changes its payment, under its lock (S1.20).

use super::{Beside, Work};
use crate::{
    domain::{
        dispute::{Dispute, FraudWarning, Told},
        event::EventType,
        payment::Payment,
        refund::{self, Cause, Meaning, Refund, RefundStatus, Seen},
    },
    store::{
        StoreError, Tx,
        change::{Change, CommitError, Committed, Fact, RefundCreate, Subject},
        disputes::{self, DisputeRow, WarningRow},
        events::EventRow,
        history::HistoryRow,
        payments,
    },
};
use dunlin_jobs::{EventId, PaymentId, RefundId};
use std::collections::BTreeSet;

/// The payments all of whose refunds have to be known.
pub(super) fn wanted_payments(changes: &[Change]) -> BTreeSet<PaymentId> {
    let wanted = changes.iter().filter_map(|change| match &change.subject {
        Subject::Fact(payment, _) => Some(*payment),
        Subject::Refund(create) => create.retry_of.map(|_| create.payment),
        Subject::Create(_)
        | Subject::Event(..)
        | Subject::Wish(_)
        | Subject::Job(_)
        | Subject::RefundEvent(..)
        | Subject::Note => None,
    });
    wanted.collect()
}

impl Work<'_> {
    /// What has to be known beside a fact.
    pub(super) async fn look_beside_fact(
        &self,
        tx: &mut Tx,
        id: PaymentId,
        fact: &Fact,
    ) -> Result<Beside, StoreError> {
        match (fact, self.held.get(&id)) {
            (Fact::Refund(_), _) => {
                let attempts = payments::load_attempts(tx, id).await?;
                Ok(Beside { attempts, ..Beside::default() })
            }
            (Fact::Warning(warning), Some(payment)) => {
                let is_warned = disputes::is_warned(tx, &payment.account, &warning.id).await?;
                Ok(Beside { is_warned, ..Beside::default() })
            }
            (Fact::Warning(_), None) | (Fact::Dispute(_), _) => Ok(Beside::default()),
        }
    }

    pub(super) fn learn(
        &mut self,
        change: &Change,
        id: PaymentId,
        fact: &Fact,
        beside: &Beside,
    ) -> Result<Committed, CommitError> {
        let before = self.held.get(&id).cloned().ok_or(CommitError::NotFound)?;
        match fact {
            Fact::Refund(seen) => self.see_refund(change, before, seen, beside),
            Fact::Dispute(seen) => Ok(self.see_dispute(change, before, seen)),
            Fact::Warning(_) if beside.is_warned => Ok(known(before)),
            Fact::Warning(warning) => Ok(self.see_warning(change, &before, warning)),
        }
    }

    fn see_refund(
        &mut self,
        change: &Change,
        before: Payment,
        seen: &Seen,
        beside: &Beside,
    ) -> Result<Committed, CommitError> {
        let second_of = match seen.meaning(&self.refunds_of(before.id)) {
            Meaning::Answers(id) => {
                let answered = refund::Event::Answered(seen.answer());
                return self.happen_to_refund(change, before.id, id, &answered);
            }
            Meaning::Past => return Ok(known(before)),
            Meaning::SecondOf(id) => Some(id),
            Meaning::Foreign => None,
        };
        let cause = before.cause_of_refund(&seen.charge, &beside.attempts);
        let money = seen.money.filter(|money| money.currency() == before.money.currency());
        let (Some(cause), Some(money)) = (cause, money) else { return Ok(known(before)) };
        let now = self.context.clock.now(before.livemode);
        let id = RefundId::mint(now, self.context.clock.random());
        let refund = before.refund_seen(id, (seen, money), cause, now);
        let payment = before.beside_refund(None, &refund, now);
        let detail = match second_of {
            Some(first) => format!("the gateway executed {first} again, as {}", seen.operation),
            None => format!("a refund of {money} was made at the gateway, as {}", seen.operation),
        };
        self.history.push(HistoryRow::of_refund(change, "refund_seen", &payment, &refund, detail));
        self.take_in(refund.clone());
        match refund.status {
            RefundStatus::Succeeded => self.emit_refund(&refund, EventType::RefundSucceeded),
            RefundStatus::Failed => self.emit_refund(&refund, EventType::RefundFailed),
            RefundStatus::Pending
            | RefundStatus::Sending
            | RefundStatus::Unknown
            | RefundStatus::Processing => {}
        }
        if second_of.is_some() {
            self.emit(&payment, EventType::DuplicateRefund, None);
        }
        self.write_payment(change, before.version, payment.clone());
        Ok(Committed { payment: Some(payment), refund: Some(refund), fresh: true })
    }

    fn see_dispute(&mut self, change: &Change, before: Payment, seen: &Dispute) -> Committed {
        let now = self.context.clock.now(before.livemode);
        let Some(step) = before.beside_dispute(seen, now) else { return known(before) };
        let payment = step.payment;
        self.history.push(HistoryRow::noted(change, "dispute_seen", &payment, step.detail));
        for kind in step.events {
            if kind == EventType::Disputed {
                self.emit(&payment, kind, None);
            } else {
                let id = EventId::mint(now, self.context.clock.random());
                let told = Told::of(&payment, seen);
                self.events.push(EventRow::about_payment(id, &payment, kind, told));
            }
        }
        self.disputes.insert(seen.id.clone(), DisputeRow::new(&payment, seen));
        self.write_payment(change, before.version, payment.clone());
        Committed { payment: Some(payment), refund: None, fresh: true }
    }

    fn see_warning(&mut self, change: &Change, before: &Payment, warning: &FraudWarning) -> Committed {
        let payment = before.noted(self.context.clock.now(before.livemode));
        let FraudWarning { id, charge, kind, .. } = warning;
        let detail = format!("the card's network warns of fraud ({kind}) in {charge}, as {id}");
        self.history.push(HistoryRow::noted(change, "fraud_warning", &payment, detail));
        self.emit(&payment, EventType::FraudWarning, None);
        self.warnings.push(WarningRow::new(&payment, warning));
        self.write_payment(change, before.version, payment.clone());
        Committed { payment: Some(payment), refund: None, fresh: true }
    }

    /// All refunds of a payment, first one first; they were read because a change wants them.
    fn refunds_of(&self, payment: PaymentId) -> Vec<Refund> {
        let mut known: Vec<_> =
            self.refunds.values().filter(|refund| refund.payment == payment).cloned().collect();
        known.sort_by_key(|refund| refund.id);
        known
    }

    /// Makes the refund that takes the place of a failed one.
    pub(super) fn retry_refund(
        &mut self,
        change: &Change,
        create: &RefundCreate,
        failed: RefundId,
    ) -> Result<Committed, CommitError> {
        let before = self.owned(create)?;
        let known = self.refunds_of(before.id);
        let failed = known.iter().find(|refund| refund.id == failed).cloned().ok_or(CommitError::NotFound)?;
        let now = self.context.clock.now(before.livemode);
        let refund = before.retry_refund(&failed, &known, create.order.clone(), now)?;
        let payment = before.beside_refund(None, &refund, now);
        let detail = format!("{} failed, and is tried again", failed.id);
        self.history.push(HistoryRow::of_refund(change, "refund_retried", &payment, &refund, detail));
        if failed.cause == Cause::Duplicate && failed.review_reason.is_some() {
            self.refunds_written.entry(failed.id).or_insert(Some(failed.version));
            self.refunds.insert(failed.id, failed.retried(now));
        }
        self.take_in(refund.clone());
        self.write_payment(change, before.version, payment.clone());
        Ok(Committed { payment: Some(payment), refund: Some(refund), fresh: true })
    }
}

/// Nothing is new.
fn known(payment: Payment) -> Committed {
    Committed { payment: Some(payment), refund: None, fresh: false }
}

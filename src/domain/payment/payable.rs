//! Payable: a gateway's operation that was declined can still be paid there, by whoever has its secret. What comes of
//! that, who asks, and when it is withdrawn (S1.21).

use super::{Effect, Event, Payment, Plan, Status, Step, next::Next};
use crate::domain::{
    attempt::{Answer, Attempt, AttemptStatus, Origin, Outcome},
    clock::Time,
    event::EventType,
    table::Phase,
};
use chrono::TimeDelta;
use dunlin_jobs::{AttemptId, Charge, Job, PaymentId, Reconcile, Retry, Withdraw};
use sha2::{Digest, Sha256};

/// How often is asked whether a customer has paid what only they can still pay.
pub const ASKED_EVERY: TimeDelta = TimeDelta::days(1);

impl Payment {
    /// Whether its customer may still pay what was declined, while nothing is tried by itself.
    pub fn is_payable(&self) -> bool {
        self.phase() == Phase::NeedsCustomer && self.operation.is_some()
    }

    /// Whether a question about its latest attempt has still something to find out.
    pub fn is_asked_after(&self) -> bool {
        self.open_attempt().is_some() || self.is_payable()
    }

    /// Until when what was declined may be paid, where only the customer can.
    pub fn payable_until(&self, payable: TimeDelta) -> Option<Time> {
        self.attempt.as_ref()?.first_sent_at.checked_add_signed(payable)
    }

    /// Whether the event tells of money that the payment's own operation has taken, and that no attempt of its could have:
    /// somebody paid what was declined. An attempt that was refused, and whose payment has failed by it, could have:
    /// those two contradict each other (S1.13).
    pub fn is_received_by(&self, event: &Event) -> bool {
        let Event::Answered { answer, .. } = event else { return false };
        let known = self.attempt.as_ref().and_then(|attempt| attempt.charge.as_ref());
        let is_declined =
            self.attempt.as_ref().is_some_and(|attempt| attempt.status == AttemptStatus::Declined);
        // Without an attempt there is none on record that it could be another one's: what was sent was forgotten here.
        let is_own = answer.operation == self.operation || self.attempt.is_none();
        answer.outcome == Outcome::Succeeded
            && answer.operation.is_some()
            && is_own
            && answer.charge.is_some()
            && answer.charge.as_ref() != known
            && answer.amount.is_none_or(|amount| amount == self.money)
            && (self.status != Status::Failed || is_declined)
    }

    /// The work that its new phase leaves: what is not tried any more must not stay payable for ever.
    pub(super) fn leftovers(&self, before: Phase, plan: &Plan, now: Time) -> Vec<Effect> {
        let (Some(attempt), Some(_)) = (&self.attempt, &self.operation) else { return Vec::new() };
        let (payment, attempt) = (self.id, attempt.n);
        let withdraw = |at| Effect::Enqueue(Job::Withdraw(Withdraw::own(payment, attempt)), at);
        match self.phase() {
            phase if phase == before => Vec::new(),
            Phase::Failed => vec![withdraw(now)],
            Phase::NeedsCustomer => {
                let question = Job::Reconcile(Reconcile { payment, attempt });
                let until = self.payable_until(plan.payable).unwrap_or(Time::MAX_UTC);
                vec![Effect::Enqueue(question, now + ASKED_EVERY), withdraw(until)]
            }
            // Where an attempt is still to come, it needs the operation (S1.17); a cancel says itself what it leaves.
            Phase::Pending
            | Phase::Open(_)
            | Phase::Review(_)
            | Phase::Disputed
            | Phase::Retrying
            | Phase::Succeeded
            | Phase::Canceled => Vec::new(),
        }
    }
}

impl Next<'_> {
    /// Somebody paid it at the gateway: an attempt of the gateway's, with the charge that it names.
    pub(super) fn received(mut self, answer: Answer) -> Step {
        let (payment, n, now) = (self.payment.id, self.payment.next_attempt(), self.now);
        let charge = answer.charge;
        let id = attempt_of(payment, charge.as_deref().unwrap_or_default(), now);
        let account = self.payment.account.clone();
        // What waits to try it again finds nothing to do, and should not stand there until its time.
        let waiting = match self.payment.status {
            Status::Retrying { .. } => Some(Job::Retry(Retry { payment, attempt: n })),
            Status::Pending => Some(Job::Charge(Charge { payment })),
            Status::Processing
            | Status::RequiresAction
            | Status::Succeeded
            | Status::Failed
            | Status::Canceled
            | Status::NeedsReview { .. } => None,
        };
        self.payment.operation = answer.operation;
        self.payment.attempt = Some(Attempt {
            id,
            n,
            account,
            origin: Origin::Gateway,
            status: AttemptStatus::Succeeded,
            first_sent_at: now,
            charge,
            action_url: None,
            decline: None,
        });
        self.payment.status = Status::Succeeded;
        self.payment.failure = None;
        let mut effects = vec![Effect::Emit(EventType::Succeeded)];
        effects.extend(waiting.map(|job| Effect::Hasten(job, now)));
        self.done("it was paid at the gateway, where it had stayed payable".to_owned(), effects)
    }

    /// The gateway has canceled what a declined attempt had left there: another attempt needs another operation (S1.17).
    pub(super) fn withdrawn(mut self) -> Step {
        self.payment.operation = None;
        self.stepped(
            "it cannot be paid at the gateway any more: its operation is canceled there".to_owned(),
            vec![],
        )
    }
}

/// An id made of the facts, since nothing here is random.
fn attempt_of(payment: PaymentId, charge: &str, now: Time) -> AttemptId {
    let digest = Sha256::digest(format!("{payment}:{charge}"));
    let mut random = [0; 10];
    random.copy_from_slice(&digest[..10]);
    AttemptId::mint(now, random)
}

impl Step {
    /// The step beside all attempts that are on record: a charge that another one has on record with another end was not
    /// paid by somebody else. The two contradict each other, which is told once.
    pub(super) fn unless_known(mut self, before: &Payment, known: &[Attempt]) -> Option<Self> {
        let paid = self.payment.attempt.as_ref().filter(|mine| mine.status == AttemptStatus::Succeeded);
        let is_other = |mine: &Attempt, one: &Attempt| one.n != mine.n && one.charge == mine.charge;
        let is_known = |mine: &Attempt| mine.charge.is_some() && known.iter().any(|one| is_other(mine, one));
        if !paid.is_some_and(is_known) {
            return Some(self);
        }
        if before.status.review_reason().is_some() {
            return None;
        }
        let reason = "the gateway reports a success of a charge that it had declined".to_owned();
        self.payment.attempt.clone_from(&before.attempt);
        self.payment.operation.clone_from(&before.operation);
        self.payment.status = Status::NeedsReview { reason: reason.clone() };
        self.effects = vec![Effect::Emit(EventType::NeedsReview)];
        self.detail = reason;
        Some(self)
    }
}

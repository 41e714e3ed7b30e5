//! The one way in which a refund changes: an event meets the table, and a step comes out of it.

use super::{
    Answer, Cause, Event, Outcome, Refund, RefundStatus, Share,
    table::{Kind, Verdict, verdict},
};
use crate::domain::{clock::Time, event::EventType, payment::Payment};

/// The refund after an event, and what has to be told in the same commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub refund: Refund,
    pub events: Vec<EventType>,
    /// Why, in words, for the payment's history.
    pub detail: String,
}

/// The table does not let this happen now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a refund that is {status:?} cannot take {event:?}")]
pub struct Refused {
    pub status: RefundStatus,
    pub event: Kind,
    /// No right program brings the two together.
    pub is_impossible: bool,
}

impl Refund {
    /// The one way in which a refund changes. `None`: the fact is known already and changes nothing.
    ///
    /// # Errors
    /// [`Refused`] where [`super::table`] says so.
    pub fn apply(&self, event: Event, now: Time) -> Result<Option<Step>, Refused> {
        let kind = event.kind();
        let next = Next { refund: self.clone(), now };
        let verdict = verdict(self.status, kind);
        let step = match (verdict, event) {
            (Verdict::Go, Event::Send) => Some(next.go()),
            (Verdict::Wait, Event::NotSent { reason }) => Some(next.moved(RefundStatus::Pending, reason)),
            (Verdict::Wait, Event::Absent) => {
                Some(next.moved(RefundStatus::Pending, "the gateway does not know the refund".to_owned()))
            }
            (Verdict::Doubt, Event::Lost { reason, operation }) => Some(next.doubt(reason, operation)),
            (Verdict::Conclude, Event::Answered(answer)) => next.conclude(answer),
            (Verdict::Reject, Event::Rejected { reason }) => Some(next.failed(&reason)),
            (Verdict::Hold, Event::Review { reason }) => next.hold(reason),
            (
                Verdict::Go
                | Verdict::Wait
                | Verdict::Doubt
                | Verdict::Conclude
                | Verdict::Reject
                | Verdict::Hold
                | Verdict::Refuse
                | Verdict::Impossible,
                _,
            ) => {
                let is_impossible = verdict == Verdict::Impossible;
                return Err(Refused { status: self.status, event: kind, is_impossible });
            }
        };
        Ok(step)
    }
}

impl Payment {
    /// The payment beside a refund that has changed: what has gone back, and what is about to.
    #[must_use]
    pub fn beside_refund(&self, before: Option<&Refund>, after: &Refund, now: Time) -> Self {
        let mut payment = self.clone();
        let share = |refund: &Refund| match refund.share() {
            Share::Reserved => (refund.money.minor(), 0),
            Share::Returned => (0, refund.money.minor()),
            Share::None => (0, 0),
        };
        let (was_open, was_back) = before.map_or((0, 0), share);
        let (is_open, is_back) = share(after);
        payment.refunding += is_open - was_open;
        payment.refunded += is_back - was_back;
        payment.version += 1;
        payment.updated_at = now;
        payment
    }
}

/// A refund on its way to its next version.
struct Next {
    refund: Refund,
    now: Time,
}

impl Next {
    fn go(mut self) -> Step {
        self.refund.first_sent_at.get_or_insert(self.now);
        let detail = format!("{} is sent to {}", self.refund.money, self.refund.account);
        self.moved(RefundStatus::Sending, detail)
    }

    fn doubt(mut self, reason: String, operation: Option<String>) -> Step {
        if self.refund.operation.is_none() {
            self.refund.operation = operation;
        }
        self.moved(RefundStatus::Unknown, reason)
    }

    fn conclude(mut self, answer: Answer) -> Option<Step> {
        let money = self.refund.money;
        if answer.operation.is_some() {
            self.refund.operation.clone_from(&answer.operation);
        }
        if answer.amount.is_some_and(|amount| amount != money) {
            let reason = "the gateway names another amount or currency than was to go back";
            let is_open = !self.refund.status.is_final();
            self.refund.status = if is_open { RefundStatus::Unknown } else { self.refund.status };
            return self.hold(reason.to_owned());
        }
        match (answer.outcome, self.refund.status) {
            (Outcome::Succeeded, RefundStatus::Succeeded)
            | (
                Outcome::Processing,
                RefundStatus::Processing | RefundStatus::Succeeded | RefundStatus::Failed,
            )
            | (Outcome::Failed(_), RefundStatus::Failed) => None,
            // Who had to give the second charge back need not look any more.
            (Outcome::Succeeded, RefundStatus::Failed) if self.refund.cause == Cause::Duplicate => {
                self.refund.review_reason = None;
                let mut step = self.moved(RefundStatus::Succeeded, format!("{money} went back after all"));
                step.events.push(EventType::RefundSucceeded);
                Some(step)
            }
            (Outcome::Succeeded, RefundStatus::Failed) => {
                let reason = "the gateway reports a success for a refund that had failed".to_owned();
                let is_new = self.refund.review_reason.replace(reason.clone()).is_none();
                let mut step = self.moved(RefundStatus::Succeeded, reason);
                step.events.extend(is_new.then_some(EventType::RefundNeedsReview));
                Some(step)
            }
            (Outcome::Succeeded, _) => {
                self.refund.review_reason = None;
                let mut step = self.moved(RefundStatus::Succeeded, format!("{money} went back"));
                step.events.push(EventType::RefundSucceeded);
                Some(step)
            }
            (Outcome::Processing, _) => {
                let detail = "accepted by the gateway, the result comes later".to_owned();
                Some(self.moved(RefundStatus::Processing, detail))
            }
            (Outcome::Failed(reason), _) => Some(self.failed(&reason)),
        }
    }

    fn failed(mut self, reason: &str) -> Step {
        self.refund.failure = Some(reason.to_owned());
        // Nothing else gives the second charge back (S1.4): a person has to see to it.
        let charge = &self.refund.charge;
        self.refund.review_reason = (self.refund.cause == Cause::Duplicate)
            .then(|| format!("the second charge {charge} was not given back: {reason}; retry the refund"));
        let is_held = self.refund.review_reason.is_some();
        let mut step = self.moved(RefundStatus::Failed, format!("it failed: {reason}"));
        step.events.push(EventType::RefundFailed);
        step.events.extend(is_held.then_some(EventType::RefundNeedsReview));
        step
    }

    /// Once; a person looks already.
    fn hold(mut self, reason: String) -> Option<Step> {
        if self.refund.review_reason.is_some() {
            return None;
        }
        self.refund.review_reason = Some(reason.clone());
        let status = self.refund.status;
        let mut step = self.moved(status, reason);
        step.events.push(EventType::RefundNeedsReview);
        Some(step)
    }

    fn moved(mut self, status: RefundStatus, detail: String) -> Step {
        self.refund.status = status;
        self.refund.version += 1;
        self.refund.updated_at = self.now;
        Step { refund: self.refund, events: Vec::new(), detail }
    }
}

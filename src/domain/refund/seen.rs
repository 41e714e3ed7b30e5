//! Seen refunds: what a gateway lists of a charge's refunds, and what each of them is to ours (S1.20).

use super::{Answer, Cause, Origin, Outcome, Refund, RefundStatus};
use crate::domain::{
    attempt::{Attempt, AttemptStatus},
    clock::Time,
    payment::Payment,
};
use dunlin_jobs::{Money, PaymentId, RefundId};
use std::collections::BTreeMap;

/// A refund as a gateway lists it, whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The gateway's id of it.
    pub operation: String,
    /// The gateway's id of the charge that is given back.
    pub charge: String,
    /// None where the gateway's amount cannot be said in our units.
    pub money: Option<Money>,
    pub outcome: Outcome,
    /// Our refund and its payment, where it bears our reference.
    pub reference: Option<RefundId>,
    pub payment: Option<PaymentId>,
    pub made_at: Time,
}

/// What a seen refund is to ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// It tells how this one of ours stands.
    Answers(RefundId),
    /// It bears the reference of this one of ours, which the gateway executed under another id.
    SecondOf(RefundId),
    /// It was made by other hands.
    Foreign,
    /// One that failed before what stands in its place; it moves nothing.
    Past,
}

impl Seen {
    /// What the gateway says of it.
    pub fn answer(&self) -> Answer {
        let (operation, outcome) = (Some(self.operation.clone()), self.outcome.clone());
        Answer { operation, amount: self.money, outcome }
    }

    /// Whether one of ours says the same already.
    pub fn agrees(&self, status: RefundStatus) -> bool {
        match (&self.outcome, status) {
            (Outcome::Succeeded, RefundStatus::Succeeded)
            | (Outcome::Failed(_), RefundStatus::Failed)
            | (
                Outcome::Processing,
                RefundStatus::Processing | RefundStatus::Succeeded | RefundStatus::Failed,
            ) => true,
            (Outcome::Succeeded | Outcome::Failed(_) | Outcome::Processing, _) => false,
        }
    }

    /// What it is to the refunds of its payment.
    pub fn meaning(&self, known: &[Refund]) -> Meaning {
        if let Some(same) = known.iter().find(|refund| refund.operation.as_ref() == Some(&self.operation)) {
            // A list may be late, and what has failed at the gateway stays so.
            let is_late = same.status == RefundStatus::Failed && self.outcome == Outcome::Succeeded;
            return if is_late { Meaning::Past } else { Meaning::Answers(same.id) };
        }
        let failed = matches!(self.outcome, Outcome::Failed(_));
        let named = self.reference.and_then(|id| known.iter().find(|refund| refund.id == id));
        match named.map(|refund| (refund, &refund.operation)) {
            Some((refund, None)) => Meaning::Answers(refund.id),
            Some((_, Some(_))) if failed => Meaning::Past,
            Some((refund, Some(_))) => Meaning::SecondOf(refund.id),
            None => self.settles(known).map_or(Meaning::Foreign, Meaning::Answers),
        }
    }

    /// Our return of a charge that was made twice, where other hands have returned it instead.
    fn settles(&self, known: &[Refund]) -> Option<RefundId> {
        let is_open = |refund: &&Refund| match refund.status {
            RefundStatus::Pending | RefundStatus::Failed => true,
            RefundStatus::Sending
            | RefundStatus::Unknown
            | RefundStatus::Processing
            | RefundStatus::Succeeded => false,
        };
        let retried = |id: RefundId| known.iter().any(|other| other.retry_of == Some(id));
        let mut waiting = known.iter().filter(is_open).filter(|refund| {
            refund.cause == Cause::Duplicate
                && refund.charge == self.charge
                && Some(refund.money) == self.money
                && !retried(refund.id)
        });
        waiting.next_back().filter(|_| self.outcome == Outcome::Succeeded).map(|refund| refund.id)
    }
}

impl Payment {
    /// Why money of that charge goes back; none where the charge is not known to have been captured for the payment.
    pub fn cause_of_refund(&self, charge: &str, attempts: &[Attempt]) -> Option<Cause> {
        let is =
            |attempt: &Attempt, status| attempt.status == status && attempt.charge.as_deref() == Some(charge);
        if self.attempt.iter().chain(attempts).any(|attempt| is(attempt, AttemptStatus::Succeeded)) {
            return Some(Cause::Requested);
        }
        let twice = attempts.iter().any(|attempt| is(attempt, AttemptStatus::Duplicate));
        twice.then_some(Cause::Duplicate)
    }

    /// The record of a refund that other hands have made.
    pub fn refund_seen(
        &self,
        id: RefundId,
        (seen, money): (&Seen, Money),
        cause: Cause,
        now: Time,
    ) -> Refund {
        let (status, failure) = match &seen.outcome {
            Outcome::Succeeded => (RefundStatus::Succeeded, None),
            Outcome::Processing => (RefundStatus::Processing, None),
            Outcome::Failed(reason) => (RefundStatus::Failed, Some(reason.clone())),
        };
        Refund {
            id,
            payment: self.id,
            tenant: self.tenant,
            livemode: self.livemode,
            money,
            cause,
            origin: Origin::Gateway,
            retry_of: None,
            charge: seen.charge.clone(),
            account: self.account.clone(),
            reason: None,
            metadata: BTreeMap::new(),
            status,
            operation: Some(seen.operation.clone()),
            failure,
            review_reason: None,
            first_sent_at: Some(seen.made_at),
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::payment::fixtures::{at, euros, pending};

    fn seen(operation: &str, reference: Option<RefundId>) -> Seen {
        Seen {
            operation: operation.to_owned(),
            charge: "ch_1".to_owned(),
            money: Some(euros(400)),
            outcome: Outcome::Succeeded,
            reference,
            payment: None,
            made_at: at(0),
        }
    }

    fn id(n: u8) -> RefundId {
        RefundId::mint(at(0), [n; 10])
    }

    fn ours(n: u8, operation: Option<&str>, cause: Cause, status: RefundStatus) -> Refund {
        let made = pending().refund_seen(id(n), (&seen("re", None), euros(400)), cause, at(0));
        let operation = operation.map(str::to_owned);
        Refund { origin: Origin::Api, operation, status, ..made }
    }

    #[test]
    fn what_is_known_answers_for_itself_whatever_it_bears() {
        let known = [ours(1, Some("re_1"), Cause::Requested, RefundStatus::Succeeded)];

        assert_eq!(seen("re_1", None).meaning(&known), Meaning::Answers(id(1)));
        assert_eq!(seen("re_1", Some(id(9))).meaning(&known), Meaning::Answers(id(1)));
    }

    #[test]
    fn what_has_failed_does_not_succeed_by_a_list_that_is_late() {
        let failed = [ours(1, Some("re_1"), Cause::Requested, RefundStatus::Failed)];
        let refused = [ours(1, None, Cause::Requested, RefundStatus::Failed)];

        assert_eq!(seen("re_1", Some(id(1))).meaning(&failed), Meaning::Past);
        assert_eq!(
            seen("re_1", Some(id(1))).meaning(&refused),
            Meaning::Answers(id(1)),
            "it was made after all"
        );
    }

    #[test]
    fn our_reference_answers_for_ours_and_a_second_one_is_noticed() {
        let lost = [ours(1, None, Cause::Requested, RefundStatus::Unknown)];
        let held = [ours(1, Some("re_1"), Cause::Requested, RefundStatus::Succeeded)];

        assert_eq!(seen("re_2", Some(id(1))).meaning(&lost), Meaning::Answers(id(1)));
        assert_eq!(seen("re_2", Some(id(1))).meaning(&held), Meaning::SecondOf(id(1)));
        let failed = Seen { outcome: Outcome::Failed(String::new()), ..seen("re_2", Some(id(1))) };
        assert_eq!(failed.meaning(&held), Meaning::Past);
    }

    #[test]
    fn what_bears_no_reference_of_this_payment_is_foreign() {
        let known = [ours(1, None, Cause::Requested, RefundStatus::Failed)];

        assert_eq!(seen("re_2", None).meaning(&known), Meaning::Foreign);
        assert_eq!(seen("re_2", Some(id(9))).meaning(&known), Meaning::Foreign);
    }

    #[test]
    fn other_hands_settle_the_return_of_a_second_charge_once() {
        let failed = ours(1, Some("re_1"), Cause::Duplicate, RefundStatus::Failed);
        let again =
            Refund { retry_of: Some(id(1)), ..ours(2, None, Cause::Duplicate, RefundStatus::Pending) };
        let meaning = |known: &[Refund]| seen("re_9", None).meaning(known);

        assert_eq!(meaning(std::slice::from_ref(&failed)), Meaning::Answers(id(1)));
        assert_eq!(meaning(&[failed.clone(), again.clone()]), Meaning::Answers(id(2)));
        // While it may be on the wire, its own answer comes first.
        let sending = Refund { status: RefundStatus::Sending, ..again };
        assert_eq!(meaning(&[failed.clone(), sending]), Meaning::Foreign);
        let other = Seen { money: Some(euros(399)), ..seen("re_9", None) };
        assert_eq!(other.meaning(&[failed]), Meaning::Foreign);
    }
}

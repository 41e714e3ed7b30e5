//! What refunds do to themselves and to their payment.

use super::*;
use crate::domain::{
    attempt::{Attempt, AttemptStatus, Origin},
    event::EventType,
    payment::{
        Payment, Status,
        fixtures::{at, euros, pending},
    },
};
use chrono::TimeDelta;
use dunlin_jobs::AttemptId;

/// A payment of 12.50 that was captured.
fn paid() -> Payment {
    let attempt = Attempt {
        id: AttemptId::mint(at(0), [1; 10]),
        n: 1,
        account: "main".to_owned(),
        origin: Origin::Dunlin,
        status: AttemptStatus::Succeeded,
        first_sent_at: at(0),
        charge: Some("ch_1".to_owned()),
        action_url: None,
        decline: None,
    };
    Payment { status: Status::Succeeded, attempt: Some(attempt), ..pending() }
}

fn order(id: u8, amount: Option<i64>) -> Order {
    Order { id: RefundId::mint(at(0), [id; 10]), amount, reason: None, metadata: BTreeMap::new() }
}

fn answered(outcome: Outcome) -> Event {
    let amount = Some(euros(500));
    Event::Answered(Answer { operation: Some("re_1".to_owned()), amount, outcome })
}

fn refused() -> Outcome {
    Outcome::Failed("insufficient funds".to_owned())
}

/// A refund of 5.00 beside its payment, after these events.
struct Story {
    payment: Payment,
    refund: Refund,
}

impl Story {
    fn new() -> Self {
        let payment = paid();
        let refund = payment.refund(order(1, Some(500)), at(1)).unwrap();
        let payment = payment.beside_refund(None, &refund, at(1));
        Self { payment, refund }
    }

    fn after(events: impl IntoIterator<Item = Event>) -> Self {
        let mut story = Self::new();
        for event in events {
            assert!(story.happen(event).is_some());
        }
        story
    }

    /// Applies one event a second after the one before; answers with what is told.
    fn happen(&mut self, event: Event) -> Option<Step> {
        let now = self.refund.updated_at + TimeDelta::seconds(1);
        let step = self.refund.apply(event, now).unwrap()?;
        self.payment = self.payment.beside_refund(Some(&self.refund), &step.refund, now);
        self.refund = step.refund.clone();
        Some(step)
    }

    /// What has gone back, what is about to, and what still can.
    fn money(&self) -> (i64, i64, i64) {
        (self.payment.refunded, self.payment.refunding, self.payment.refundable())
    }
}

fn lost() -> Event {
    Event::Lost { reason: "no answer".to_owned(), operation: None }
}

#[test]
fn what_goes_back_is_capped_by_received_less_refunded_less_pending() {
    let story = Story::after([Event::Send, answered(Outcome::Succeeded)]);
    assert_eq!(story.money(), (500, 0, 750));

    let second = story.payment.refund(order(2, Some(700)), at(9)).unwrap();
    let payment = story.payment.beside_refund(None, &second, at(9));

    assert_eq!((payment.refunded, payment.refunding, payment.refundable()), (500, 700, 50));
    assert_eq!(payment.refund(order(3, Some(51)), at(9)), Err(NotRefundable::TooMuch { left: 50 }));
    let rest = payment.refund(order(3, None), at(9)).unwrap();
    assert_eq!(rest.money, euros(50));
    let empty = payment.beside_refund(None, &rest, at(9));
    assert_eq!(empty.refund(order(4, None), at(9)), Err(NotRefundable::NothingLeft));
}

#[test]
fn only_a_payment_that_was_captured_can_be_refunded() {
    assert_eq!(pending().refund(order(1, None), at(1)), Err(NotRefundable::NotPaid("pending")));
    for amount in [0, -1, i64::MIN] {
        assert_eq!(paid().refund(order(1, Some(amount)), at(1)), Err(NotRefundable::NotPositive));
    }
    let mut nameless = paid();
    nameless.attempt.as_mut().unwrap().charge = None;
    assert_eq!(nameless.refund(order(1, None), at(1)), Err(NotRefundable::NoCharge));
}

#[test]
fn money_is_reserved_while_its_refund_is_open_and_freed_when_that_fails() {
    for events in [vec![], vec![Event::Send], vec![Event::Send, lost()]] {
        assert_eq!(Story::after(events).money(), (0, 500, 750));
    }
    let processing = Story::after([Event::Send, answered(Outcome::Processing)]);
    assert_eq!(processing.money(), (0, 500, 750));

    let failed = Story::after([Event::Send, answered(refused())]);
    assert_eq!(failed.money(), (0, 0, 1250));
    assert_eq!(failed.refund.failure.as_deref(), Some("insufficient funds"));
}

#[test]
fn a_refund_that_a_bank_sends_back_fails_after_it_has_succeeded() {
    let mut story = Story::after([Event::Send, answered(Outcome::Succeeded)]);

    let step = story.happen(answered(refused())).unwrap();

    assert_eq!(step.events, [EventType::RefundFailed]);
    assert_eq!((story.refund.status, story.money()), (RefundStatus::Failed, (0, 0, 1250)));
}

#[test]
fn a_success_after_a_failure_counts_and_wakes_a_person() {
    let mut story = Story::after([Event::Send, answered(refused())]);

    let step = story.happen(answered(Outcome::Succeeded)).unwrap();

    assert_eq!(step.events, [EventType::RefundNeedsReview]);
    assert_eq!((story.refund.status, story.money()), (RefundStatus::Succeeded, (500, 0, 750)));
    assert!(story.refund.review_reason.is_some());
}

#[test]
fn the_same_fact_twice_changes_nothing() {
    for outcome in [Outcome::Succeeded, Outcome::Processing, refused()] {
        let mut story = Story::after([Event::Send, answered(outcome.clone())]);
        let before = (story.payment.clone(), story.refund.clone());
        assert_eq!(story.happen(answered(outcome)), None);
        assert_eq!((story.payment, story.refund), before);
    }
}

#[test]
fn a_lost_answer_is_a_doubt_until_the_gateway_speaks() {
    let mut story = Story::after([Event::Send, lost()]);
    assert!(story.refund.apply(Event::Send, at(9)).is_err());

    story.happen(Event::Review { reason: "look".to_owned() }).unwrap();
    assert_eq!(story.happen(Event::Review { reason: "again".to_owned() }), None);
    story.happen(answered(Outcome::Succeeded)).unwrap();

    assert_eq!((story.refund.status, story.refund.review_reason), (RefundStatus::Succeeded, None));
}

#[test]
fn proven_absence_lets_it_go_again_and_keeps_when_it_first_went() {
    let story = Story::after([Event::Send, lost(), Event::Absent, Event::Send]);

    assert_eq!((story.refund.status, story.refund.first_sent_at), (RefundStatus::Sending, Some(at(2))));
}

// S1.15
#[test]
fn another_amount_than_was_to_go_back_is_left_to_a_person() {
    let mut story = Story::after([Event::Send]);
    let answer = Answer { operation: None, amount: Some(euros(501)), outcome: Outcome::Succeeded };

    let step = story.happen(Event::Answered(answer)).unwrap();

    assert_eq!(step.events, [EventType::RefundNeedsReview]);
    assert_eq!((story.refund.status, story.money()), (RefundStatus::Unknown, (0, 500, 750)));
}

// S1.4
#[test]
fn the_return_of_a_duplicate_takes_nothing_from_what_the_payment_received() {
    let payment = paid();
    let duplicate = Attempt { n: 2, charge: Some("ch_2".to_owned()), ..payment.attempt.clone().unwrap() };
    let id = RefundId::mint(at(0), [1; 10]);

    let refund = payment.refund_duplicate(id, &duplicate, euros(1250), at(1)).unwrap();
    let after = payment.beside_refund(None, &refund, at(1));

    assert_eq!((refund.cause, refund.charge.as_str()), (Cause::Duplicate, "ch_2"));
    assert_eq!((after.refunded, after.refunding, after.refundable()), (0, 0, 1250));
    let nameless = Attempt { charge: None, ..duplicate };
    assert_eq!(payment.refund_duplicate(id, &nameless, euros(1250), at(1)), None);
}

#[test]
fn only_facts_from_the_gateway_need_no_lease() {
    assert!(!answered(Outcome::Processing).needs_lease());
    let reason = String::new;
    let said = [
        Event::NotSent { reason: reason() },
        Event::Rejected { reason: reason() },
        Event::Review { reason: reason() },
    ];
    for act in [Event::Send, lost(), Event::Absent].into_iter().chain(said) {
        assert!(act.needs_lease(), "{act:?}");
    }
}

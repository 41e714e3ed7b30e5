//! Retries by hand: they take no place in the schedule, and do not undercut what was advised.

use super::*;
use crate::domain::decline::{Decline, MOST_ATTEMPTS};

fn retry() -> Event {
    Event::Retry { reason: None }
}

/// The next attempt, begun and declined.
fn declined_again(payment: &Payment, code: &str) -> Payment {
    let n = payment.next_attempt();
    let begun = payment.waits_until().unwrap().max(payment.updated_at);
    let event = Event::Due { attempt: n, id: attempt_id(u8::try_from(n).unwrap()) };
    let begun = payment.apply(event, plan(), begun).unwrap().unwrap().payment;
    step(&begun, answered(n, &format!("ch_{n}"), declined(code))).payment
}

// S3.3
#[test]
fn six_retries_by_hand_on_the_first_day_leave_the_whole_schedule() {
    let mut payment = after([due(1, 1), answered(1, "ch_1", declined("insufficient_funds"))]);
    for _ in 0..6 {
        payment = step(&payment, retry()).payment;
        payment = declined_again(&payment, "insufficient_funds");
        assert_eq!(payment.status.name(), "retrying");
    }

    assert_eq!((payment.declines, payment.by_hand.declines), (7, 6));
    let wait = payment.waits_until().unwrap() - payment.updated_at;
    assert!(wait >= TimeDelta::days(1) && wait <= TimeDelta::hours(25), "{wait}");
    for _ in 0..6 {
        assert_eq!(payment.status.name(), "retrying");
        payment = declined_again(&payment, "insufficient_funds");
    }
    assert_eq!((payment.status.name(), payment.declines), ("failed", 13));
}

// S3.3
#[test]
fn a_payment_has_its_attempts_whoever_asked_for_them() {
    let mut payment = after([due(1, 1), answered(1, "ch_1", declined("insufficient_funds"))]);
    while payment.attempt.as_ref().is_some_and(|attempt| attempt.n < MOST_ATTEMPTS) {
        payment = step(&payment, retry()).payment;
        payment = declined_again(&payment, "insufficient_funds");
    }

    assert_eq!(payment.status.name(), "failed");
    refused(&payment, retry());
}

#[test]
fn a_second_wish_before_the_attempt_begins_is_the_same_one() {
    let waiting = after([due(1, 1), answered(1, "ch_1", declined("insufficient_funds"))]);
    let hastened = step(&waiting, retry()).payment;

    unchanged(&hastened, retry());
    assert_eq!(hastened.by_hand.attempt, 2);
}

#[test]
fn a_retry_by_hand_that_was_not_sent_is_still_by_hand_when_it_goes_again() {
    let waiting = after([due(1, 1), answered(1, "ch_1", declined("insufficient_funds"))]);
    let hastened = step(&waiting, retry()).payment;
    let begun = step(&hastened, due(2, 2)).payment;
    let planned = step(&begun, Event::NotSent { attempt: 2, reason: "no".to_owned() }).payment;
    let again = step(&planned, Event::Send { attempt: 2 }).payment;
    let declined = step(&again, answered(2, "ch_3", declined("insufficient_funds"))).payment;

    assert_eq!((declined.declines, declined.by_hand.declines), (2, 1));
}

// S3.4
#[test]
fn a_retry_by_hand_waits_for_the_time_that_the_network_advised() {
    let decline = Decline { network_advice: Some("24".into()), ..Decline::of("do_not_honor") };
    let waiting = after([due(1, 1), answered(1, "ch_1", Outcome::Declined(decline))]);
    let decided = waiting.attempt.as_ref().unwrap().decline.as_ref().unwrap().decided_by.as_ref().unwrap();
    let advised = decided.not_before.unwrap();

    assert_eq!(advised, waiting.updated_at + TimeDelta::hours(1));
    let early = advised - TimeDelta::seconds(1);
    let why = waiting.retriable(&plan().declines, early).unwrap_err();
    assert_eq!(why, NotRetriable::TooEarly(advised));
    assert!(waiting.apply(retry(), plan(), early).is_err());
    assert!(waiting.apply(retry(), plan(), advised).is_ok());
}

#[test]
fn a_duplicate_transaction_comes_before_a_person_and_is_not_tried_again() {
    let step = step(&sending(), answered(1, "ch_1", declined("duplicate_transaction")));

    assert_eq!(status_of(&step.payment), ("needs_review", Some(AttemptStatus::Declined)));
    assert_eq!(step.effects, [Effect::Emit(EventType::NeedsReview)]);
    refused(&step.payment, retry());
}

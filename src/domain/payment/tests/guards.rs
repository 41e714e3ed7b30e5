//! What keeps a payment from the wrong event: its moment, its attempt, and the lease.

use super::*;
use crate::domain::table::Kind;

#[test]
fn a_job_that_comes_too_early_begins_nothing() {
    let waiting = step(&sending(), answered(1, "ch_1", declined("insufficient_funds"))).payment;
    let moment = waiting.waits_until().unwrap();
    let event = due(2, 2);

    let early = waiting.apply(event.clone(), plan(), moment - TimeDelta::microseconds(1));
    let timely = waiting.apply(event, plan(), moment).unwrap().unwrap();

    assert_eq!(early, Err(Refused { phase: Phase::Retrying, event: Kind::Due }));
    assert_eq!(timely.payment.attempt.map(|attempt| attempt.n), Some(2));
}

#[test]
fn a_request_made_for_another_attempt_begins_nothing() {
    refused(&pending(), due(2, 1));
    let waiting = step(&sending(), answered(1, "ch_1", declined("insufficient_funds"))).payment;
    let moment = waiting.waits_until().unwrap();

    for n in [1, 3] {
        let late = waiting.apply(due(n, 2), plan(), moment);
        assert_eq!(late, Err(Refused { phase: Phase::Retrying, event: Kind::Due }));
    }
}

#[test]
fn what_is_said_of_another_attempt_does_not_touch_this_one() {
    let waiting = step(&sending(), answered(1, "ch_1", declined("insufficient_funds"))).payment;
    let moment = waiting.waits_until().unwrap();
    let second = waiting.apply(due(2, 2), plan(), moment).unwrap().unwrap().payment;

    for n in [1, 3] {
        refused(&second, lost(n));
        refused(&second, Event::NotSent { attempt: n, reason: String::new() });
        refused(&second, Event::Absent { attempt: n });
        refused(&second, Event::Canceled { attempt: n });
        let rejection = Rejection::Invalid(String::new());
        refused(&second, Event::Rejected { attempt: n, rejection });
        unchanged(&second, answered(n, "ch_1", declined("fraudulent")));
    }
    let contradiction = step(&second, answered(1, "ch_1", Outcome::Succeeded)).payment;
    assert_eq!(status_of(&contradiction), ("needs_review", Some(AttemptStatus::Sending)));
}

#[test]
fn only_facts_from_the_gateway_need_no_lease() {
    let rejection = Rejection::Invalid(String::new());
    for fact in [
        answered(1, "ch_1", Outcome::Succeeded),
        Event::Rejected { attempt: 1, rejection },
        Event::Cancel,
        Event::Canceled { attempt: 1 },
    ] {
        assert!(!fact.needs_lease(), "{fact:?}");
    }
    for act in [
        due(1, 1),
        Event::Send { attempt: 1 },
        Event::NotSent { attempt: 1, reason: String::new() },
        lost(1),
        Event::Absent { attempt: 1 },
        review(),
    ] {
        assert!(act.needs_lease(), "{act:?}");
    }
}

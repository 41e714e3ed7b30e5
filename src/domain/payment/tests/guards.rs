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

    assert_eq!(early, Err(Refused { phase: Phase::Retrying, event: Kind::Due, is_impossible: false }));
    assert_eq!(timely.payment.attempt.map(|attempt| attempt.n), Some(2));
}

#[test]
fn what_is_set_for_a_later_time_is_charged_then_or_when_somebody_says_so() {
    let scheduled = Payment { start: Start::At(at(60)), ..pending() };
    let deferred = Payment { start: Start::OnRequest, ..pending() };
    let begins = |payment: &Payment, now| payment.apply(due(1, 1), plan(), now).is_ok();

    assert!(!begins(&scheduled, at(59)) && begins(&scheduled, at(60)));
    assert!(!begins(&deferred, at(1_000_000)));
    for waiting in [scheduled, deferred] {
        let asked = step(&waiting, Event::Process);
        let charge = Job::Charge(Charge { payment: waiting.id });
        assert_eq!(asked.effects, [Effect::Hasten(charge, at(1)), Effect::Emit(EventType::Updated)]);
        assert!(begins(&asked.payment, at(1)));
        unchanged(&asked.payment, Event::Process);
    }
    unchanged(&pending(), Event::Process);
    refused(&sending(), Event::Process);
}

#[test]
fn an_edit_that_changes_nothing_makes_no_new_version() {
    let edit = |value: Option<&str>| {
        let metadata = BTreeMap::from([("order".to_owned(), value.map(str::to_owned))]);
        Event::Edit(Edit { metadata, ..Edit::default() })
    };

    let edited = step(&sending(), edit(Some("7")));

    assert_eq!(edited.detail, "changed: metadata.order");
    unchanged(&edited.payment, edit(Some("7")));
    unchanged(&sending(), edit(None));
    assert!(step(&edited.payment, edit(None)).payment.metadata.is_empty());
}

#[test]
fn a_request_made_for_another_attempt_begins_nothing() {
    refused(&pending(), due(2, 1));
    let waiting = step(&sending(), answered(1, "ch_1", declined("insufficient_funds"))).payment;
    let moment = waiting.waits_until().unwrap();

    for n in [1, 3] {
        let late = waiting.apply(due(n, 2), plan(), moment);
        assert_eq!(late, Err(Refused { phase: Phase::Retrying, event: Kind::Due, is_impossible: false }));
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
        refused(&second, Event::Rejected { attempt: n, refusal: Refusal::default(), fate: Fate::Fails });
        unchanged(&second, answered(n, "ch_1", declined("fraudulent")));
    }
    let contradiction = step(&second, elsewhere()).payment;
    assert_eq!(status_of(&contradiction), ("needs_review", Some(AttemptStatus::Sending)));
}

#[test]
fn only_facts_from_the_gateway_need_no_lease() {
    let rejected = |fate| Event::Rejected { attempt: 1, refusal: Refusal::default(), fate };
    for fact in [answered(1, "ch_1", Outcome::Succeeded), Event::Cancel, Event::Canceled { attempt: 1 }] {
        assert!(!fact.needs_lease(), "{fact:?}");
    }
    for act in [
        due(1, 1),
        Event::Send { attempt: 1 },
        Event::NotSent { attempt: 1, reason: String::new() },
        lost(1),
        Event::Absent { attempt: 1 },
        review(),
        rejected(Fate::Fails),
        rejected(Fate::NewMethod),
        rejected(Fate::Waits),
        rejected(Fate::OnHold),
    ] {
        assert!(act.needs_lease(), "{act:?}");
    }
}

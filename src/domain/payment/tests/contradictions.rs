//! What a gateway says that does not fit what is known: a second success, another amount, a success too late.

use super::*;

// S1.4
#[test]
fn a_second_success_is_kept_beside_the_first_with_an_id_of_its_own() {
    let paid = succeeded();
    let step = step(&paid, answered(1, "ch_2", Outcome::Succeeded));

    let duplicate = step.duplicate.clone().unwrap();
    assert_eq!((duplicate.status, duplicate.n), (AttemptStatus::Duplicate, 2));
    assert_eq!(duplicate.charge.as_deref(), Some("ch_2"));
    assert_ne!(Some(duplicate.id), paid.attempt.as_ref().map(|attempt| attempt.id));
    assert_eq!(step.payment.status, Status::Succeeded);
    assert_eq!(step.payment.attempt, paid.attempt);
    assert_eq!(step.effects, [Effect::Emit(EventType::DuplicateCapture)]);
    assert_eq!(step.detail, "a second success was found");
}

#[test]
fn the_same_success_told_again_changes_nothing() {
    unchanged(&succeeded(), answered(1, "ch_1", Outcome::Succeeded));
}

// S1.13
#[test]
fn a_late_failure_never_moves_a_success_back() {
    for outcome in [declined("fraudulent"), Outcome::Pending, asked()] {
        unchanged(&succeeded(), answered(1, "ch_1", outcome));
    }
}

// S1.13
#[test]
fn a_success_that_contradicts_what_is_decided_wakes_a_person() {
    let stopped = after([due(1, 1), answered(1, "ch_1", declined("fraudulent"))]);
    let waiting = after([due(1, 1), answered(1, "ch_1", declined("insufficient_funds"))]);
    let canceled = after([Event::Cancel]);

    for (payment, was) in [(stopped, "failed"), (waiting, "retrying"), (canceled, "canceled")] {
        let step = step(&payment, answered(1, "ch_1", Outcome::Succeeded));

        let reason = format!("the gateway reports a success for a payment that is {was}");
        assert_eq!(step.payment.status, Status::NeedsReview { reason: reason.clone() });
        assert_eq!(step.payment.attempt, payment.attempt);
        assert_eq!((step.effects, step.detail), (vec![Effect::Emit(EventType::NeedsReview)], reason));
    }
}

// S1.15
#[test]
fn money_of_another_amount_or_currency_wakes_a_person_and_stays_open() {
    let dollars = Money::new(1250, "USD".parse().unwrap()).unwrap();
    for amount in [euros(1251), dollars] {
        let wrong = Answer { amount: Some(amount), ..answer("ch_1", Outcome::Succeeded) };
        let step = step(&sending(), Event::Answered { attempt: 1, answer: wrong.clone() });

        assert_eq!(status_of(&step.payment), ("needs_review", Some(AttemptStatus::Unknown)));
        assert_eq!(
            step.effects,
            [reconcile(&step.payment, 1, at(2 + 5)), Effect::Emit(EventType::NeedsReview)]
        );
        unchanged(&step.payment, Event::Answered { attempt: 1, answer: wrong });
    }
}

#[test]
fn an_answer_for_what_is_proven_not_sent_wakes_a_person() {
    let planned = step(&sending(), Event::NotSent { attempt: 1, reason: String::new() }).payment;

    let step = step(&planned, answered(1, "ch_1", Outcome::Succeeded));

    assert_eq!(status_of(&step.payment), ("needs_review", Some(AttemptStatus::Planned)));
}

// S1.4: money is given back by itself only where two charges are named.
#[test]
fn a_success_without_a_named_charge_is_no_second_one() {
    let told = |operation: Option<&str>, charge: Option<&str>| {
        let answer = answer("ch_1", Outcome::Succeeded);
        let (operation, charge) = (operation.map(str::to_owned), charge.map(str::to_owned));
        Event::Answered { attempt: 1, answer: Answer { operation, charge, ..answer } }
    };
    let nameless = after([due(1, 1), told(Some("pi_1"), None)]);

    unchanged(&nameless, told(Some("pi_1"), Some("ch_1")));
    unchanged(&succeeded(), told(None, None));
    let elsewhere = step(&nameless, told(Some("pi_2"), Some("ch_2")));
    assert_eq!(
        (elsewhere.payment.status.name(), elsewhere.duplicate, elsewhere.refund),
        ("needs_review", None, None)
    );
    let second = step(&succeeded(), told(Some("pi_2"), Some("ch_2")));
    assert_eq!(second.refund.map(|refund| refund.charge), Some("ch_2".to_owned()));
}

#[test]
fn a_success_of_what_was_canceled_says_where_the_money_is() {
    let canceled = after([due(1, 1), Event::NotSent { attempt: 1, reason: String::new() }, Event::Cancel]);

    let found = step(&canceled, answered(1, "ch_9", Outcome::Succeeded)).payment;

    assert_eq!(found.status.name(), "needs_review");
    assert_eq!(found.attempt.and_then(|attempt| attempt.charge).as_deref(), Some("ch_9"));
}

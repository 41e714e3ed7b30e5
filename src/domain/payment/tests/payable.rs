//! What was declined stays payable at the gateway: who asks, who withdraws it, and what it is when somebody pays.

use super::*;
use crate::domain::attempt::{Attempt, Origin};

fn declined_by(code: &str) -> Step {
    step(&sending(), answered(1, "ch_1", declined(code)))
}

// S1.21
#[test]
fn what_is_not_tried_any_more_is_asked_after_or_withdrawn() {
    let asked = declined_by("authentication_required");
    let failed = declined_by("fraudulent");
    let retrying = declined_by("insufficient_funds");

    let question = reconcile(&asked.payment, 1, at(2) + TimeDelta::days(1));
    let later = withdraw(&asked.payment, at(1) + TimeDelta::days(30));
    assert_eq!(asked.effects, [Effect::Emit(EventType::RequiresAction), question, later]);
    assert_eq!(failed.effects, [Effect::Emit(EventType::Failed), withdraw(&failed.payment, at(2))]);
    // Another attempt needs the operation (S1.17).
    let withdraws = |effect: &Effect| matches!(effect, Effect::Enqueue(Job::Withdraw(_), _));
    assert!(!retrying.effects.iter().any(withdraws), "{:?}", retrying.effects);
}

#[test]
fn whatever_a_payment_fails_by_its_operation_is_withdrawn() {
    let retrying = declined_by("insufficient_funds").payment;
    let again = step_at(&retrying, due(2, 2), retrying.waits_until().unwrap()).payment;

    let refused = step(&again, rejected_at(2, Fate::Fails));
    let detached = step(&retrying, Event::Detached);
    let nothing = step(&sending(), rejected_at(1, Fate::Fails));

    let withdrawn = |step: &Step, attempt| {
        let job = Job::Withdraw(Withdraw::own(step.payment.id, attempt));
        step.effects.contains(&Effect::Enqueue(job, step.payment.updated_at))
    };
    assert!(withdrawn(&refused, 2) && withdrawn(&detached, 1));
    assert_eq!(nothing.effects, [Effect::Emit(EventType::Failed)]);
}

fn step_at(payment: &Payment, event: Event, now: Time) -> Step {
    payment.apply(event, plan(), now).unwrap().expect("something changes")
}

// S1.21
#[test]
fn what_a_payer_pays_by_the_payments_own_operation_is_an_attempt_of_the_gateways() {
    let gone = step(&declined_by("insufficient_funds").payment, Event::Detached).payment;
    let waiting = declined_by("insufficient_funds").payment;
    let asked = declined_by("authentication_required").payment;
    let failed = declined_by("fraudulent").payment;

    for payment in [gone, waiting, asked, failed] {
        let paid = step(&payment, answered(1, "ch_2", Outcome::Succeeded));

        let attempt = paid.payment.attempt.clone().unwrap();
        assert_eq!(
            (attempt.n, attempt.origin, attempt.status),
            (2, Origin::Gateway, AttemptStatus::Succeeded)
        );
        assert_eq!((attempt.charge.as_deref(), attempt.decline), (Some("ch_2"), None));
        assert_eq!((paid.payment.status.clone(), paid.payment.failure.clone()), (Status::Succeeded, None));
        assert_eq!(paid.effects[0], Effect::Emit(EventType::Succeeded));
        let retry = Job::Retry(Retry { payment: payment.id, attempt: 2 });
        let ended = [Effect::Hasten(retry, paid.payment.updated_at)];
        let is_waiting = payment.status.next_attempt_at().is_some();
        assert_eq!(paid.effects[1..], ended[..usize::from(is_waiting)]);
        unchanged(&paid.payment, answered(1, "ch_2", Outcome::Succeeded));
    }
}

// S1.21: one charge is the same money, whichever attempt is open by now.
#[test]
fn an_attempt_that_is_open_meanwhile_ends_with_that_money_and_nothing_goes_back() {
    let retrying = declined_by("insufficient_funds").payment;
    let again = step_at(&retrying, due(2, 2), retrying.waits_until().unwrap()).payment;
    let planned = step(&again, Event::NotSent { attempt: 2, reason: String::new() }).payment;
    let unknown = step(&again, lost(2)).payment;
    let held = step(&unknown, review()).payment;

    for (payment, told) in [(&again, 1), (&again, 2), (&planned, 1), (&planned, 2), (&unknown, 1), (&held, 1)]
    {
        let paid = step(payment, answered(told, "ch_2", Outcome::Succeeded));

        let attempt = paid.payment.attempt.clone().unwrap();
        assert_eq!(
            (attempt.n, attempt.origin, attempt.status),
            (2, Origin::Dunlin, AttemptStatus::Succeeded)
        );
        assert_eq!(paid.effects, [Effect::Emit(EventType::Succeeded)]);
        assert_eq!((paid.duplicate, paid.refund), (None, None));
        // What the request itself comes to moves nothing.
        unchanged(&paid.payment, answered(2, "ch_2", Outcome::Succeeded));
        unchanged(&paid.payment, answered(2, "ch_3", declined("insufficient_funds")));
    }
}

// S1.13, S1.15
#[test]
fn money_that_is_not_proven_to_be_the_payments_wakes_a_person() {
    let retrying = declined_by("insufficient_funds").payment;
    let told = |answer| Event::Answered { attempt: 1, answer };
    let paid = || answer("ch_2", Outcome::Succeeded);
    let rejected = {
        let again = step_at(&retrying, due(2, 2), retrying.waits_until().unwrap()).payment;
        step(&again, rejected_at(2, Fate::Fails)).payment
    };

    for (payment, event) in [
        (&retrying, told(Answer { amount: Some(euros(1249)), ..paid() })),
        (&retrying, told(Answer { operation: Some("pi_2".to_owned()), ..paid() })),
        (&retrying, told(Answer { charge: None, ..paid() })),
        (&retrying, told(Answer { charge: Some("ch_1".to_owned()), ..paid() })),
        (&rejected, answered(2, "ch_2", Outcome::Succeeded)),
        (&step(&retrying, Event::Cancel).payment, told(paid())),
    ] {
        let step = step(payment, event.clone());

        assert_eq!(step.payment.status.name(), "needs_review", "{event:?}");
        assert_eq!(step.payment.attempt.as_ref().map(|it| it.n), payment.attempt.as_ref().map(|it| it.n));
    }
}

#[test]
fn a_charge_that_an_earlier_attempt_was_declined_by_was_not_paid_by_somebody_else() {
    let first = declined_by("insufficient_funds").payment;
    let again = step_at(&first, due(2, 2), first.waits_until().unwrap()).payment;
    let second = step(&again, answered(2, "ch_2", declined("fraudulent"))).payment;
    let known: Vec<Attempt> = [&first, &second].map(|payment| payment.attempt.clone().unwrap()).to_vec();

    let told = |payment: &Payment, charge| {
        step(payment, answered(1, charge, Outcome::Succeeded)).beside(payment, &known)
    };
    let held = told(&second, "ch_1").unwrap();

    assert_eq!(told(&second, "ch_3").unwrap().payment.status, Status::Succeeded);
    for (payment, step) in [(&second, held.clone()), (&again, told(&again, "ch_1").unwrap())] {
        assert_eq!((step.payment.status.name(), &step.payment.attempt), ("needs_review", &payment.attempt));
        assert_eq!(step.effects, [Effect::Emit(EventType::NeedsReview)]);
    }
    // It is told once.
    let open = told(&again, "ch_1").unwrap().payment;
    assert_eq!(told(&open, "ch_1"), None);
    unchanged(&held.payment, answered(1, "ch_1", Outcome::Succeeded));
}

// S1.17
#[test]
fn what_is_withdrawn_leaves_the_next_attempt_to_another_operation() {
    for code in ["authentication_required", "fraudulent", "insufficient_funds"] {
        let payment = declined_by(code).payment;

        let withdrawn = step(&payment, Event::Withdrawn { attempt: 1 });

        assert_eq!((withdrawn.payment.operation, withdrawn.effects), (None, vec![]));
        assert_eq!((withdrawn.payment.status, withdrawn.payment.attempt), (payment.status, payment.attempt));
    }
    refused(&sending(), Event::Withdrawn { attempt: 1 });
    refused(&succeeded(), Event::Withdrawn { attempt: 1 });
}

//! What each verdict makes of a payment, exactly: its status, its jobs with their times, its events, its words.

mod by_hand;
mod contradictions;
mod guards;
mod payable;
mod resolutions;

use super::{
    fixtures::{at, euros, pending},
    *,
};
use crate::domain::{
    attempt::{Answer, AttemptStatus, Outcome},
    decline::Decline,
    event::EventType,
    rejection::{Fate, Refusal},
};
use chrono::TimeDelta;
use dunlin_jobs::{AttemptId, Charge, Job, JobId, KeyId, Reconcile, ResolutionId, Retry, Withdraw};
use std::sync::LazyLock;

/// The shipped policy, read once.
pub(super) fn plan() -> &'static Plan {
    static PLAN: LazyLock<Plan> = LazyLock::new(|| {
        let declines = toml::from_str(include_str!("../../../config/declines.toml")).unwrap();
        Plan { declines, first_poll: TimeDelta::seconds(5), payable: TimeDelta::days(30) }
    });
    &PLAN
}

pub(super) fn attempt_id(n: u8) -> AttemptId {
    AttemptId::mint(at(0), [n; 10])
}

pub(super) fn answer(charge: &str, outcome: Outcome) -> Answer {
    Answer {
        operation: Some("pi_1".to_owned()),
        charge: Some(charge.to_owned()),
        amount: Some(euros(1250)),
        outcome,
    }
}

pub(super) fn declined(code: &str) -> Outcome {
    Outcome::Declined(Decline::of(code))
}

/// The customer has to act, at an address.
pub(super) fn asked() -> Outcome {
    Outcome::RequiresAction { url: Some("https://bank.example/approve".to_owned()) }
}

/// A payment whose customer is there, with its first attempt on the wire.
pub(super) fn present() -> Payment {
    let session = Session::On("https://shop.example/back".parse().unwrap());
    step(&Payment { session, ..pending() }, due(1, 1)).payment
}

fn action_url(payment: &Payment) -> Option<&str> {
    payment.attempt.as_ref().and_then(|attempt| attempt.action_url.as_deref())
}

fn answered(attempt: u32, charge: &str, outcome: Outcome) -> Event {
    Event::Answered { attempt, answer: answer(charge, outcome) }
}

/// A success of another operation than the payment's.
fn elsewhere() -> Event {
    let answer = answer("ch_9", Outcome::Succeeded);
    Event::Answered { attempt: 1, answer: Answer { operation: Some("pi_9".to_owned()), ..answer } }
}

fn due(attempt: u32, id: u8) -> Event {
    Event::Due { attempt, id: attempt_id(id) }
}

fn lost(attempt: u32) -> Event {
    Event::Lost { attempt, reason: "no answer".to_owned(), operation: None }
}

fn review() -> Event {
    Event::Review { reason: "look".to_owned() }
}

/// Applies one event a second after the one before.
fn step(payment: &Payment, event: Event) -> Step {
    let now = payment.updated_at + TimeDelta::seconds(1);
    payment.apply(event, plan(), now).unwrap().expect("something changes")
}

fn after(events: impl IntoIterator<Item = Event>) -> Payment {
    events.into_iter().fold(pending(), |payment, event| step(&payment, event).payment)
}

fn sending() -> Payment {
    after([due(1, 1)])
}

fn unknown() -> Payment {
    after([due(1, 1), lost(1)])
}

fn succeeded() -> Payment {
    after([due(1, 1), answered(1, "ch_1", Outcome::Succeeded)])
}

fn reconcile(payment: &Payment, attempt: u32, at: Time) -> Effect {
    Effect::Enqueue(Job::Reconcile(Reconcile { payment: payment.id, attempt }), at)
}

fn withdraw(payment: &Payment, at: Time) -> Effect {
    Effect::Enqueue(Job::Withdraw(Withdraw::own(payment.id, 1)), at)
}

fn status_of(payment: &Payment) -> (&'static str, Option<AttemptStatus>) {
    (payment.status.name(), payment.attempt.as_ref().map(|attempt| attempt.status))
}

fn refused(payment: &Payment, event: Event) {
    let expected = Refused { phase: payment.phase(), event: event.kind(), is_impossible: false };
    assert_eq!(payment.apply(event, plan(), payment.updated_at), Err(expected));
}

fn unchanged(payment: &Payment, event: Event) {
    assert_eq!(payment.apply(event, plan(), payment.updated_at), Ok(None));
}

// S1.16
#[test]
fn a_due_payment_gets_its_first_attempt_and_nothing_else() {
    let step = step(&pending(), due(1, 7));

    let attempt = step.payment.attempt.clone().unwrap();
    assert_eq!((attempt.id, attempt.n, attempt.status), (attempt_id(7), 1, AttemptStatus::Sending));
    assert_eq!((attempt.first_sent_at, attempt.account.as_str()), (at(1), "main"));
    assert_eq!((attempt.charge, attempt.decline), (None, None));
    assert_eq!(step.payment.status, Status::Processing);
    assert_eq!((step.payment.version, step.payment.updated_at), (2, at(1)));
    assert_eq!(step.effects, []);
    assert_eq!(step.detail, "attempt 1 begins at main");
    assert_eq!(step.duplicate, None);
}

#[test]
fn what_did_not_leave_is_planned_and_goes_again_as_the_same_attempt() {
    let planned = step(&sending(), Event::NotSent { attempt: 1, reason: "refused".to_owned() });
    let again = step(&planned.payment, Event::Send { attempt: 1 });

    assert_eq!(status_of(&planned.payment), ("processing", Some(AttemptStatus::Planned)));
    assert_eq!((planned.effects, planned.detail.as_str()), (vec![], "refused"));
    assert_eq!(status_of(&again.payment), ("processing", Some(AttemptStatus::Sending)));
    assert_eq!(again.payment.attempt.as_ref().map(|attempt| attempt.n), Some(1));
    assert_eq!((again.effects, again.detail.as_str()), (vec![], "sent again, as the same attempt"));
}

#[test]
fn a_lost_answer_becomes_a_question_and_no_failure() {
    let step = step(&sending(), lost(1));

    assert_eq!(status_of(&step.payment), ("processing", Some(AttemptStatus::Unknown)));
    assert_eq!(step.effects, [reconcile(&step.payment, 1, at(2 + 5))]);
    assert_eq!(step.detail, "no answer");
}

// S1.9
#[test]
fn proven_absence_enqueues_the_charge_anew() {
    let step = step(&unknown(), Event::Absent { attempt: 1 });

    let charge = Job::Charge(Charge { payment: step.payment.id });
    assert_eq!(status_of(&step.payment), ("processing", Some(AttemptStatus::Planned)));
    assert_eq!(step.effects, [Effect::Enqueue(charge, at(3))]);
    assert_eq!(step.detail, "the gateway does not know the attempt");
}

#[test]
fn a_success_settles_the_payment_and_is_told_once() {
    let step = step(&sending(), answered(1, "ch_1", Outcome::Succeeded));

    assert_eq!(status_of(&step.payment), ("succeeded", Some(AttemptStatus::Succeeded)));
    assert_eq!(step.payment.operation.as_deref(), Some("pi_1"));
    assert_eq!(step.payment.attempt.as_ref().and_then(|attempt| attempt.charge.as_deref()), Some("ch_1"));
    assert_eq!(step.effects, [Effect::Emit(EventType::Succeeded)]);
    assert_eq!(step.detail, "the gateway captured it");
}

#[test]
fn a_soft_decline_plans_the_next_attempt_at_the_policys_time() {
    let step = step(&sending(), answered(1, "ch_1", declined("insufficient_funds")));

    let Status::Retrying { next_attempt_at } = step.payment.status else { panic!("{step:?}") };
    let retry = Job::Retry(Retry { payment: step.payment.id, attempt: 2 });
    assert_eq!(step.payment.attempt.as_ref().map(|attempt| attempt.status), Some(AttemptStatus::Declined));
    assert_eq!(step.payment.declines, 1);
    assert_eq!(step.effects, [Effect::Enqueue(retry, next_attempt_at), Effect::Emit(EventType::Retrying)]);
    assert!(step.detail.starts_with("insufficient_funds is "), "{}", step.detail);
    assert!(next_attempt_at > at(2));
}

#[test]
fn a_hard_decline_ends_the_payment() {
    let step = step(&sending(), answered(1, "ch_1", declined("fraudulent")));

    assert_eq!(status_of(&step.payment), ("failed", Some(AttemptStatus::Declined)));
    assert_eq!(step.effects, [Effect::Emit(EventType::Failed), withdraw(&step.payment, at(2))]);
}

// S1.18
#[test]
fn off_session_a_demand_for_authentication_is_a_decline_that_waits_for_the_customer() {
    let step = step(&sending(), answered(1, "ch_1", declined("authentication_required")));

    assert_eq!(status_of(&step.payment), ("requires_action", Some(AttemptStatus::Declined)));
    assert_eq!(step.payment.phase(), Phase::NeedsCustomer);
    let question = reconcile(&step.payment, 1, at(2) + TimeDelta::days(1));
    let later = withdraw(&step.payment, at(1) + TimeDelta::days(30));
    assert_eq!(step.effects, [Effect::Emit(EventType::RequiresAction), question, later]);
}

// S1.18
#[test]
fn on_session_both_require_action_and_the_attempt_is_asked_after() {
    let step = step(&present(), answered(1, "ch_1", asked()));

    assert_eq!(status_of(&step.payment), ("requires_action", Some(AttemptStatus::RequiresAction)));
    assert_eq!(action_url(&step.payment), Some("https://bank.example/approve"));
    let expected = [reconcile(&step.payment, 1, at(2 + 5)), Effect::Emit(EventType::RequiresAction)];
    assert_eq!(step.effects, expected);
    unchanged(&step.payment, answered(1, "ch_1", asked()));
}

#[test]
fn where_the_customer_has_to_go_is_known_only_while_they_have_to() {
    let acting = step(&present(), answered(1, "ch_1", asked())).payment;

    for event in [
        answered(1, "ch_1", Outcome::Succeeded),
        answered(1, "ch_1", Outcome::Pending),
        answered(1, "ch_1", declined("payment_intent_authentication_failure")),
        Event::Canceled { attempt: 1 },
        review(),
    ] {
        assert_eq!(action_url(&step(&acting, event).payment), None);
    }
}

// S3.2
#[test]
fn a_customer_who_is_there_is_not_charged_again_days_later() {
    for code in ["insufficient_funds", "brand_new", "payment_intent_authentication_failure"] {
        let step = step(&present(), answered(1, "ch_1", declined(code)));

        assert_eq!(status_of(&step.payment), ("requires_action", Some(AttemptStatus::Declined)), "{code}");
        assert_eq!(step.payment.phase(), Phase::NeedsCustomer);
        let question = reconcile(&step.payment, 1, at(2) + TimeDelta::days(1));
        let later = withdraw(&step.payment, at(1) + TimeDelta::days(30));
        assert_eq!(step.effects, [Effect::Emit(EventType::RequiresAction), question, later]);
    }
    let stopped = step(&present(), answered(1, "ch_1", declined("fraudulent")));
    assert_eq!(stopped.payment.status, Status::Failed);
}

#[test]
fn what_settles_later_is_asked_after_and_told_to_nobody() {
    let step = step(&sending(), answered(1, "ch_1", Outcome::Pending));

    assert_eq!(status_of(&step.payment), ("processing", Some(AttemptStatus::Pending)));
    assert_eq!(step.effects, [reconcile(&step.payment, 1, at(2 + 5))]);
    unchanged(&step.payment, answered(1, "ch_1", Outcome::Pending));
    unchanged(&step.payment, answered(1, "ch_1", asked()));
}

fn rejected(fate: Fate) -> Event {
    rejected_at(1, fate)
}

fn rejected_at(attempt: u32, fate: Fate) -> Event {
    let code = Some("resource_missing".to_owned());
    let param = Some("payment_method".to_owned());
    let refusal = Refusal { code, param, message: "no such payment method".to_owned() };
    Event::Rejected { attempt, refusal, fate }
}

// S1.22
#[test]
fn a_rejection_keeps_the_gateways_code_and_says_why() {
    let step = step(&sending(), rejected(Fate::Fails));

    let decline = step.payment.attempt.as_ref().and_then(|attempt| attempt.decline.clone()).unwrap();
    assert_eq!(status_of(&step.payment), ("failed", Some(AttemptStatus::Rejected)));
    assert_eq!(
        (decline.code.as_str(), decline.message.as_deref()),
        ("resource_missing", Some("no such payment method (payment_method)"))
    );
    assert_eq!(step.payment.declines, 0);
    assert_eq!(step.effects, [Effect::Emit(EventType::Failed)]);
    assert_eq!(step.detail, "the gateway refused the request: resource_missing: no such payment method");
}

// S1.22
#[test]
fn a_method_that_is_refused_is_the_customers_to_change_and_no_decline() {
    let step = step(&sending(), rejected(Fate::NewMethod));

    assert_eq!(status_of(&step.payment), ("requires_action", Some(AttemptStatus::Rejected)));
    assert_eq!(step.payment.declines, 0);
    assert_eq!(step.effects, [Effect::Emit(EventType::RequiresAction)]);
}

// S1.22
#[test]
fn what_the_account_is_refused_for_waits_and_its_own_job_goes_on() {
    for fate in [Fate::Waits, Fate::OnHold] {
        let sent = step(&sending(), rejected(fate));
        let asked = step(&unknown(), rejected(fate));

        assert_eq!(status_of(&sent.payment), ("pending", Some(AttemptStatus::Rejected)));
        assert_eq!((sent.payment.next_attempt(), sent.effects.len()), (2, 0));
        let charge = Job::Charge(Charge { payment: asked.payment.id });
        assert_eq!(asked.effects, [Effect::Enqueue(charge, asked.payment.updated_at)]);
    }
}

#[test]
fn a_payment_without_an_open_attempt_is_canceled_at_once() {
    let declined = step(&sending(), answered(1, "ch_1", declined("insufficient_funds"))).payment;
    let job = Job::Withdraw(Withdraw::own(declined.id, 1));
    let withdraw = Effect::Hasten(job, declined.updated_at + TimeDelta::seconds(1));

    // What a decline has left at the gateway is canceled there too.
    for (payment, jobs) in [(pending(), vec![]), (declined, vec![withdraw])] {
        let step = step(&payment, Event::Cancel);

        assert_eq!(step.payment.status, Status::Canceled);
        assert_eq!(step.effects, [vec![Effect::Emit(EventType::Canceled)], jobs].concat());
    }
}

#[test]
fn a_review_ends_by_an_end_and_not_by_the_word_that_there_is_none() {
    let overdue = step(&sending(), answered(1, "ch_1", Outcome::Pending)).payment;
    let held = step(&overdue, review()).payment;
    assert_eq!(status_of(&held), ("needs_review", Some(AttemptStatus::Unknown)));

    let settling = step(&held, answered(1, "ch_1", Outcome::Pending));
    let paid = step(&settling.payment, answered(1, "ch_1", Outcome::Succeeded)).payment;

    assert_eq!(status_of(&settling.payment), ("needs_review", Some(AttemptStatus::Pending)));
    assert!(settling.effects.iter().all(|effect| matches!(effect, Effect::Enqueue(..))));
    assert_eq!(status_of(&paid), ("succeeded", Some(AttemptStatus::Succeeded)));
}

// S1.19
#[test]
fn a_cancel_waits_for_the_gateway_while_an_attempt_is_there() {
    let acting = step(&sending(), answered(1, "ch_1", asked())).payment;

    for payment in [sending(), unknown(), acting.clone()] {
        refused(&payment, Event::Cancel);
    }
    let canceled = step(&acting, Event::Canceled { attempt: 1 });
    assert_eq!(status_of(&canceled.payment), ("canceled", Some(AttemptStatus::Canceled)));
}

#[test]
fn an_attempt_that_never_left_is_canceled_with_its_payment() {
    let planned = step(&sending(), Event::NotSent { attempt: 1, reason: String::new() }).payment;

    assert_eq!(
        status_of(&step(&planned, Event::Cancel).payment),
        ("canceled", Some(AttemptStatus::Canceled))
    );
}

// S1.10
#[test]
fn a_payment_in_review_is_still_asked_after_and_its_answer_counts() {
    let held = step(&unknown(), review());

    assert_eq!(status_of(&held.payment), ("needs_review", Some(AttemptStatus::Unknown)));
    assert_eq!(held.effects, [reconcile(&held.payment, 1, at(3 + 5)), Effect::Emit(EventType::NeedsReview)]);
    let settled = step(&held.payment, answered(1, "ch_1", Outcome::Succeeded));
    assert_eq!(settled.payment.status, Status::Succeeded);
}

#[test]
fn a_request_on_the_wire_becomes_a_doubt_when_a_person_has_to_look() {
    let held = step(&sending(), review());

    assert_eq!(status_of(&held.payment), ("needs_review", Some(AttemptStatus::Unknown)));
}

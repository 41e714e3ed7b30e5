//! What people say of a payment in review, and what they do to its jobs.

use super::*;

fn person(n: u8) -> KeyId {
    KeyId::mint(at(0), [n; 10])
}

fn grounds() -> Grounds {
    Grounds { reason: "support says so".to_owned(), evidence: "ticket 1".to_owned() }
}

fn said_as(n: u8) -> ResolutionId {
    ResolutionId::mint(at(0), [n; 10])
}

fn settled(charge: &str) -> Event {
    settled_by(charge, Some("pi_1"))
}

/// A charge of that operation is named, where it is the payment's.
fn settled_by(charge: &str, operation: Option<&str>) -> Event {
    let (charge, operation) = (charge.to_owned(), operation.map(str::to_owned));
    let word = Word::Succeeded { id: said_as(1), charge, operation, grounds: grounds() };
    Event::Resolve { by: person(1), word }
}

fn proposed(by: u8, ruling: Ruling) -> Event {
    Event::Resolve { by: person(by), word: Word::Propose { id: said_as(by), ruling, grounds: grounds() } }
}

/// The first person's proposal is approved.
fn approved(by: u8, ruling: Ruling, is_key_known: bool) -> Event {
    approved_of(1, by, ruling, is_key_known)
}

fn approved_of(proposer: u8, by: u8, ruling: Ruling, is_key_known: bool) -> Event {
    let (proposal, reason) = (said_as(proposer), Some("seen too".to_owned()));
    Event::Resolve { by: person(by), word: Word::Approve { proposal, ruling, reason, is_key_known } }
}

/// A payment whose only attempt is unknown, and a person has to look.
fn held() -> Payment {
    after([due(1, 1), lost(1), review()])
}

/// A payment that was declined for good and then reported as paid.
fn disputed() -> Payment {
    let stopped = after([due(1, 1), answered(1, "ch_1", declined("fraudulent"))]);
    step(&stopped, answered(1, "ch_1", Outcome::Succeeded)).payment
}

/// What one person proposes and another one approves.
fn agreed(payment: &Payment, ruling: Ruling, is_key_known: bool) -> Step {
    let proposal = step(payment, proposed(1, ruling));
    assert_eq!((&proposal.payment.status, &proposal.payment.attempt), (&payment.status, &payment.attempt));
    assert_eq!(proposal.effects, []);
    step(&proposal.payment, approved(2, ruling, is_key_known))
}

// S1.12
#[test]
fn one_person_can_say_that_the_money_was_taken() {
    for payment in [held(), disputed()] {
        let step = step(&payment, settled("ch_1"));

        let attempt = step.payment.attempt.unwrap();
        assert_eq!(step.payment.status, Status::Succeeded);
        assert_eq!((attempt.status, attempt.charge.as_deref()), (AttemptStatus::Succeeded, Some("ch_1")));
        assert_eq!(attempt.decline, None);
        assert_eq!(step.effects, [Effect::Emit(EventType::Succeeded)]);
        let said = step.payment.resolution.unwrap();
        assert_eq!((said.outcome, said.proposed_by), (Ruling::Succeeded, person(1)));
        assert_eq!((said.approved_by, said.resolved_at), (None, Some(step.payment.updated_at)));
        let detail = "resolved as succeeded, by ch_1: support says so (evidence: ticket 1)";
        assert_eq!(step.detail, detail);
    }
}

// S1.12
#[test]
fn an_approval_is_of_the_proposal_that_it_names() {
    let first = step(&held(), proposed(1, Ruling::Canceled)).payment;
    let changed = Grounds { reason: "another reason".to_owned(), ..grounds() };
    let anew = Word::Propose { id: said_as(9), ruling: Ruling::Canceled, grounds: changed };
    let second = step(&first, Event::Resolve { by: person(1), word: anew }).payment;
    let event = approved(2, Ruling::Canceled, false);

    assert_eq!(first.resolvable(&event), Ok(()));
    assert_eq!(second.resolvable(&event), Err(NotResolvable::OtherProposal(said_as(1))));
    refused(&second, event);
}

// S1.12
#[test]
fn what_is_said_has_its_reason_and_its_time() {
    let reason_of = |event: &Event| {
        let Event::Resolve { word, .. } = event else { panic!("{event:?} is no word") };
        word.reason().map(str::to_owned)
    };
    let (said, seen) = (Some("support says so".to_owned()), Some("seen too".to_owned()));

    assert_eq!(reason_of(&settled("ch_1")), said);
    assert_eq!(reason_of(&proposed(1, Ruling::Canceled)), said);
    assert_eq!(reason_of(&approved(2, Ruling::Canceled, true)), seen);
    let proposal = step(&held(), proposed(1, Ruling::ChargeAgain)).payment;
    let again = agreed(&held(), Ruling::ChargeAgain, true).payment;
    assert_eq!((proposal.wanted_again_at(), again.wanted_again_at()), (None, Some(again.updated_at)));
    assert_eq!(agreed(&held(), Ruling::Canceled, true).payment.wanted_again_at(), None);
}

#[test]
fn what_two_agree_was_not_charged_ends() {
    let step = agreed(&held(), Ruling::Canceled, false);

    assert_eq!(status_of(&step.payment), ("canceled", Some(AttemptStatus::Canceled)));
    // There is nothing to cancel by, so it is asked after.
    let question = reconcile(&step.payment, 1, step.payment.updated_at + ASKED_EVERY);
    assert_eq!(step.effects, [question, Effect::Emit(EventType::Canceled)]);
    let said = step.payment.resolution.clone().unwrap();
    assert_eq!((said.proposed_by, said.approved_by), (person(1), Some(person(2))));
    let detail = format!(
        "canceled is approved (seen too); {} proposed it: support says so (evidence: ticket 1)",
        person(1)
    );
    assert_eq!(step.detail, detail);
}

// S1.4, S1.19: should it be there after all, its cancellation brings that to light.
#[test]
fn what_the_gateway_may_have_open_of_it_is_canceled_there_now() {
    let ended = agreed(&disputed(), Ruling::Canceled, false);
    let withdraw = Job::Withdraw(Withdraw::own(ended.payment.id, 1));
    let now = ended.payment.updated_at;

    assert_eq!(ended.effects, [Effect::Hasten(withdraw, now), Effect::Emit(EventType::Canceled)]);
    let found = step(&ended.payment, answered(1, "ch_2", Outcome::Succeeded));
    assert_eq!(found.payment.status.name(), "needs_review");
}

// S1.9
#[test]
fn it_is_charged_again_under_the_same_key_while_the_gateway_knows_that() {
    let step = agreed(&held(), Ruling::ChargeAgain, true);

    let reconcile = Job::Reconcile(Reconcile { payment: step.payment.id, attempt: 1 });
    assert_eq!(status_of(&step.payment), ("processing", Some(AttemptStatus::Unknown)), "a word is no proof");
    assert_eq!(step.payment.attempt.as_ref().map(|attempt| attempt.n), Some(1));
    assert_eq!(step.effects, [Effect::Hasten(reconcile, step.payment.updated_at)]);
}

// S1.9
#[test]
fn a_new_attempt_charges_again_once_the_key_is_forgotten() {
    let again = agreed(&held(), Ruling::ChargeAgain, false);
    let second = step(&again.payment, due(2, 2));

    assert_eq!(status_of(&again.payment), ("pending", Some(AttemptStatus::Canceled)));
    let question = reconcile(&again.payment, 1, again.payment.updated_at + ASKED_EVERY);
    assert_eq!(again.effects[1], question, "should they be wrong");
    let first = again.payment.attempt.clone().unwrap();
    assert!(!held().is_set_aside(held().attempt.as_ref().unwrap()));
    assert!(again.payment.is_set_aside(&first) && second.payment.is_set_aside(&first));
    assert_eq!(status_of(&second.payment), ("processing", Some(AttemptStatus::Sending)));
}

// S1.4
#[test]
fn a_success_of_what_was_said_not_to_be_charged_is_never_dropped() {
    let again = agreed(&held(), Ruling::ChargeAgain, false).payment;
    let second = step(&again, due(2, 2)).payment;
    let paid = step(&second, answered(2, "ch_2", Outcome::Succeeded)).payment;
    let canceled = agreed(&held(), Ruling::Canceled, false).payment;

    for payment in [again, second, canceled] {
        let step = step(&payment, answered(1, "ch_1", Outcome::Succeeded));
        assert_eq!(step.payment.status.name(), "needs_review");
    }
    let twice = step(&paid, answered(1, "ch_1", Outcome::Succeeded));
    assert_eq!(twice.duplicate.and_then(|duplicate| duplicate.charge).as_deref(), Some("ch_1"));
    assert_eq!(twice.refund.map(|refund| refund.charge).as_deref(), Some("ch_1"));
}

// S1.4: a slip in an id must not give back what the customer has paid.
#[test]
fn another_charge_than_the_one_a_person_named_wakes_a_person() {
    let paid = step(&held(), settled("ch_typo")).payment;

    let step = step(&paid, answered(1, "ch_1", Outcome::Succeeded));

    assert_eq!((step.payment.status.name(), step.refund), ("needs_review", None));
    assert_eq!(step.detail, "the gateway reports another charge than the one that a person named");
    unchanged(&paid, answered(1, "ch_typo", Outcome::Succeeded));
}

// S1.17
#[test]
fn what_is_payable_beside_the_charge_that_a_person_names_is_withdrawn() {
    let disputed = disputed();
    let job = Withdraw::other(disputed.id, 1, "pi_1".to_owned());

    for operation in [Some("pi_2"), None] {
        let paid = step(&disputed, settled_by("ch_2", operation));

        assert_eq!(paid.payment.operation.as_deref(), operation);
        let withdraw = Effect::Hasten(Job::Withdraw(job.clone()), paid.payment.updated_at);
        assert_eq!(paid.effects, [Effect::Emit(EventType::Succeeded), withdraw]);
    }
}

// S1.4
#[test]
fn a_capture_beside_the_charge_that_a_person_named_goes_back_where_both_are_the_payments() {
    let paid = step(&disputed(), settled_by("ch_2", Some("pi_2"))).payment;

    let twice = step(&paid, answered(1, "ch_1", Outcome::Succeeded));

    assert_eq!(twice.payment.status, Status::Succeeded);
    assert_eq!(twice.refund.map(|refund| refund.charge).as_deref(), Some("ch_1"));
    let by_hand = step(&held(), settled_by("ch_2", None)).payment;
    let step = step(&by_hand, answered(1, "ch_1", Outcome::Succeeded));
    assert_eq!((step.payment.status.name(), step.refund), ("needs_review", None));
}

// S1.12
#[test]
fn nobody_approves_what_they_proposed_themselves() {
    let proposal = step(&held(), proposed(1, Ruling::ChargeAgain)).payment;
    let why = |event: Event| proposal.resolvable(&event).unwrap_err();

    refused(&proposal, approved(1, Ruling::ChargeAgain, true));
    assert_eq!(why(approved(1, Ruling::ChargeAgain, true)), NotResolvable::SamePerson);
    assert_eq!(why(approved(2, Ruling::Canceled, true)), NotResolvable::NotProposed(Ruling::Canceled));
    assert_eq!(why(proposed(2, Ruling::ChargeAgain)), NotResolvable::Proposed(person(1)));
    unchanged(&proposal, proposed(1, Ruling::ChargeAgain));
}

#[test]
fn another_proposal_takes_the_place_of_the_first() {
    let first = step(&held(), proposed(1, Ruling::ChargeAgain)).payment;
    let second = step(&first, proposed(2, Ruling::Canceled)).payment;

    refused(&second, approved(2, Ruling::ChargeAgain, true));
    refused(&second, approved(2, Ruling::Canceled, false));
    let agreed = step(&second, approved_of(2, 1, Ruling::Canceled, false));
    assert_eq!(agreed.payment.status, Status::Canceled);
}

#[test]
fn a_proposal_ends_with_the_facts_that_it_was_made_upon() {
    let proposal = step(&held(), proposed(1, Ruling::ChargeAgain)).payment;
    let settling = step(&proposal, answered(1, "ch_1", Outcome::Pending)).payment;
    let (job, kind) = (JobId::mint(at(0), [1; 10]), "reconcile".to_owned());
    let asked = step(&proposal, Event::Hurry { job, kind, reason: None }).payment;

    assert_eq!((settling.status.name(), settling.resolution), ("needs_review", None));
    assert_eq!(asked.resolution, proposal.resolution, "to ask once more changes no fact");
}

#[test]
fn a_word_that_makes_no_sense_is_refused_with_what_to_do() {
    let settling = step(&held(), answered(1, "ch_1", Outcome::Pending)).payment;
    let stray = step(&after([Event::Cancel]), answered(1, "ch_1", Outcome::Succeeded)).payment;
    let twice =
        step(&step(&held(), settled("ch_typo")).payment, answered(1, "ch_1", Outcome::Succeeded)).payment;
    let on_the_wire = {
        let waiting = step(&sending(), answered(1, "ch_1", declined("insufficient_funds"))).payment;
        let moment = waiting.waits_until().unwrap();
        let second = waiting.apply(due(2, 2), plan(), moment).unwrap().unwrap().payment;
        step(&second, elsewhere()).payment
    };

    let with_customer = Payment { session: present().session, ..held() };
    let mut tried_enough = held();
    tried_enough.attempt.as_mut().unwrap().n = 15;

    for (payment, event, why) in [
        (with_customer, proposed(1, Ruling::ChargeAgain), NotResolvable::OnSession),
        (tried_enough, proposed(1, Ruling::ChargeAgain), NotResolvable::TooMany),
        (unknown(), settled("ch_1"), NotResolvable::Status("processing")),
        (succeeded(), proposed(1, Ruling::Canceled), NotResolvable::Status("succeeded")),
        (settling, proposed(1, Ruling::ChargeAgain), NotResolvable::Accepted(1)),
        (disputed(), proposed(1, Ruling::ChargeAgain), NotResolvable::Reported),
        (stray, settled("ch_1"), NotResolvable::NoAttempt),
        (twice, proposed(1, Ruling::Canceled), NotResolvable::Paid(1)),
        (on_the_wire, settled("ch_1"), NotResolvable::OnTheWire),
    ] {
        assert_eq!(payment.resolvable(&event), Err(why));
        refused(&payment, event);
    }
}

#[test]
fn a_job_that_a_person_moves_leaves_its_payment_as_it_is() {
    let (job, kind) = (JobId::mint(at(0), [1; 10]), "charge".to_owned());
    for payment in [pending(), held(), succeeded()] {
        let reason = Some("the key is mended".to_owned());
        let step = step(&payment, Event::Release { job, kind: kind.clone(), reason });

        assert_eq!(step.payment.status, payment.status);
        assert_eq!((step.payment.version, step.effects), (payment.version + 1, vec![]));
        assert_eq!(
            step.detail,
            format!("the charge {job}, which was set aside, is released: the key is mended")
        );
    }
}

// S1.12
#[test]
fn a_charge_that_two_people_know_to_be_gone_does_not_come_back() {
    let canceled = agreed(&disputed(), Ruling::Canceled, false).payment;
    let wrong = Answer { amount: Some(euros(1)), ..answer("ch_1", Outcome::Succeeded) };
    let mismatched = step(&sending(), Event::Answered { attempt: 1, answer: wrong.clone() }).payment;
    let refunded = agreed(&mismatched, Ruling::Canceled, false).payment;

    unchanged(&canceled, answered(1, "ch_1", Outcome::Succeeded));
    unchanged(&refunded, Event::Answered { attempt: 1, answer: wrong });
    let other = step(&canceled, answered(1, "ch_2", Outcome::Succeeded)).payment;
    assert_eq!(other.status.name(), "needs_review", "nobody has spoken of that one");
    let unseen = agreed(&held(), Ruling::Canceled, false).payment;
    let found = step(&unseen, answered(1, "ch_1", Outcome::Succeeded)).payment;
    assert_eq!(found.status.name(), "needs_review", "they did not know of any");
}

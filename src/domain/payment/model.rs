//! A model of payments, written from the specification's two tables and from nothing else: random histories
//! must keep to it.

mod acts;

use super::{
    fixtures::{at, euros, pending},
    tests::{answer, asked, attempt_id, declined, plan, present},
    *,
};
use crate::domain::{
    attempt::{Answer, AttemptStatus, Origin, Outcome},
    decline::{Decision, Tried},
    event::EventType,
    rejection::{Fate, Refusal},
    table::Kind,
    update::Update,
};
use acts::{ACTS, Act, NUMBERS, SILENCE, Turn, turn};
use chrono::TimeDelta;
use dunlin_jobs::{Charge, Job, JobId, KeyId, Reconcile, ResolutionId, Retry, Withdraw};
use proptest::prelude::*;

/// The specification's table of attempts: where a status may go.
fn may_go_to(from: AttemptStatus) -> &'static [AttemptStatus] {
    use AttemptStatus as A;
    match from {
        A::Sending => {
            &[A::Succeeded, A::Declined, A::Rejected, A::RequiresAction, A::Pending, A::Planned, A::Unknown]
        }
        // And to a doubt, where it is not proven unsent after all. S1.21: an open attempt that meets the payer's own
        // success ends with it.
        A::Planned => &[A::Sending, A::Canceled, A::Unknown, A::Succeeded],
        A::Unknown => &[
            A::Succeeded,
            A::Declined,
            A::Rejected,
            A::RequiresAction,
            A::Pending,
            A::Planned,
            A::Canceled,
            A::Duplicate,
        ],
        A::Pending => &[A::Succeeded, A::Declined, A::Canceled, A::Unknown],
        A::RequiresAction => &[A::Succeeded, A::Declined, A::Pending, A::Unknown, A::Canceled],
        A::Succeeded | A::Declined | A::Rejected | A::Canceled | A::Duplicate => &[],
    }
}

/// The specification's table of payments: what the latest attempt demands of the payment.
fn demanded(payment: &Payment, canceled: bool) -> Vec<&'static str> {
    use AttemptStatus as A;
    let mut allowed = match payment.attempt.as_ref().map(|attempt| attempt.status) {
        None => vec!["pending"],
        Some(A::Planned | A::Sending | A::Unknown | A::Pending) => vec!["processing"],
        Some(A::RequiresAction) => vec!["requires_action"],
        Some(A::Declined) => vec![after_decline(payment)],
        Some(A::Rejected) => vec![after_rejection(payment)],
        Some(A::Succeeded) => vec!["succeeded"],
        Some(A::Canceled)
            if payment.resolution.as_ref().is_some_and(|it| it.outcome == Ruling::ChargeAgain) =>
        {
            vec!["pending"]
        }
        Some(A::Canceled) => vec!["canceled"],
        Some(A::Duplicate) => vec![],
    };
    // S1.16: no attempt is made by a method that is gone, and none is wanted of it.
    // A late success makes it a person's to say.
    if payment.failure.is_some() && payment.resolution.is_none() {
        allowed = vec!["failed"];
    }
    if canceled && payment.open_attempt().is_none() {
        allowed = vec!["canceled"];
    }
    allowed
}

fn after_decline(payment: &Payment) -> &'static str {
    let attempt = payment.attempt.as_ref().unwrap();
    let on_session = payment.session.is_on();
    let scheduled = payment.declines.saturating_sub(payment.by_hand.declines).max(1);
    let tried = Tried { payment: payment.id, attempt: attempt.n, declines: scheduled, on_session };
    match plan().declines.decide(attempt.decline.as_ref().unwrap(), tried, at(0)).decision {
        Decision::RetryAt(_) => "retrying",
        Decision::NeedCustomer(_) => "requires_action",
        Decision::Review => "needs_review",
        Decision::Stop => "failed",
    }
}

/// What was sorted by the code that this model gives each fate.
fn after_rejection(payment: &Payment) -> &'static str {
    let attempt = payment.attempt.as_ref().unwrap();
    match attempt.decline.as_ref().map(|decline| decline.code.as_str()) {
        Some("fails") => "failed",
        Some("new_method") => "requires_action",
        Some("waits") => "pending",
        None => panic!("a rejection says why"),
        Some(other) => panic!("{other} is no code of this model"),
    }
}

fn rejected(attempt: u32, code: &str, fate: Fate) -> Event {
    let code = Some(code.to_owned());
    let refusal = Refusal { code, param: None, message: "no".to_owned() };
    Event::Rejected { attempt, refusal, fate }
}

/// What the model remembers of one payment.
struct World {
    payment: Payment,
    now: Time,
    attempts: Vec<AttemptStatus>,
    canceled: bool,
    answered: bool,
}

impl World {
    fn of(payment: Payment) -> Self {
        let now = at(0);
        Self { payment, now, attempts: Vec::new(), canceled: false, answered: false }
    }

    fn take(&mut self, (act, offset): Turn) {
        let current = self.payment.attempt.as_ref().map_or(1, |attempt| attempt.n);
        let n = u32::try_from(i64::from(current) + offset).unwrap_or(0);
        let Some(event) = self.event(act, n) else { return };
        let before = self.payment.clone();
        match before.apply(event.clone(), plan(), self.now) {
            Ok(Some(step)) => self.check(&before, &event, step),
            // The payment is as it was; that a fact is known is what `None` says.
            Ok(None) => {
                let is_said_again = matches!(&event, Event::Resolve { word: Word::Propose { .. }, .. });
                let may_be_known =
                    matches!(event.kind(), Kind::Answered | Kind::Retry | Kind::Process | Kind::Edit);
                assert!(may_be_known || is_said_again, "{event:?} fell silent");
            }
            Err(_) => assert!(!matches!(event.kind(), Kind::Answered | Kind::Edit), "{event:?} was refused"),
        }
    }

    fn event(&mut self, act: Act, attempt: u32) -> Option<Event> {
        let reason = "because".to_owned();
        let answered = |charge: u8, outcome| answer(&format!("ch_{charge}"), outcome);
        Some(match act {
            Act::Due => {
                // By chance for another attempt than the next one, as whoever looked too early would have it.
                let id = attempt_id(u8::try_from(self.attempts.len()).unwrap());
                Event::Due { attempt: attempt + u32::from(self.payment.attempt.is_some()), id }
            }
            Act::Send => Event::Send { attempt },
            Act::NotSent => Event::NotSent { attempt, reason },
            Act::Lost => Event::Lost { attempt, reason, operation: None },
            Act::Succeed { charge, wrong_amount } => {
                let amount = if wrong_amount { euros(1) } else { euros(1250) };
                // A charge of another operation, by chance.
                let operation = Some(if charge == 2 { "pi_2" } else { "pi_1" }.to_owned());
                let succeeded = answered(charge, Outcome::Succeeded);
                let answer = Answer { amount: Some(amount), operation, ..succeeded };
                Event::Answered { attempt, answer }
            }
            Act::Decline(code) => Event::Answered { attempt, answer: answered(9, declined(code)) },
            Act::Challenge => Event::Answered { attempt, answer: answered(9, asked()) },
            Act::Accept => Event::Answered { attempt, answer: answered(9, Outcome::Pending) },
            Act::RejectRequest => rejected(attempt, "fails", Fate::Fails),
            Act::RejectMethod => rejected(attempt, "new_method", Fate::NewMethod),
            Act::RejectForNow => rejected(attempt, "waits", Fate::Waits),
            Act::Absent => Event::Absent { attempt },
            Act::Cancel => Event::Cancel,
            Act::Canceled => Event::Canceled { attempt },
            Act::Withdrawn => Event::Withdrawn { attempt },
            Act::Review => Event::Review { reason },
            Act::Retry => Event::Retry { reason: Some(reason) },
            Act::Process => Event::Process,
            Act::Detach => Event::Detached,
            Act::Edit(n) => Event::Edit(edit(n)),
            Act::Settle => resolve(
                0,
                Word::Succeeded {
                    id: said_as(),
                    charge: "ch_hand".to_owned(),
                    operation: Some("pi_hand".to_owned()),
                    grounds: grounds(),
                },
            ),
            Act::Propose(ruling, person) => {
                resolve(person, Word::Propose { id: said_as(), ruling, grounds: grounds() })
            }
            Act::Approve(ruling, person) => resolve(
                person,
                Word::Approve {
                    proposal: said_as(),
                    ruling,
                    reason: None,
                    is_key_known: attempt.is_multiple_of(2),
                },
            ),
            Act::MoveJob => {
                let (job, kind) = (JobId::mint(at(0), [1; 10]), "charge".to_owned());
                Event::Release { job, kind, reason: Some(reason) }
            }
            Act::Wait(hours) => {
                self.now += TimeDelta::hours(hours);
                return None;
            }
        })
    }

    /// Everything the specification says of one change.
    fn check(&mut self, before: &Payment, event: &Event, step: Step) {
        let Step { payment: after, duplicate, refund, effects, detail } = step;
        assert_eq!(after.version, before.version + 1);
        assert_eq!(after.updated_at, self.now);
        assert!(!detail.is_empty());
        if let Event::Release { .. } = event {
            let moved = Payment { version: after.version, updated_at: after.updated_at, ..before.clone() };
            assert_eq!((&after, effects.as_slice()), (&moved, &[][..]));
            self.payment = after;
            return;
        }
        if let Event::Withdrawn { .. } = event {
            let (version, updated_at) = (after.version, after.updated_at);
            assert!(
                before.open_attempt().is_none()
                    && !matches!(before.status, Status::Succeeded | Status::Canceled),
                "{}",
                before.status.name()
            );
            let withdrawn = Payment { operation: None, version, updated_at, ..before.clone() };
            assert_eq!((&after, effects.as_slice()), (&withdrawn, &[][..]));
            self.payment = after;
            return;
        }
        let same = Payment { version: before.version, updated_at: before.updated_at, ..after.clone() };
        assert!(same != *before || duplicate.is_some(), "{event:?} changed nothing but the version");
        self.check_attempts(before, event, &after, duplicate.as_ref());
        if matches!(event.kind(), Kind::Process | Kind::Edit) {
            self.check_update(before, event, &after, &effects);
            self.payment = after;
            return;
        }
        let returned = refund.map(|refund| refund.charge);
        assert_eq!(returned, duplicate.as_ref().and_then(|duplicate| duplicate.charge.clone()));
        self.canceled |= matches!(event, Event::Cancel | Event::Canceled { .. });
        self.check_word(before, event, &after);
        self.answered |= matches!(event, Event::Answered { .. } | Event::Rejected { .. });
        self.check_status(before, event, &after);
        check_jobs(before, &after, event, &effects);
        check_events(before, &after, duplicate.is_some(), &effects);
        self.payment = after;
    }

    /// S1.12: what may charge again, or hide a charge, takes two, who speak of the same facts.
    fn check_word(&mut self, before: &Payment, event: &Event, after: &Payment) {
        let Event::Resolve { by, word } = event else {
            assert_eq!(after.proposal(), None, "{event:?} left a proposal upon other facts");
            return;
        };
        assert!(before.status.review_reason().is_some(), "{} is resolved", before.status.name());
        match word {
            Word::Succeeded { .. } => {
                assert_eq!(after.status, Status::Succeeded);
                self.canceled = false;
            }
            Word::Propose { ruling, .. } => {
                let proposed = after.proposal().map(|proposal| (proposal.outcome, proposal.proposed_by));
                assert_eq!((&after.status, &after.attempt), (&before.status, &before.attempt));
                assert_eq!(proposed, Some((*ruling, *by)));
            }
            Word::Approve { ruling, .. } => {
                let proposal = before.proposal().unwrap();
                assert!(proposal.outcome == *ruling && proposal.proposed_by != *by, "one person decided");
                self.canceled |= *ruling == Ruling::Canceled;
            }
        }
    }

    fn check_attempts(
        &mut self,
        before: &Payment,
        event: &Event,
        after: &Payment,
        duplicate: Option<&Attempt>,
    ) {
        let open = |status: &AttemptStatus| status.is_open();
        if let Some(attempt) = &after.attempt {
            let index = usize::try_from(attempt.n).unwrap() - 1;
            if let Some(status) = self.attempts.get_mut(index) {
                let by_hand = matches!(event, Event::Resolve { word: Word::Succeeded { .. }, .. })
                    && attempt.status == AttemptStatus::Succeeded;
                let legal =
                    *status == attempt.status || may_go_to(*status).contains(&attempt.status) || by_hand;
                assert!(legal, "{event:?} moved {status:?} to {:?}", attempt.status);
                *status = attempt.status;
            } else {
                if attempt.origin == Origin::Gateway {
                    self.check_received(before, event, attempt);
                    assert_eq!(index, self.attempts.len(), "attempt numbers have a gap");
                    self.attempts.push(attempt.status);
                    return;
                }
                assert!(matches!(event, Event::Due { .. }), "{event:?} made an attempt");
                assert_eq!(index, self.attempts.len(), "attempt numbers have a gap");
                assert!(!self.attempts.iter().any(open), "a second attempt was opened");
                assert!(before.waits_until().is_none_or(|due| due <= self.now), "it came too early");
                assert!(index > 0 || before.start != Start::OnRequest, "nobody has asked for it");
                assert_eq!(attempt.status, AttemptStatus::Sending);
                self.attempts.push(attempt.status);
            }
        }
        let latest = after.attempt.as_ref().map_or(0, |attempt| attempt.n);
        assert_eq!(usize::try_from(latest), Ok(self.attempts.len()), "the latest attempt was put away");
        assert!(self.attempts.iter().filter(|status| open(status)).count() <= 1);
        let successes = self.attempts.iter().filter(|status| **status == AttemptStatus::Succeeded).count();
        assert!(successes <= 1, "two successes");
        if let Some(duplicate) = duplicate {
            assert_eq!((successes, duplicate.status), (1, AttemptStatus::Duplicate));
            assert_eq!(duplicate.n, latest + 1);
        }
    }

    /// S1.21: nothing but the payment's own operation, by a charge that it has not met, pays what had stayed payable;
    /// one that has no attempt has none yet.
    fn check_received(&self, before: &Payment, event: &Event, attempt: &Attempt) {
        let Event::Answered { answer, .. } = event else { panic!("{event:?} made an attempt") };
        assert_eq!((&answer.outcome, attempt.status), (&Outcome::Succeeded, AttemptStatus::Succeeded));
        let is_own = answer.operation == before.operation || before.attempt.is_none();
        assert!(is_own && answer.amount == Some(before.money));
        assert!(answer.charge.is_some() && attempt.charge == answer.charge);
        assert!(before.open_attempt().is_none() && !self.attempts.contains(&AttemptStatus::Succeeded));
        let known = ["pending", "retrying", "requires_action", "failed"];
        assert!(known.contains(&before.status.name()), "{} was paid", before.status.name());
    }

    /// What a caller changes moves no attempt and no status, and is told once.
    fn check_update(&self, before: &Payment, event: &Event, after: &Payment, effects: &[Effect]) {
        let told = Effect::Emit(EventType::Updated);
        let (version, updated_at) = (after.version, after.updated_at);
        if let Event::Edit(_) = event {
            let (description, metadata) = (after.description.clone(), after.metadata.clone());
            assert_eq!(*after, Payment { description, metadata, version, updated_at, ..before.clone() });
            assert_eq!(effects, [told]);
            return;
        }
        assert_eq!((before.status.name(), before.attempt.as_ref()), ("pending", None));
        assert_eq!(*after, Payment { start: Start::At(self.now), version, updated_at, ..before.clone() });
        let charge = Job::Charge(Charge { payment: after.id });
        assert_eq!(effects, [Effect::Hasten(charge, self.now), told]);
    }

    fn check_status(&self, before: &Payment, event: &Event, after: &Payment) {
        let status = after.status.name();
        let success = matches!(event, Event::Answered { answer, .. } if answer.outcome == Outcome::Succeeded);
        let acting =
            after.attempt.as_ref().is_some_and(|attempt| attempt.status == AttemptStatus::RequiresAction);
        let directed = after.attempt.as_ref().is_some_and(|attempt| attempt.action_url.is_some());
        assert_eq!(directed, acting, "{event:?} sends a customer somewhere, or nowhere");
        assert!(status != "retrying" || !after.session.is_on(), "{event:?} retries a customer who was there");
        if let Event::Retry { .. } = event {
            let known = ["retrying", "failed", "requires_action"].contains(&before.status.name());
            assert!(known && before.open_attempt().is_none(), "{} is retried", before.status.name());
            assert_eq!(after.status, Status::Retrying { next_attempt_at: self.now });
            let final_word = before.attempt.as_ref().and_then(|attempt| attempt.decline.as_ref());
            assert!(final_word.is_none_or(|decline| decline.code != "fraudulent"), "against the rules");
            return;
        }
        if before.status.is_final() {
            assert!(success, "{event:?} moved a payment that was {}", before.status.name());
            let may_succeed = before.status != Status::Canceled && status == "succeeded";
            assert!(status == "needs_review" || may_succeed, "{} became {status}", before.status.name());
        }
        if status != "needs_review" {
            let demanded = demanded(after, self.canceled);
            assert!(demanded.contains(&status), "{event:?}: {status}, but {demanded:?} is demanded");
        }
        // S1.11: silence fails nothing.
        assert!(
            status != "failed" || self.answered || *event == Event::Detached,
            "{event:?} failed a payment that nobody answered for"
        );
    }
}

fn edit(n: u32) -> Edit {
    let value = Some(n.to_string()).filter(|_| n > 0);
    let description = value.clone().map_or(Update::Clear, Update::Set);
    Edit { description, metadata: BTreeMap::from([("order".to_owned(), value)]) }
}

fn said_as() -> ResolutionId {
    ResolutionId::mint(at(0), [1; 10])
}

fn grounds() -> Grounds {
    Grounds { reason: "the dashboard shows it".to_owned(), evidence: "ticket 1".to_owned() }
}

fn resolve(person: u8, word: Word) -> Event {
    Event::Resolve { by: KeyId::mint(at(0), [person; 10]), word }
}

/// A payment is never left waiting for what nobody will do.
fn check_jobs(before: &Payment, after: &Payment, event: &Event, effects: &[Effect]) {
    let has = |wanted: &Job, due: Option<Time>| {
        effects.iter().any(|effect| {
            matches!(effect, Effect::Enqueue(job, at) | Effect::Hasten(job, at) if job == wanted && due.is_none_or(|due| due == *at))
        })
    };
    if let Status::Retrying { next_attempt_at } = after.status {
        let retry = Job::Retry(Retry { payment: after.id, attempt: after.next_attempt() });
        assert!(has(&retry, Some(next_attempt_at)), "nobody retries");
    }
    // S1.21: what is not tried any more is withdrawn, or asked after until then.
    let is_left = after.operation.is_some() && before.status.name() != after.status.name();
    let withdraw = Job::Withdraw(Withdraw::own(after.id, after.next_attempt() - 1));
    if is_left && (after.status == Status::Failed || after.is_payable()) {
        assert!(has(&withdraw, None), "nobody withdraws what is left at the gateway");
    }
    // S1.17: a payment comes to another operation only where the one that it had is withdrawn.
    if let Some(former) = before.operation.clone().filter(|_| after.operation != before.operation) {
        let withdraw = Job::Withdraw(Withdraw::other(after.id, (after.next_attempt() - 1).max(1), former));
        assert!(has(&withdraw, Some(after.updated_at)), "nobody withdraws the operation that it had");
    }
    if after.is_payable() && !before.is_payable() {
        let question = Job::Reconcile(Reconcile { payment: after.id, attempt: after.next_attempt() - 1 });
        assert!(has(&question, None), "nobody asks whether it was paid");
    }
    let status = |payment: &Payment| payment.attempt.as_ref().map(|attempt| (attempt.n, attempt.status));
    if let (Some((n, new)), true) = (status(after), status(before) != status(after)) {
        let asked =
            matches!(new, AttemptStatus::Unknown | AttemptStatus::Pending | AttemptStatus::RequiresAction);
        let reconcile = Job::Reconcile(Reconcile { payment: after.id, attempt: n });
        assert!(!asked || has(&reconcile, None), "nobody asks after attempt {n}, which is {new:?}");
        let charge = Job::Charge(Charge { payment: after.id });
        let absent = matches!(event, Event::Absent { .. });
        assert!(!absent || has(&charge, None), "nobody charges what was absent");
    }
    if let Event::Resolve { word: Word::Approve { ruling: Ruling::ChargeAgain, .. }, .. } = event {
        let charge = Job::Charge(Charge { payment: after.id });
        let n = after.attempt.as_ref().map_or(1, |attempt| attempt.n);
        let reconcile = Job::Reconcile(Reconcile { payment: after.id, attempt: n });
        let is_doubt = after.open_attempt().is_some_and(|it| it.status == AttemptStatus::Unknown);
        let wanted = if is_doubt { reconcile } else { charge };
        assert!(has(&wanted, Some(after.updated_at)), "nobody does what two people want");
    }
}

/// The merchant is told of each new status that matters to him, once.
fn check_events(before: &Payment, after: &Payment, duplicate: bool, effects: &[Effect]) {
    let told: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Emit(kind) => Some(*kind),
            Effect::Enqueue(..) | Effect::Hasten(..) => None,
        })
        .collect();
    let expected = match &after.status {
        Status::Pending | Status::Processing => None,
        Status::RequiresAction => Some(EventType::RequiresAction),
        Status::Retrying { .. } => Some(EventType::Retrying),
        Status::Succeeded if duplicate => Some(EventType::DuplicateCapture),
        Status::Succeeded => Some(EventType::Succeeded),
        Status::Failed => Some(EventType::Failed),
        Status::Canceled => Some(EventType::Canceled),
        // Told when the review begins, not at each fact that comes in while it lasts.
        Status::NeedsReview { .. } if before.status.review_reason().is_some() && told.is_empty() => None,
        Status::NeedsReview { .. } => Some(EventType::NeedsReview),
    };
    assert_eq!(told, Vec::from_iter(expected));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_to_the_specifications_tables(
        numbers in prop::collection::vec(0..NUMBERS * 10, 1..24), on_session: bool, start in 0..3_usize
    ) {
        let session = if on_session { present().session } else { Session::Off };
        let start = [Start::Now, Start::At(at(86_400)), Start::OnRequest][start];
        let mut world = World::of(Payment { session, start, ..pending() });
        for number in numbers {
            world.take(turn(number));
        }
    }

    // S1.11
    #[test]
    fn silence_neither_fails_a_payment_nor_charges_it_a_second_time(
        numbers in prop::collection::vec((0..SILENCE, 0..320_u32), 1..24)
    ) {
        let mut world = World::of(pending());
        for (act, rest) in numbers {
            world.take(turn(act + rest * ACTS));
            let status = &world.payment.status;
            prop_assert!(!status.is_final(), "{status:?}");
            prop_assert!(world.attempts.len() <= 1);
        }
    }
}

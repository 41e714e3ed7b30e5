//! Outcomes that people resolve, against the sandbox's ledger: what they agree on happens once, and what they were wrong
//! about is not lost (S1.12).

use crate::support::{
    both,
    database::Database,
    webhooks,
    world::{self, World},
};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::{AttemptStatus, ExchangeKind},
        payment::{Payment, Ruling, Status},
    },
    flow::{FlowError, resolve::Request},
    gateway::{
        Call, Reply,
        client::{Client, SendError},
    },
    store::KeyHolder,
};
use dunlin_jobs::PaymentId;
use futures_util::FutureExt;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

both! {
    what_a_person_says_was_taken_is_paid_and_never_charged_again
    a_charge_that_is_named_counts_only_as_the_gateway_shows_it
    what_never_arrived_is_charged_once_when_two_agree
    while_the_gateway_knows_the_key_it_charges_once_whoever_was_wrong
    what_people_want_again_is_not_sent_again_once_its_key_may_be_forgotten
    credentials_that_are_refused_upon_a_word_do_not_begin_another_attempt
    a_refusal_upon_a_word_is_not_about_what_was_sent_before
    what_people_want_again_is_asked_after_before_it_is_sent
    a_new_attempt_that_people_want_begins_only_once_the_gateway_denies_the_old_one
    what_may_still_come_to_light_is_waited_for
    a_success_that_comes_to_light_later_is_given_back
    what_two_agree_was_not_charged_is_canceled_at_the_gateway
    a_cancellation_of_what_was_charged_comes_back_to_a_person
    what_two_agree_was_given_back_is_canceled_for_good
}

/// What becomes of a call.
pub(crate) enum Fate {
    Through,
    /// It does not arrive, and nobody can tell.
    Lost,
    /// It is executed, and its answer is lost.
    Taken,
    /// It does not arrive: something before the gateway's own work answers with this status and body.
    Answered(u16, &'static str),
}

/// A listing that shows nothing.
pub(crate) const EMPTY: &str = "{\"object\":\"list\",\"data\":[],\"has_more\":false}";

/// Whether it asks for the intents of a time.
pub(crate) fn is_listing(call: &Call) -> bool {
    call.method == "GET" && call.path.starts_with("/v1/payment_intents?")
}

/// Decides on each call, by the number of the POST that it is and by the time since the beginning.
pub(crate) fn meet(world: &mut World, fate: impl Fn(usize, TimeDelta) -> Fate + Send + Sync + 'static) {
    meet_calls(world, move |_, nth, passed| fate(nth, passed));
}

/// The same, by the call too.
pub(crate) fn meet_calls(
    world: &mut World,
    fate: impl Fn(&Call, usize, TimeDelta) -> Fate + Send + Sync + 'static,
) {
    let (bank, clock) = (Arc::clone(&world.bank), world.flows.clock().clone());
    let (begin, posts) = (clock.now(false), AtomicUsize::new(0));
    world.flows.client = Client::in_process(Arc::new(move |call: &Call| {
        let is_post = call.method == "POST";
        let nth = if is_post { posts.fetch_add(1, Ordering::SeqCst) } else { usize::MAX };
        let lost = Err(SendError::Lost("no answer".to_owned()));
        let result = match fate(call, nth, clock.now(false) - begin) {
            Fate::Through => world::answer(&bank, call),
            Fate::Lost => lost,
            Fate::Taken => world::answer(&bank, call).and(lost),
            Fate::Answered(status, body) => {
                Ok(Reply { status, headers: BTreeMap::new(), body: body.as_bytes().to_vec() })
            }
        };
        std::future::ready(result).boxed()
    }));
}

impl World {
    pub(crate) async fn say(
        &self,
        by: &KeyHolder,
        id: PaymentId,
        request: Request,
    ) -> Result<Payment, FlowError> {
        self.flows.resolve_payment(by, id, request).await.map(|(payment, _)| payment)
    }

    async fn propose(&self, by: &KeyHolder, id: PaymentId, outcome: Ruling) -> Payment {
        self.say(by, id, said(outcome, None)).await.unwrap()
    }

    async fn approve(&self, by: &KeyHolder, id: PaymentId, outcome: Ruling) -> Result<Payment, FlowError> {
        let approve = self.payment(id).await.resolution.and_then(|proposal| proposal.id);
        let request = Request { reason: None, evidence: None, approve, ..said(outcome, None) };
        self.say(by, id, request).await
    }

    /// What one person proposes and another one approves.
    pub(crate) async fn agree(&self, id: PaymentId, outcome: Ruling) -> Payment {
        let (first, second) = (self.person(1), self.person(2));
        let proposal = self.propose(&first, id, outcome).await;
        assert_eq!(proposal.status.name(), "needs_review", "one person decides nothing");
        self.approve(&second, id, outcome).await.unwrap()
    }

    pub(crate) async fn in_review(&self, id: PaymentId) -> Payment {
        let payment = self.payment(id).await;
        assert!(payment.status.review_reason().is_some(), "{:?}", payment.status);
        payment
    }

    /// A line of the sandbox's ledger.
    pub(crate) fn capture(&self, index: usize) -> Value {
        let page = world::admin(&self.bank, "GET", "captures", "after=0&limit=10", "");
        page["captures"][index].clone()
    }

    /// A person says that this charge has paid for it.
    pub(crate) async fn name_charge(&self, id: PaymentId, charge: &str) -> Payment {
        self.say(&self.person(1), id, said(Ruling::Succeeded, Some(charge))).await.unwrap()
    }

    async fn attempts(&self, id: PaymentId) -> Vec<AttemptStatus> {
        let attempts = self.flows.store.list_attempts(id).await.unwrap();
        attempts.into_iter().map(|attempt| attempt.status).collect()
    }
}

pub(crate) fn said(outcome: Ruling, charge: Option<&str>) -> Request {
    Request {
        outcome,
        reason: Some("the dashboard shows it".to_owned()),
        evidence: Some("https://dashboard.example/1".to_owned()),
        charge: charge.map(str::to_owned),
        approve: None,
        key: world::key(&format!("{outcome:?}{:?}", rand::random::<u64>()), "same"),
    }
}

pub(crate) const HOUR: TimeDelta = TimeDelta::hours(1);

async fn what_a_person_says_was_taken_is_paid_and_never_charged_again(database: Database) {
    let mut world = World::new(database).await;
    meet(&mut world, |nth, passed| match nth {
        0 => Fate::Taken,
        _ if passed < HOUR * 37 => Fate::Lost,
        _ => Fate::Through,
    });
    let id = world.pay("pm_card_visa").await.id;
    world.travel(HOUR * 37 - TimeDelta::seconds(1)).await;
    world.in_review(id).await;
    world.pass(TimeDelta::seconds(1));
    let charge = world.capture(0)["charge"].as_str().unwrap().to_owned();

    let paid = world.say(&world.person(1), id, said(Ruling::Succeeded, Some(&charge))).await.unwrap();
    world.travel(TimeDelta::days(10)).await;
    world.try_refund(id, Some(500), "r").await.unwrap();
    world.run_due_jobs().await;

    assert_eq!(paid.status, Status::Succeeded);
    assert_eq!((world.captures(id), world.attempts(id).await), (1, vec![AttemptStatus::Succeeded]));
    assert_eq!(world.returned().iter().map(|(_, minor)| *minor).collect::<Vec<_>>(), [500]);
    assert_eq!(world.flows.store.list_jobs(id).await.unwrap(), []);
    let events = world.flows.store.list_event_types(id).await.unwrap();
    assert_eq!(events.iter().filter(|event| *event == "payment.succeeded").count(), 1);
}

// S1.15
async fn a_charge_that_is_named_counts_only_as_the_gateway_shows_it(database: Database) {
    let mut world = World::new(database).await;
    meet(&mut world, |nth, passed| match nth {
        0 => Fate::Taken,
        _ if passed < HOUR * 37 => Fate::Lost,
        _ => Fate::Through,
    });
    let id = world.pay("pm_card_visa").await.id;
    world.travel(HOUR * 37 - TimeDelta::seconds(1)).await;
    let charge = world.capture(0)["charge"].as_str().unwrap().to_owned();
    let person = world.person(1);
    let others = world.charge_beside(1250);
    let unanswered = world.say(&person, id, said(Ruling::Succeeded, Some(&charge))).await;
    world.pass(TimeDelta::seconds(1));

    let mut refused = Vec::new();
    for charge in ["ch_from_the_dashboard", "ch_1/../ch_2", &others] {
        refused.push(world.say(&person, id, said(Ruling::Succeeded, Some(charge))).await);
    }
    let held = world.in_review(id).await;
    let paid = world.say(&person, id, said(Ruling::Succeeded, Some(&charge))).await.unwrap();

    assert!(matches!(unanswered, Err(FlowError::Later(_))), "{unanswered:?}");
    for (refused, why) in refused.into_iter().zip(["has no charge", "has no charge", "another payment's"]) {
        let Err(FlowError::Invalid { field, detail }) = refused else { panic!("{refused:?}") };
        assert!(field == "charge" && detail.contains(why), "{detail}");
    }
    assert_eq!(held.attempt.unwrap().status, AttemptStatus::Unknown);
    assert_eq!((paid.status, world.captures(id)), (Status::Succeeded, 1));
}

async fn what_never_arrived_is_charged_once_when_two_agree(database: Database) {
    let mut world = World::new(database).await;
    meet(&mut world, |_, passed| if passed < HOUR * 37 { Fate::Lost } else { Fate::Through });
    let id = world.pay("pm_card_visa").await.id;
    world.travel(HOUR * 37 - TimeDelta::seconds(1)).await;
    world.in_review(id).await;

    let (first, second) = (world.person(1), world.person(2));
    world.propose(&first, id, Ruling::ChargeAgain).await;
    let alone = world.approve(&first, id, Ruling::ChargeAgain).await;
    let agreed = world.approve(&second, id, Ruling::ChargeAgain).await.unwrap();
    world.travel(HOUR).await;

    assert!(matches!(alone, Err(FlowError::Conflict { code: "second_approver_needed", .. })), "{alone:?}");
    assert_eq!(agreed.status, Status::Pending);
    assert_eq!(world.payment(id).await.status, Status::Succeeded);
    assert_eq!(world.attempts(id).await, [AttemptStatus::Canceled, AttemptStatus::Succeeded]);
    assert_eq!(world.captures(id), 1);
    let history = world.flows.store.list_history(id).await.unwrap();
    let who = history.iter().filter(|line| line.cause == "resolve").map(|line| line.actor.clone());
    assert_eq!(who.collect::<Vec<_>>(), [first.key.to_string(), second.key.to_string()]);
}

// S1.9
async fn while_the_gateway_knows_the_key_it_charges_once_whoever_was_wrong(database: Database) {
    let mut world = World::with_settings(database, |settings| settings.review_after_s = 3600).await;
    meet(&mut world, |nth, passed| match nth {
        0 => Fate::Taken,
        _ if passed < HOUR * 4 => Fate::Lost,
        _ => Fate::Through,
    });
    let id = world.pay("pm_card_visa").await.id;
    world.travel(HOUR * 4 - TimeDelta::seconds(1)).await;
    world.in_review(id).await;

    let agreed = world.agree(id, Ruling::ChargeAgain).await;
    world.travel(TimeDelta::minutes(10)).await;

    // What people say does not prove that nothing was sent.
    assert_eq!(agreed.attempt.unwrap().status, AttemptStatus::Unknown);
    assert_eq!(world.payment(id).await.status, Status::Succeeded);
    assert_eq!((world.captures(id), world.attempts(id).await), (1, vec![AttemptStatus::Succeeded]));
}

/// A payment that was taken, whose answer was lost, and which two people want charged again after four hours; from
/// then until `until` each call meets `fate`.
async fn wanted_again(world: &mut World, until: TimeDelta, fate: fn(usize) -> Fate) -> PaymentId {
    meet(world, move |nth, passed| match nth {
        0 => Fate::Taken,
        _ if passed < HOUR * 4 => Fate::Lost,
        _ if passed < until => fate(nth),
        _ => Fate::Through,
    });
    let id = world.pay("pm_card_visa").await.id;
    world.travel(HOUR * 4 - TimeDelta::seconds(1)).await;
    world.in_review(id).await;
    world.agree(id, Ruling::ChargeAgain).await;
    world.travel(TimeDelta::minutes(10)).await;
    id
}

async fn early_review(database: Database) -> World {
    World::with_settings(database, |settings| settings.review_after_s = 3600).await
}

/// It was charged once, and nothing else was ever said of it.
async fn assert_charged_once(world: &World, id: PaymentId) {
    assert_eq!(world.payment(id).await.status, Status::Succeeded);
    assert_eq!((world.captures(id), world.attempts(id).await), (1, vec![AttemptStatus::Succeeded]));
    let events = world.flows.store.list_event_types(id).await.unwrap();
    assert!(!events.iter().any(|event| event == "payment.failed"), "{events:?}");
    assert_eq!(events.iter().filter(|event| *event == "payment.succeeded").count(), 1);
}

// S2.11
async fn what_people_want_again_is_not_sent_again_once_its_key_may_be_forgotten(database: Database) {
    let mut world = early_review(database).await;
    let slow_down = |_| Fate::Answered(429, "{\"error\":{\"type\":\"invalid_request_error\"}}");
    let id = wanted_again(&mut world, HOUR * 31, slow_down).await;

    world.travel(HOUR * 40).await;

    assert_charged_once(&world, id).await;
    let exchanges = world.flows.store.list_exchanges(id).await.unwrap();
    let sends: Vec<_> = exchanges.iter().filter(|exchange| exchange.kind.is_charge()).collect();
    let limit = sends[0].opened_at + HOUR * 96 / 5;
    assert!(sends.len() > 3 && sends.iter().all(|send| send.opened_at < limit), "{sends:?}");
}

// S1.8
async fn credentials_that_are_refused_upon_a_word_do_not_begin_another_attempt(database: Database) {
    let mut world = early_review(database).await;
    let refuse = |_| Fate::Answered(401, "{\"error\":{\"type\":\"invalid_request_error\"}}");
    let id = wanted_again(&mut world, HOUR * 6, refuse).await;

    world.travel(HOUR * 20).await;

    assert_charged_once(&world, id).await;
}

// S1.8
async fn a_refusal_upon_a_word_is_not_about_what_was_sent_before(database: Database) {
    let mut world = early_review(database).await;
    let missing = |nth| match nth {
        usize::MAX => Fate::Lost,
        _ => Fate::Answered(
            404,
            "{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"resource_missing\"}}",
        ),
    };
    let id = wanted_again(&mut world, HOUR * 6, missing).await;
    let meanwhile = world.payment(id).await;

    world.travel(HOUR * 20).await;

    assert_eq!(meanwhile.attempt.unwrap().status, AttemptStatus::Unknown);
    assert_charged_once(&world, id).await;
}

// S1.9
async fn what_people_want_again_is_asked_after_before_it_is_sent(database: Database) {
    let mut world = early_review(database).await;
    let id = wanted_again(&mut world, HOUR * 4, |_| Fate::Through).await;

    let exchanges = world.flows.store.list_exchanges(id).await.unwrap();

    assert_charged_once(&world, id).await;
    assert_eq!(exchanges.last().unwrap().kind, ExchangeKind::Query);
}

// S1.9
async fn a_new_attempt_that_people_want_begins_only_once_the_gateway_denies_the_old_one(database: Database) {
    let mut world = World::new(database).await;
    meet(&mut world, |nth, passed| match nth {
        0 => Fate::Taken,
        // The gateway takes charges again before it can be asked.
        usize::MAX if passed < HOUR * 40 => Fate::Lost,
        _ if passed < HOUR * 37 => Fate::Lost,
        _ => Fate::Through,
    });
    let id = world.pay("pm_card_visa").await.id;
    world.travel(HOUR * 37 - TimeDelta::seconds(1)).await;
    world.agree(id, Ruling::ChargeAgain).await;

    world.travel(HOUR).await;
    let (waits, captures) = (world.payment(id).await.status, world.captures(id));
    world.travel(HOUR * 4).await;

    assert_eq!((waits, captures), (Status::Pending, 1));
    assert_eq!((world.captures(id), world.attempts(id).await), (1, vec![AttemptStatus::Canceled]));
    world.in_review(id).await;
}

// S1.9
async fn what_may_still_come_to_light_is_waited_for(database: Database) {
    let mut world = World::with_settings(database, |settings| settings.review_after_s = 600).await;
    world.order(&serde_json::json!({ "fault": "error_stored", "times": 1 }));
    // The gateway keeps the error under the key, so its key is of no use; and it cannot be asked.
    meet(
        &mut world,
        |nth, passed| {
            if nth == usize::MAX && passed < HOUR * 3 { Fate::Lost } else { Fate::Through }
        },
    );
    let id = world.pay("pm_card_visa").await.id;
    world.travel(HOUR).await;
    world.in_review(id).await;
    let (first, second) = (world.person(1), world.person(2));
    let mut early = Vec::new();

    for ruling in [Ruling::Canceled, Ruling::ChargeAgain] {
        world.propose(&first, id, ruling).await;
        early.push(world.approve(&second, id, ruling).await);
    }
    world.travel(HOUR * 2).await;
    let late = world.approve(&second, id, Ruling::ChargeAgain).await.unwrap();
    world.travel(TimeDelta::minutes(1)).await;

    for early in early {
        let Err(FlowError::Conflict { code: "payment_not_resolvable", detail, .. }) = early else {
            panic!("{early:?}")
        };
        assert!(detail.contains("may come to light"), "{detail}");
    }
    assert_eq!(late.status, Status::Pending);
    assert_eq!(world.payment(id).await.status, Status::Succeeded);
    assert_eq!(world.captures(id), 1);
}

// S1.4: two people were wrong, after the gateway had forgotten the key, and so was its listing.
async fn a_success_that_comes_to_light_later_is_given_back(database: Database) {
    let mut world = World::new(database).await;
    meet(&mut world, |nth, passed| match nth {
        0 => Fate::Taken,
        _ if passed < HOUR * 37 => Fate::Lost,
        usize::MAX if passed < HOUR * 37 + TimeDelta::minutes(1) => Fate::Answered(200, EMPTY),
        _ => Fate::Through,
    });
    let id = world.pay("pm_card_visa").await.id;
    world.travel(HOUR * 37 - TimeDelta::seconds(1)).await;
    world.agree(id, Ruling::ChargeAgain).await;
    world.travel(TimeDelta::minutes(1)).await;
    assert_eq!((world.captures(id), world.payment(id).await.status), (2, Status::Succeeded));

    let intent = world.capture(0)["intent"].as_str().unwrap().to_owned();
    let body = webhooks::intent_event("evt_1", "payment_intent.succeeded", &id.to_string(), &intent);
    let headers = webhooks::headers(world.flows.clock().now(false).timestamp(), &body);
    world.flows.take_gateway_event("sandbox", &headers, body.as_bytes()).await.unwrap();
    world.travel(HOUR).await;

    let all = [AttemptStatus::Canceled, AttemptStatus::Succeeded, AttemptStatus::Duplicate];
    assert_eq!(world.attempts(id).await, all);
    assert_eq!(world.returned().iter().map(|(_, minor)| *minor).collect::<Vec<_>>(), [1250]);
    assert_eq!(world.payment(id).await.status, Status::Succeeded);
}

/// A payment whose second attempt, at an intent that is known, is in review; the gateway answers again in two days.
pub(crate) async fn second_in_review(world: &mut World, taken: bool) -> PaymentId {
    meet(world, move |nth, passed| match nth {
        0 => Fate::Through,
        1 if taken => Fate::Taken,
        _ if passed < TimeDelta::days(4) => Fate::Lost,
        _ => Fate::Through,
    });
    let id = world.pay("pm_sandbox_insufficient_funds_1").await.id;
    world.travel(TimeDelta::days(4) - TimeDelta::seconds(1)).await;
    assert_eq!(world.in_review(id).await.attempt.unwrap().n, 2);
    id
}

async fn what_two_agree_was_not_charged_is_canceled_at_the_gateway(database: Database) {
    let mut world = World::new(database).await;
    let id = second_in_review(&mut world, false).await;

    let agreed = world.agree(id, Ruling::Canceled).await;
    world.travel(HOUR * 48).await;

    assert_eq!((agreed.status, world.payment(id).await.status), (Status::Canceled, Status::Canceled));
    assert_eq!(world.captures(id), 0);
    assert_eq!(world.flows.store.list_jobs(id).await.unwrap(), []);
    let exchanges = world.flows.store.list_exchanges(id).await.unwrap();
    let last = exchanges.last().and_then(|exchange| exchange.closed.as_ref()).unwrap();
    assert_eq!(last.verdict, "canceled", "nothing of it can be completed any more");
}

async fn a_cancellation_of_what_was_charged_comes_back_to_a_person(database: Database) {
    let mut world = World::new(database).await;
    let id = second_in_review(&mut world, true).await;
    assert_eq!(world.captures(id), 1);

    let agreed = world.agree(id, Ruling::Canceled).await;
    world.travel(HOUR * 48).await;
    let again = world.in_review(id).await;
    let charge = world.capture(0)["charge"].as_str().unwrap().to_owned();
    let paid = world.say(&world.person(1), id, said(Ruling::Succeeded, Some(&charge))).await.unwrap();
    world.travel(TimeDelta::days(10)).await;

    assert_eq!(agreed.status, Status::Canceled);
    assert_eq!(again.attempt.unwrap().charge, Some(charge));
    assert_eq!((paid.status, world.captures(id)), (Status::Succeeded, 1));
}

// S1.12
async fn what_two_agree_was_given_back_is_canceled_for_good(database: Database) {
    let mut world = World::new(database).await;
    let id = second_in_review(&mut world, true).await;
    world.agree(id, Ruling::Canceled).await;
    world.travel(HOUR * 48).await;
    world.in_review(id).await;
    let (charge, intent) = (world.capture(0)["charge"].clone(), world.capture(0)["intent"].clone());
    world.refund_beside(charge.as_str().unwrap());

    world.agree(id, Ruling::Canceled).await;
    world.travel(HOUR * 48).await;
    let body = webhooks::intent_event(
        "evt_1",
        "payment_intent.succeeded",
        &id.to_string(),
        intent.as_str().unwrap(),
    );
    let headers = webhooks::headers(world.flows.clock().now(false).timestamp(), &body);
    world.flows.take_gateway_event("sandbox", &headers, body.as_bytes()).await.unwrap();
    world.travel(HOUR * 48).await;

    assert_eq!(world.payment(id).await.status, Status::Canceled);
    assert_eq!(world.flows.store.list_jobs(id).await.unwrap(), []);
    let events = world.flows.store.list_event_types(id).await.unwrap();
    let last: Vec<_> = events.iter().rev().take(2).rev().collect();
    assert_eq!(last, ["payment.needs_review", "payment.canceled"]);
}

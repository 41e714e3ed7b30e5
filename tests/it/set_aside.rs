//! Attempts that two people have set aside and that had been charged: by whichever way that comes to light, and
//! whatever has come of the attempt beside it, the money is noticed, and nobody pays twice (S1.4, S1.12).

use crate::{
    resolutions::{EMPTY, Fate, HOUR, is_listing, meet_calls},
    support::{
        both,
        database::Database,
        world::{self, World},
    },
};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::{AttemptStatus, ExchangeKind},
        payment::{Payment, Ruling, Status},
    },
    gateway::Call,
    store::claim::Order,
};
use dunlin_jobs::{Lane, PaymentId};
use serde_json::Value;
use std::time::Duration;

both! {
    what_is_told_of_before_the_new_attempt_begins_stops_it
    what_is_told_of_while_the_new_attempt_is_unknown_is_given_back_once
    what_is_told_of_after_the_new_attempt_failed_comes_before_a_person
    what_nobody_tells_of_is_found_and_given_back
    what_nobody_tells_of_is_found_where_the_new_attempt_failed
    what_nobody_tells_of_is_found_before_another_retry
    what_nobody_tells_of_is_found_where_the_payment_was_canceled
    what_others_gave_back_already_is_not_given_back_again
    what_never_arrived_is_asked_after_for_a_week
    a_retry_that_is_lost_is_found_beside_the_question
    what_was_charged_by_hand_does_not_end_the_question
}

const MINUTE: TimeDelta = TimeDelta::minutes(1);
const TECHNICAL: &str = r#"{"error":{"type":"card_error","code":"processing_error"}}"#;
const FRAUD: &str = r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"fraudulent"}}"#;

/// A payment whose only attempt was taken, and its answer lost, until two people say after 37 hours what becomes of it; the
/// gateway's listing shows the charge a minute later than that. Each send in that minute meets `second`.
async fn set_aside(world: &mut World, ruling: Ruling, second: fn() -> Fate) -> PaymentId {
    meet_calls(world, move |call, nth, passed| match nth {
        0 => Fate::Taken,
        _ if passed < HOUR * 37 => Fate::Lost,
        _ if passed >= HOUR * 37 + MINUTE => Fate::Through,
        _ if is_listing(call) => Fate::Answered(200, EMPTY),
        usize::MAX => Fate::Through,
        _ => second(),
    });
    let id = world.pay("pm_card_visa").await.id;
    world.travel(HOUR * 37 - TimeDelta::seconds(1)).await;
    world.in_review(id).await;
    world.agree(id, ruling).await;
    world.travel(TimeDelta::seconds(30)).await;
    id
}

/// The gateway tells of the charge that was set aside.
async fn tell(world: &World, id: PaymentId) {
    let intent = world.capture(0)["intent"].as_str().unwrap().to_owned();
    world.tell_of("evt_1", &world.payment(id).await, &intent).await;
}

/// Of two charges one was given back, once, and nothing of it counts as the payment's own.
async fn assert_one_given_back(world: &World, id: PaymentId) {
    assert_eq!(world.captures(id), 2);
    let all = [AttemptStatus::Canceled, AttemptStatus::Succeeded, AttemptStatus::Duplicate];
    assert_eq!(world.statuses(id).await, all);
    assert_eq!(world.returned().iter().map(|(_, minor)| *minor).collect::<Vec<_>>(), [1250]);
    let paid = world.payment(id).await;
    assert_eq!((paid.status, paid.refunded), (Status::Succeeded, 0));
    assert_eq!(world.was_told(id, "payment.succeeded").await, 1);
}

/// A person looks, and sees the charge.
async fn assert_before_a_person(world: &World, id: PaymentId) -> Payment {
    let payment = world.in_review(id).await;
    let charge = world.capture(0)["charge"].as_str().unwrap().to_owned();
    assert_eq!(payment.attempt.as_ref().and_then(|attempt| attempt.charge.as_ref()), Some(&charge));
    assert_eq!((world.captures(id), world.returned().len()), (1, 0));
    payment
}

/// Nothing asks for ever.
async fn assert_nobody_asks(world: &World, id: PaymentId) {
    world.travel(TimeDelta::days(9)).await;
    assert_eq!(world.flows.store.list_jobs(id).await.unwrap(), []);
}

async fn what_is_told_of_before_the_new_attempt_begins_stops_it(database: Database) {
    let mut world = World::new(database).await;
    // The gateway does not list, so the new attempt waits; by its id it shows the old one.
    meet_calls(&mut world, |call, nth, passed| match nth {
        0 => Fate::Taken,
        _ if passed < HOUR * 37 || (is_listing(call) && passed < HOUR * 40) => Fate::Lost,
        _ => Fate::Through,
    });
    let id = world.pay("pm_card_visa").await.id;
    world.travel(HOUR * 37 - TimeDelta::seconds(1)).await;
    world.agree(id, Ruling::ChargeAgain).await;
    world.travel(MINUTE).await;
    let waits = world.payment(id).await.status;

    tell(&world, id).await;
    world.travel(MINUTE).await;

    assert_eq!(waits, Status::Pending);
    assert_before_a_person(&world, id).await;
    world.travel(HOUR * 24).await;
    assert_before_a_person(&world, id).await;
}

async fn what_is_told_of_while_the_new_attempt_is_unknown_is_given_back_once(database: Database) {
    let mut world = World::new(database).await;
    let id = set_aside(&mut world, Ruling::ChargeAgain, || Fate::Taken).await;
    let open = world.payment(id).await;

    tell(&world, id).await;
    world.travel(HOUR * 48).await;

    assert_eq!(open.open_attempt().map(|it| (it.n, it.status)), Some((2, AttemptStatus::Unknown)));
    assert_one_given_back(&world, id).await;
    assert_nobody_asks(&world, id).await;
}

async fn what_is_told_of_after_the_new_attempt_failed_comes_before_a_person(database: Database) {
    let mut world = World::new(database).await;
    let id = set_aside(&mut world, Ruling::ChargeAgain, || Fate::Answered(402, FRAUD)).await;
    let failed = world.payment(id).await.status;

    tell(&world, id).await;
    world.travel(MINUTE).await;

    assert_eq!(failed.name(), "failed");
    assert_before_a_person(&world, id).await;
}

async fn what_nobody_tells_of_is_found_and_given_back(database: Database) {
    let mut world = World::new(database).await;
    let id = set_aside(&mut world, Ruling::ChargeAgain, || Fate::Through).await;
    let paid = world.payment(id).await.status;

    world.travel(HOUR * 48).await;

    assert_eq!(paid, Status::Succeeded);
    assert_one_given_back(&world, id).await;
    assert_nobody_asks(&world, id).await;
    assert_one_given_back(&world, id).await;
}

async fn what_nobody_tells_of_is_found_where_the_new_attempt_failed(database: Database) {
    let mut world = World::new(database).await;
    let id = set_aside(&mut world, Ruling::ChargeAgain, || Fate::Answered(402, FRAUD)).await;
    let failed = world.payment(id).await.status;

    world.travel(HOUR * 48).await;

    assert_eq!(failed.name(), "failed");
    assert_before_a_person(&world, id).await;
}

async fn what_nobody_tells_of_is_found_before_another_retry(database: Database) {
    let mut world = World::new(database).await;
    let id = set_aside(&mut world, Ruling::ChargeAgain, || Fate::Answered(402, TECHNICAL)).await;
    let Status::Retrying { next_attempt_at } = world.payment(id).await.status else { panic!() };
    let soon = next_attempt_at - world.flows.clock().now(false);

    world.travel(soon + MINUTE).await;

    assert!(soon < HOUR, "the daily question comes later: {soon}");
    assert_before_a_person(&world, id).await;
    assert_eq!(world.statuses(id).await, [AttemptStatus::Canceled, AttemptStatus::Declined]);
}

// S1.12
async fn what_nobody_tells_of_is_found_where_the_payment_was_canceled(database: Database) {
    let mut world = World::new(database).await;
    let id = set_aside(&mut world, Ruling::Canceled, || Fate::Through).await;
    let canceled = world.payment(id).await.status;

    world.travel(HOUR * 48).await;
    let found = assert_before_a_person(&world, id).await;
    let charge = found.attempt.and_then(|attempt| attempt.charge).unwrap();
    let paid = world.name_charge(id, &charge).await;

    assert_eq!((canceled, paid.status), (Status::Canceled, Status::Succeeded));
    assert_nobody_asks(&world, id).await;
    assert_eq!((world.captures(id), world.returned().len()), (1, 0));
}

// S1.20
async fn what_others_gave_back_already_is_not_given_back_again(database: Database) {
    let mut world = World::new(database).await;
    let id = set_aside(&mut world, Ruling::ChargeAgain, || Fate::Through).await;
    world.refund_beside(world.capture(0)["charge"].as_str().unwrap());

    world.travel(MINUTE).await;
    world.read_lists().await;
    world.travel(HOUR * 48).await;
    world.read_lists().await;

    assert_one_given_back(&world, id).await;
}

async fn what_never_arrived_is_asked_after_for_a_week(database: Database) {
    let mut world = World::new(database).await;
    meet_calls(&mut world, |_, _, passed| if passed < HOUR * 37 { Fate::Lost } else { Fate::Through });
    let mut ids = Vec::new();
    for ruling in [Ruling::ChargeAgain, Ruling::Canceled] {
        ids.push((world.pay("pm_card_visa").await.id, ruling));
    }
    world.travel(HOUR * 37 - TimeDelta::seconds(1)).await;
    for (id, ruling) in &ids {
        world.agree(*id, *ruling).await;
    }

    world.travel(TimeDelta::days(6)).await;
    for (id, _) in &ids {
        assert_eq!(world.flows.store.list_jobs(*id).await.unwrap().len(), 1);
    }
    world.travel(TimeDelta::days(2)).await;
    for (id, _) in &ids {
        assert_eq!(world.flows.store.list_jobs(*id).await.unwrap(), []);
        assert_eq!(world.was_told(*id, "payment.needs_review").await, 1, "the first, which they resolved");
    }

    assert_eq!((world.captures(ids[0].0), world.captures(ids[1].0)), (1, 0));
    assert_eq!(world.payment(ids[0].0).await.status, Status::Succeeded);
    assert_eq!(world.payment(ids[1].0).await.status, Status::Canceled);
}

// S5.8
async fn a_retry_that_is_lost_is_found_beside_the_question(database: Database) {
    let mut world = World::new(database).await;
    let id = set_aside(&mut world, Ruling::ChargeAgain, || Fate::Answered(402, TECHNICAL)).await;
    let Status::Retrying { next_attempt_at } = world.payment(id).await.status else { panic!() };
    world.pass(next_attempt_at - world.flows.clock().now(false));
    let (owner, lease) = ("a worker that forgets".to_owned(), Duration::from_mins(1));
    let order = Order { lane: Lane::Payments, livemode: false, owner, lease, limit: 1 };
    let claimed = world.flows.store.claim(order).await.unwrap().remove(0);
    world.flows.end_job(&claimed.lease, dunlin::store::change::JobEnd::Done).await.unwrap();
    let kinds = async || {
        let jobs = world.flows.store.list_jobs(id).await.unwrap();
        jobs.into_iter().map(|job| job.kind).collect::<Vec<_>>()
    };
    let left = kinds().await;

    world.pass(HOUR);
    world.sweep().await;

    assert_eq!((claimed.job.kind(), left.as_slice()), ("retry", ["reconcile".to_owned()].as_slice()));
    assert!(kinds().await.iter().any(|kind| kind == "retry"), "nobody tries it again");
}

/// Somebody charges in the dashboard, and writes nothing beside it; the charge's id.
fn charge_by_hand(world: &World) -> String {
    let call = Call {
        kind: ExchangeKind::Create,
        method: "POST",
        path: "/v1/payment_intents".to_owned(),
        idempotency_key: None,
        body: "amount=1250&currency=eur&payment_method=pm_card_visa&confirm=true&off_session=true".to_owned(),
    };
    let made: Value = serde_json::from_slice(&world::answer(&world.bank, &call).unwrap().body).unwrap();
    made["latest_charge"].as_str().unwrap().to_owned()
}

// S1.15
async fn what_was_charged_by_hand_does_not_end_the_question(database: Database) {
    let mut world = World::new(database).await;
    meet_calls(&mut world, |call, nth, passed| match nth {
        0 => Fate::Taken,
        _ if passed < HOUR * 37 => Fate::Lost,
        _ if passed >= HOUR * 37 + MINUTE => Fate::Through,
        _ if is_listing(call) => Fate::Answered(200, EMPTY),
        _ => Fate::Through,
    });
    let id = world.pay("pm_card_visa").await.id;
    world.travel(HOUR * 37).await;
    let by_hand = charge_by_hand(&world);
    let paid = world.name_charge(id, &by_hand).await.status;

    world.travel(HOUR * 48).await;

    assert_eq!((paid, world.captures(id)), (Status::Succeeded, 1));
    world.in_review(id).await;
}

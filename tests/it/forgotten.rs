//! What gateways tell of and nothing here knows yet, by a database that lost its last commits or by a charge past us
//! (S1.13).

use crate::support::{both, database::Database, webhooks, world, world::World};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::{AttemptStatus, ExchangeKind},
        payment::Status,
    },
    flow::FlowError,
    gateway::client::{Client, SendError},
    worker,
};
use dunlin_jobs::Lane;
use futures_util::FutureExt;
use serde_json::json;
use std::sync::Arc;

both! {
    a_success_of_a_payment_that_has_no_attempt_here_is_received
    a_success_of_a_canceled_payment_that_has_no_attempt_comes_before_a_person
    what_is_open_for_a_payment_that_has_no_attempt_is_looked_at_until_it_is_paid
    what_is_told_of_and_not_known_here_is_told_to_a_person
    an_operation_that_no_listing_shows_is_found_by_the_event_that_names_it
}

// S1.13
async fn a_success_of_a_payment_that_has_no_attempt_here_is_received(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await;
    let intent = world.intent_beside(payment.id, "pm_card_visa");

    world.tell_of("evt_1", &payment, &intent).await;
    worker::run_due_jobs(&world.flows, Lane::Reconcile, false).await.unwrap();
    let paid = world.payment(payment.id).await;
    let canceled = world.flows.cancel_payment(world.owner, payment.id).await;
    world.travel(TimeDelta::days(2)).await;

    assert_eq!((paid.status, paid.operation), (Status::Succeeded, Some(intent)));
    assert!(matches!(canceled, Err(FlowError::Conflict { .. })), "{canceled:?}");
    assert_eq!(world.statuses(payment.id).await, [AttemptStatus::Succeeded]);
    assert_eq!(world.captures(payment.id), 1);
    world.try_refund(payment.id, None, "key").await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(world.returned().len(), 1);
    assert_eq!(world.flows.store.list_jobs(payment.id).await.unwrap(), []);
}

// S1.13
async fn a_success_of_a_canceled_payment_that_has_no_attempt_comes_before_a_person(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await;
    world.flows.cancel_payment(world.owner, payment.id).await.unwrap();
    let intent = world.intent_beside(payment.id, "pm_card_visa");

    world.tell_of("evt_1", &payment, &intent).await;
    world.run_due_jobs().await;

    let told = world.payment(payment.id).await;
    assert!(told.status.review_reason().is_some(), "{:?}", told.status);
    assert_eq!(told.operation, Some(intent));
}

async fn what_is_open_for_a_payment_that_has_no_attempt_is_looked_at_until_it_is_paid(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await;
    let intent = world.intent_beside(payment.id, "pm_card_visa_chargeDeclinedInsufficientFunds");
    let look = || worker::run_due_jobs(&world.flows, Lane::Reconcile, false);

    world.tell_of("evt_1", &payment, &intent).await;
    look().await.unwrap();
    let before = world.payment(payment.id).await.status;
    world.meddle(
        &format!("/v1/payment_intents/{intent}/confirm"),
        "payment_method=pm_card_visa&off_session=true",
    );
    world.pass(TimeDelta::minutes(1));
    look().await.unwrap();
    world.travel(TimeDelta::hours(8)).await;

    let paid = world.payment(payment.id).await;
    assert_eq!((before, paid.status, paid.operation), (Status::Pending, Status::Succeeded, Some(intent)));
    assert_eq!(world.captures(payment.id), 1);
    assert_eq!(world.flows.store.find_next_due(false).await.unwrap(), None);
}

async fn what_is_told_of_and_not_known_here_is_told_to_a_person(database: Database) {
    let world = World::new(database).await;
    let log = tempfile::NamedTempFile::new().unwrap();
    let file = std::fs::File::options().append(true).open(log.path()).unwrap();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(Arc::new(file)).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (payment, refund) = ("pay_0190000000007000800000000000000a", "rfd_0190000000007000800000000000000b");
    let of_refund = json!({ "object": "refund", "metadata":
        { "dunlin_payment": payment, "dunlin_refund": refund } });
    let of_refund =
        json!({ "id": "evt_2", "type": "refund.failed", "livemode": false, "data": { "object": of_refund } });

    for body in [webhooks::event("evt_1", "payment_intent.succeeded", payment), of_refund.to_string()] {
        let headers = webhooks::headers(world.flows.clock().now(false).timestamp(), &body);
        world.flows.take_gateway_event("sandbox", &headers, body.as_bytes()).await.unwrap();
    }
    world.run_due_jobs().await;

    let log = std::fs::read_to_string(log.path()).unwrap();
    for (event, id) in [("evt_1", payment), ("evt_2", refund)] {
        let told = |line: &&str| line.contains("ERROR") && line.contains(event) && line.contains(id);
        assert_eq!(log.lines().filter(told).count(), 1, "{log}");
        assert!(world.flows.store.find_gateway_event("sandbox", event).await.unwrap().is_some());
    }
    assert_eq!(world.flows.store.find_next_due(false).await.unwrap(), None);
}

// S1.10
async fn an_operation_that_no_listing_shows_is_found_by_the_event_that_names_it(database: Database) {
    let mut world = World::new(database).await;
    let bank = Arc::clone(&world.bank);
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let reply = world::answer(&bank, call).map(|mut reply| {
            if call.method == "GET" && call.path.starts_with("/v1/payment_intents?") {
                reply.body = b"{\"object\":\"list\",\"data\":[],\"has_more\":false}".to_vec();
            }
            reply
        });
        let is_sent = call.kind == ExchangeKind::Create;
        let lost = Err(SendError::Lost("no answer".to_owned()));
        std::future::ready(if is_sent { lost } else { reply }).boxed()
    }));
    let payment = world.pay("pm_card_visa").await;
    world.run_due_jobs().await;
    let page = world::admin(&world.bank, "GET", "captures", "after=0&limit=10", "");
    let intent = page["captures"][0]["intent"].as_str().unwrap().to_owned();

    world.tell_of("evt_1", &payment, &intent).await;
    world.travel(TimeDelta::seconds(4)).await;

    let paid = world.payment(payment.id).await;
    assert_eq!((paid.status, paid.operation), (Status::Succeeded, Some(intent)));
    assert_eq!((world.captures(payment.id), world.statuses(payment.id).await.len()), (1, 1));
}

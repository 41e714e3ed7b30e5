//! Payments whose customer is there: asked, sent to their bank and back, and never charged behind their back (S1.18).

use crate::support::{both, database::Database, webhooks, world, world::World};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::{AttemptStatus, ExchangeKind},
        payment::{Payment, Status},
    },
    gateway::client::{Client, SendError},
};
use futures_util::FutureExt;
use std::sync::Arc;

both! {
    an_event_of_the_gateway_brings_what_the_customer_did
    a_present_customers_decline_waits_for_them_and_is_canceled_with_its_payment
    what_asks_the_customer_is_sent_again_byte_for_byte
    who_pays_in_the_last_moment_has_paid
    a_charge_that_did_not_leave_while_the_customer_was_there_never_leaves
    a_charge_that_waits_for_credentials_until_its_customer_has_left_is_not_begun
}

const CHALLENGED: &str = "pm_card_authenticationRequired";

async fn asked(world: &World) -> Payment {
    let payment = world.pay_present(CHALLENGED).await;
    world.run_due_jobs().await;
    let payment = world.payment(payment.id).await;
    assert_eq!(status(&payment), ("requires_action", AttemptStatus::RequiresAction));
    payment
}

fn status(payment: &Payment) -> (&'static str, AttemptStatus) {
    (payment.status.name(), payment.attempt.as_ref().unwrap().status)
}

fn act(world: &World, payment: &Payment, answer: &str) {
    let url = payment.attempt.as_ref().and_then(|attempt| attempt.action_url.as_deref()).unwrap();
    assert_eq!(world::visit(&world.bank, url, answer), 303);
}

async fn an_event_of_the_gateway_brings_what_the_customer_did(database: Database) {
    let world = World::new(database).await;
    for (answer, kind, expected) in [
        ("approve", "succeeded", ("succeeded", AttemptStatus::Succeeded)),
        ("refuse", "payment_failed", ("requires_action", AttemptStatus::Declined)),
    ] {
        let payment = asked(&world).await;
        act(&world, &payment, answer);

        let body = webhooks::event(
            &format!("evt_{kind}"),
            &format!("payment_intent.{kind}"),
            &payment.id.to_string(),
        );
        let headers = webhooks::headers(world.flows.clock().now(false).timestamp(), &body);
        world.flows.take_gateway_event("sandbox", &headers, body.as_bytes()).await.unwrap();
        world.run_due_jobs().await;

        assert_eq!(status(&world.payment(payment.id).await), expected);
    }
}

async fn a_present_customers_decline_waits_for_them_and_is_canceled_with_its_payment(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay_present("pm_sandbox_insufficient_funds_1").await;
    world.run_due_jobs().await;
    let declined = world.payment(payment.id).await;

    world.travel(TimeDelta::days(40)).await;

    assert_eq!(status(&declined), ("requires_action", AttemptStatus::Declined));
    let waiting = world.payment(payment.id).await;
    assert_eq!((waiting.status, waiting.attempt), (declined.status, declined.attempt.clone()));
    // What nobody has paid for so long cannot be paid any more (S1.21).
    assert_eq!(world.intent(declined.operation.as_ref().unwrap())["status"], "canceled");
    assert_eq!((world.captures(payment.id), declined.attempt.unwrap().n), (0, 1));
    let canceled = world.flows.cancel_payment(world.owner, payment.id).await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(canceled.status, Status::Canceled);
    assert_eq!(world.flows.store.list_jobs(payment.id).await.unwrap(), []);
}

// S1.5
async fn what_asks_the_customer_is_sent_again_byte_for_byte(database: Database) {
    let world = World::new(database).await;
    world.order(&serde_json::json!({ "fault": "cut_after", "times": 1 }));
    let payment = world.pay_present(CHALLENGED).await;
    world.run_due_jobs().await;
    assert_eq!(status(&world.payment(payment.id).await), ("processing", AttemptStatus::Unknown));

    world.travel(TimeDelta::minutes(1)).await;

    let acting = world.payment(payment.id).await;
    assert_eq!(status(&acting), ("requires_action", AttemptStatus::RequiresAction));
    let exchanges = world.flows.store.list_exchanges(payment.id).await.unwrap();
    let sends: Vec<_> = exchanges.iter().filter(|exchange| exchange.kind.is_charge()).collect();
    let [first, again] = sends[..] else { panic!("{sends:?}") };
    assert_eq!((&first.body, &first.idempotency_key), (&again.body, &again.idempotency_key));
    assert!(first.body.contains("&return_url=") && !first.body.contains("off_session"), "{}", first.body);
    act(&world, &acting, "approve");
    world.travel(TimeDelta::hours(1)).await;
    assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
    assert_eq!(world.captures(payment.id), 1);
}

async fn who_pays_in_the_last_moment_has_paid(database: Database) {
    let mut world = World::with_settings(database, |settings| settings.action_expires_s = 60).await;
    let payment = asked(&world).await;
    let (bank, acting) = (Arc::clone(&world.bank), payment.clone());
    // They approve while the cancellation is on its way.
    world.flows.client = Client::in_process(Arc::new(move |call| {
        if call.kind == ExchangeKind::Cancel {
            let url = acting.attempt.as_ref().and_then(|attempt| attempt.action_url.as_deref()).unwrap();
            assert_eq!(world::visit(&bank, url, "approve"), 303);
        }
        std::future::ready(world::answer(&bank, call)).boxed()
    }));

    world.travel(TimeDelta::minutes(2)).await;

    assert_eq!(status(&world.payment(payment.id).await), ("succeeded", AttemptStatus::Succeeded));
    assert_eq!(world.captures(payment.id), 1);
}

async fn a_charge_that_did_not_leave_while_the_customer_was_there_never_leaves(database: Database) {
    let mut world = World::with_settings(database, |settings| settings.action_expires_s = 60).await;
    let answering = world.flows.client.clone();
    world.flows.client = Client::in_process(Arc::new(|_| {
        std::future::ready(Err(SendError::NotSent("connection refused".to_owned()))).boxed()
    }));
    let payment = world.pay_present("pm_card_visa").await;
    world.run_due_jobs().await;
    assert_eq!(status(&world.payment(payment.id).await), ("processing", AttemptStatus::Planned));

    world.travel(TimeDelta::minutes(10)).await;
    world.flows.client = answering;
    world.travel(TimeDelta::days(2)).await;

    assert_eq!(world.payment(payment.id).await.status, Status::Canceled);
    assert_eq!(world.captures(payment.id), 0);
    assert_eq!(world.flows.store.list_jobs(payment.id).await.unwrap(), []);
}

async fn a_charge_that_waits_for_credentials_until_its_customer_has_left_is_not_begun(database: Database) {
    let world = World::with_settings(database, |settings| settings.action_expires_s = 60).await;
    world.order(&serde_json::json!({ "fault": "revoked", "times": 1 }));
    let payment = world.pay_present("pm_card_visa").await;
    world.run_due_jobs().await;
    assert_eq!(status(&world.payment(payment.id).await), ("processing", AttemptStatus::Planned));

    world.travel(TimeDelta::minutes(2)).await;
    world.probe().await;
    world.run_due_jobs().await;

    assert_eq!(world.payment(payment.id).await.status, Status::Canceled);
    assert_eq!(world.captures(payment.id), 0);
}

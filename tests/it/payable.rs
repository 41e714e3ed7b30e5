//! What was declined stays payable at the gateway: who pays it there has paid, and what nobody waits for is withdrawn
//! (S1.21).

use crate::support::{both, database::Database, webhooks, world, world::World};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::{AttemptStatus, ExchangeKind, Origin},
        payment::{Payment, Status},
    },
    flow::FlowError,
    gateway::client::{Client, SendError},
    worker,
};
use dunlin_jobs::{Lane, PaymentId};
use futures_util::FutureExt;
use std::sync::Arc;

both! {
    what_is_paid_at_the_gateway_while_it_is_retrying_has_succeeded
    what_was_declined_for_authentication_and_is_paid_without_a_word_is_found_within_a_day
    what_only_its_customer_can_pay_is_withdrawn_after_thirty_days
    what_has_failed_is_not_payable_any_more
    what_is_paid_before_it_is_withdrawn_has_succeeded
    what_was_withdrawn_is_tried_again_by_another_operation
    nothing_is_tried_again_while_it_may_be_being_withdrawn
    a_retry_that_meets_the_payers_own_success_is_the_same_money
    a_retry_whose_answer_is_lost_and_the_payers_own_success_are_the_same_money
    a_payable_payment_that_nobody_asks_after_is_found_by_the_sweep
}

const DECLINED: &str = "pm_card_visa_chargeDeclinedInsufficientFunds";
const AUTHENTICATION: &str = "pm_card_authenticationRequired";
const FRAUDULENT: &str = "pm_card_chargeDeclinedFraudulent";
const EXPIRED: &str = "pm_card_chargeDeclinedExpiredCard";

async fn declined(world: &World, method: &str, status: &str) -> Payment {
    let payment = world.pay(method).await;
    worker::run_due_jobs(&world.flows, Lane::Payments, false).await.unwrap();
    let payment = world.payment(payment.id).await;
    assert_eq!(payment.status.name(), status);
    payment
}

async fn attempts(world: &World, payment: PaymentId) -> Vec<(AttemptStatus, Origin)> {
    let attempts = world.flows.store.list_attempts(payment).await.unwrap();
    attempts.into_iter().map(|attempt| (attempt.status, attempt.origin)).collect()
}

async fn tell(world: &World, payment: &Payment) {
    let (id, intent) = (payment.id.to_string(), payment.operation.as_ref().unwrap());
    let body = webhooks::intent_event("evt_1", "payment_intent.succeeded", &id, intent);
    let headers = webhooks::headers(world.flows.clock().now(false).timestamp(), &body);
    world.flows.take_gateway_event("sandbox", &headers, body.as_bytes()).await.unwrap();
}

/// It has succeeded by one capture, of which everybody was told once, and nothing is left to do or to give back.
async fn assert_paid_once(world: &World, payment: PaymentId) {
    world.travel(TimeDelta::days(45)).await;
    let paid = world.payment(payment).await;
    assert_eq!((paid.status, world.captures(payment)), (Status::Succeeded, 1));
    let events = world.flows.store.list_event_types(payment).await.unwrap();
    assert_eq!(events.iter().filter(|event| *event == "payment.succeeded").count(), 1, "{events:?}");
    assert!(!events.iter().any(|event| event == "payment.needs_review"), "{events:?}");
    assert_eq!(world.returned(), []);
    assert_eq!(world.flows.store.list_jobs(payment).await.unwrap(), []);
}

async fn what_is_paid_at_the_gateway_while_it_is_retrying_has_succeeded(database: Database) {
    let world = World::new(database).await;
    let payment = declined(&world, DECLINED, "retrying").await;
    let intent = world.pay_beside(&payment);

    tell(&world, &payment).await;
    world.run_due_jobs().await;
    // The retry that was waiting has ended too.
    world.run_due_jobs().await;

    let paid = world.payment(payment.id).await;
    assert_eq!(paid.status, Status::Succeeded);
    let attempt = paid.attempt.unwrap();
    assert_eq!((attempt.n, attempt.charge.as_deref()), (2, intent["latest_charge"].as_str()));
    let expected = [(AttemptStatus::Declined, Origin::Dunlin), (AttemptStatus::Succeeded, Origin::Gateway)];
    assert_eq!(attempts(&world, payment.id).await, expected);
    assert_eq!(world.flows.store.list_jobs(payment.id).await.unwrap(), []);
    assert_paid_once(&world, payment.id).await;
}

async fn what_was_declined_for_authentication_and_is_paid_without_a_word_is_found_within_a_day(
    database: Database,
) {
    let world = World::new(database).await;
    let payment = declined(&world, AUTHENTICATION, "requires_action").await;
    world.travel(TimeDelta::days(5) + TimeDelta::hours(1)).await;
    assert_eq!(world.payment(payment.id).await, payment);
    world.pay_beside(&payment);

    world.travel(TimeDelta::days(1)).await;

    let expected = [(AttemptStatus::Declined, Origin::Dunlin), (AttemptStatus::Succeeded, Origin::Gateway)];
    assert_eq!(attempts(&world, payment.id).await, expected);
    assert_paid_once(&world, payment.id).await;
}

async fn what_only_its_customer_can_pay_is_withdrawn_after_thirty_days(database: Database) {
    let world = World::new(database).await;
    let payment = declined(&world, AUTHENTICATION, "requires_action").await;
    let operation = payment.operation.clone().unwrap();

    world.travel(TimeDelta::days(30) - TimeDelta::minutes(1)).await;
    let payable = world.intent(&operation)["status"].clone();
    world.travel(TimeDelta::minutes(2)).await;

    assert_eq!(payable, "requires_payment_method");
    assert_eq!(world.intent(&operation)["status"], "canceled");
    let withdrawn = world.payment(payment.id).await;
    assert_eq!((withdrawn.status, withdrawn.operation), (Status::RequiresAction, None));
    let exchanges = world.flows.store.list_exchanges(payment.id).await.unwrap();
    let kinds = |kind| exchanges.iter().filter(|exchange| exchange.kind == kind).count();
    assert_eq!((kinds(ExchangeKind::Query), kinds(ExchangeKind::Cancel)), (30, 1));
    world.travel(TimeDelta::days(2)).await;
    assert_eq!(world.flows.store.list_jobs(payment.id).await.unwrap(), []);
}

async fn what_has_failed_is_not_payable_any_more(database: Database) {
    let world = World::new(database).await;
    let payment = declined(&world, FRAUDULENT, "failed").await;

    world.run_due_jobs().await;

    assert_eq!(world.intent(payment.operation.as_ref().unwrap())["status"], "canceled");
    let failed = world.payment(payment.id).await;
    assert_eq!((failed.status, failed.operation), (Status::Failed, None));
    assert_eq!(world.flows.store.list_jobs(payment.id).await.unwrap(), []);
}

async fn what_is_paid_before_it_is_withdrawn_has_succeeded(database: Database) {
    let world = World::new(database).await;
    let payment = declined(&world, FRAUDULENT, "failed").await;
    world.pay_beside(&payment);

    world.run_due_jobs().await;

    let expected = [(AttemptStatus::Declined, Origin::Dunlin), (AttemptStatus::Succeeded, Origin::Gateway)];
    assert_eq!(attempts(&world, payment.id).await, expected);
    assert_paid_once(&world, payment.id).await;
}

// S1.17
async fn what_was_withdrawn_is_tried_again_by_another_operation(database: Database) {
    let world = World::new(database).await;
    let payment = declined(&world, EXPIRED, "requires_action").await;
    world.travel(TimeDelta::days(31)).await;

    retry(&world, payment.id, "key").await.unwrap();
    world.run_due_jobs().await;

    let again = world.payment(payment.id).await;
    assert_eq!((again.status.name(), again.next_attempt()), ("requires_action", 3));
    assert!(again.operation.is_some() && again.operation != payment.operation, "{:?}", again.operation);
    assert_eq!(world.intent(payment.operation.as_ref().unwrap())["status"], "canceled");
}

async fn retry(world: &World, payment: PaymentId, key: &str) -> Result<Payment, FlowError> {
    let key = world::key(key, "retry");
    world.flows.retry_payment(&world.person(1), payment, None, key).await.map(|(payment, _)| payment)
}

async fn nothing_is_tried_again_while_it_may_be_being_withdrawn(database: Database) {
    let mut world = World::new(database).await;
    let payment = declined(&world, EXPIRED, "requires_action").await;
    let (bank, answering) = (Arc::clone(&world.bank), world.flows.client.clone());
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let answer = world::answer(&bank, call);
        let lost = Err(SendError::Lost("no answer".to_owned()));
        std::future::ready(if call.kind == ExchangeKind::Cancel { lost } else { answer }).boxed()
    }));
    world.travel(TimeDelta::days(30)).await;

    let early = retry(&world, payment.id, "first").await;
    world.flows.client = answering;
    world.travel(TimeDelta::hours(1)).await;
    let late = retry(&world, payment.id, "second").await;
    world.run_due_jobs().await;

    assert!(matches!(early, Err(FlowError::Conflict { code: "work_in_hand", .. })), "{early:?}");
    assert!(late.is_ok(), "{late:?}");
    assert_eq!(world.payment(payment.id).await.status, Status::RequiresAction);
}

async fn a_retry_that_meets_the_payers_own_success_is_the_same_money(database: Database) {
    let mut world = World::new(database).await;
    let payment = declined(&world, "pm_sandbox_insufficient_funds_1", "retrying").await;
    let (bank, intent) = (Arc::clone(&world.bank), payment.operation.clone());
    // They pay while the retry is on its way.
    world.flows.client = Client::in_process(Arc::new(move |call| {
        if call.kind == ExchangeKind::Confirm {
            world::pay(&bank, intent.as_deref().unwrap());
        }
        std::future::ready(world::answer(&bank, call)).boxed()
    }));

    world.travel(TimeDelta::days(10)).await;

    // The refusal names the intent that had succeeded, and settles the attempt at once.
    let exchanges = world.flows.store.list_exchanges(payment.id).await.unwrap();
    assert_eq!(exchanges.len(), 2, "{exchanges:?}");
    let expected = [(AttemptStatus::Declined, Origin::Dunlin), (AttemptStatus::Succeeded, Origin::Dunlin)];
    assert_eq!(attempts(&world, payment.id).await, expected);
    assert_paid_once(&world, payment.id).await;
}

async fn a_retry_whose_answer_is_lost_and_the_payers_own_success_are_the_same_money(database: Database) {
    let mut world = World::new(database).await;
    let payment = declined(&world, "pm_sandbox_insufficient_funds_1", "retrying").await;
    let (bank, flows, told) = (Arc::clone(&world.bank), world.flows.clone(), payment.clone());
    // They pay, and the gateway tells of it, while the retry is on the wire; its request gets lost.
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let (bank, flows, told, call) = (Arc::clone(&bank), flows.clone(), told.clone(), call.clone());
        async move {
            if call.kind != ExchangeKind::Confirm {
                return world::answer(&bank, &call);
            }
            let intent = told.operation.as_ref().unwrap();
            world::pay(&bank, intent);
            let body =
                webhooks::intent_event("evt_1", "payment_intent.succeeded", &told.id.to_string(), intent);
            let headers = webhooks::headers(flows.clock().now(false).timestamp(), &body);
            flows.take_gateway_event("sandbox", &headers, body.as_bytes()).await.unwrap();
            worker::run_due_jobs(&flows, Lane::Reconcile, false).await.unwrap();
            Err(SendError::Lost("no answer".to_owned()))
        }
        .boxed()
    }));
    let due = payment.status.next_attempt_at().unwrap() - world.flows.clock().now(false);
    world::move_clock(world.flows.clock(), &world.bank, due);
    world.run_due_jobs().await;
    world.flows.client = world::client(Arc::clone(&world.bank));

    world.travel(TimeDelta::minutes(1)).await;

    let expected = [(AttemptStatus::Declined, Origin::Dunlin), (AttemptStatus::Succeeded, Origin::Dunlin)];
    assert_eq!(attempts(&world, payment.id).await, expected);
    assert_paid_once(&world, payment.id).await;
}

// S5.8
async fn a_payable_payment_that_nobody_asks_after_is_found_by_the_sweep(database: Database) {
    let world = World::new(database).await;
    let payment = declined(&world, AUTHENTICATION, "requires_action").await;
    world.lose_next_job().await;
    world.pay_beside(&payment);
    world.travel(TimeDelta::days(3)).await;
    let forgotten = world.payment(payment.id).await;

    world.sweep().await;
    world.run_due_jobs().await;

    assert_eq!(forgotten.status, Status::RequiresAction);
    assert_paid_once(&world, payment.id).await;
}

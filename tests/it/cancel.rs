//! Cancelling: nothing that the payer could still complete is left open at the gateway (S1.19, S1.9).

use crate::support::{both, database::Database, world, world::World};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::{AttemptStatus, ExchangeKind},
        payment::{Payment, Status},
    },
    flow::FlowError,
    gateway::{
        Call,
        client::{Client, SendError},
    },
};
use futures_util::FutureExt;
use std::sync::Arc;

both! {
    a_payment_that_waits_after_a_decline_leaves_no_open_operation
    what_was_declined_and_is_paid_meanwhile_is_not_canceled
    a_decline_whose_gateway_does_not_answer_is_canceled_and_then_withdrawn
    what_was_paid_while_its_gateway_did_not_answer_comes_before_a_person
    what_waits_for_its_payer_is_canceled_at_the_gateway_first
    a_lost_answer_to_a_cancellation_is_found_by_the_next_look
    what_the_payer_has_completed_is_not_canceled
    an_attempt_that_the_gateway_has_no_id_of_is_not_canceled
}

/// A payment whose payer is asked to authenticate. `lose` says of which calls the answer is lost.
async fn acting(database: Database, lose: fn(&Call) -> bool) -> (World, Payment) {
    let mut world = World::new(database).await;
    let bank = Arc::clone(&world.bank);
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let answer = world::answer(&bank, call);
        let result = if lose(call) { Err(SendError::Lost("no answer".to_owned())) } else { answer };
        std::future::ready(result).boxed()
    }));
    let payment = world.pay_present("pm_card_authenticationRequired").await;
    world.run_due_jobs().await;
    let payment = world.payment(payment.id).await;
    assert_eq!(payment.attempt.as_ref().map(|attempt| attempt.status), Some(AttemptStatus::RequiresAction));
    (world, payment)
}

fn intent(world: &World, payment: &Payment) -> serde_json::Value {
    ask(world, "GET", &format!("/v1/payment_intents/{}", payment.operation.as_ref().unwrap()), "")
}

fn ask(world: &World, method: &'static str, path: &str, body: &str) -> serde_json::Value {
    let call = Call {
        kind: ExchangeKind::Query,
        method,
        path: path.to_owned(),
        idempotency_key: None,
        body: body.to_owned(),
    };
    serde_json::from_slice(&world::answer(&world.bank, &call).unwrap().body).unwrap()
}

async fn a_payment_that_waits_after_a_decline_leaves_no_open_operation(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa_chargeDeclinedInsufficientFunds").await;
    world.run_due_jobs().await;

    let canceled = world.flows.cancel_payment(world.owner, payment.id).await.unwrap();
    // The gateway has said so first.
    assert_eq!(intent(&world, &canceled)["status"], "canceled");
    world.run_due_jobs().await;

    assert_eq!(canceled.status, Status::Canceled);
    let exchanges = world.flows.store.list_exchanges(payment.id).await.unwrap();
    let cancels: Vec<_> = exchanges.iter().filter(|exchange| exchange.kind != ExchangeKind::Create).collect();
    let [cancel] = cancels[..] else { panic!("{cancels:?}") };
    let key = format!("dunlin:test:{}:{}:1:cancel", payment.tenant, payment.id);
    assert_eq!((cancel.kind, cancel.idempotency_key.as_deref()), (ExchangeKind::Cancel, Some(key.as_str())));
    // The retry that was waiting finds nothing to do.
    world.travel(TimeDelta::days(40)).await;
    assert_eq!(world.flows.store.list_jobs(payment.id).await.unwrap(), []);
    assert_eq!(world.payment(payment.id).await.status, Status::Canceled);
}

/// Payments that nothing is under way of, and that could still be paid at the gateway: one that is tried again by itself,
/// and ones that wait for their payer.
const LEFT: [(&str, &str); 3] = [
    ("pm_card_visa_chargeDeclinedInsufficientFunds", "retrying"),
    ("pm_card_chargeDeclinedExpiredCard", "requires_action"),
    ("pm_card_authenticationRequired", "requires_action"),
];

async fn left(world: &World, (method, status): (&str, &str)) -> Payment {
    let payment = world.pay(method).await;
    world.run_due_jobs().await;
    let payment = world.payment(payment.id).await;
    assert_eq!((payment.status.name(), payment.open_attempt()), (status, None));
    payment
}

async fn events(world: &World, payment: &Payment) -> Vec<String> {
    world.flows.store.list_event_types(payment.id).await.unwrap()
}

// S1.21
async fn what_was_declined_and_is_paid_meanwhile_is_not_canceled(database: Database) {
    let world = World::new(database).await;
    for kind in LEFT {
        let payment = left(&world, kind).await;
        // Nobody has told of it yet.
        world.pay_beside(&payment);

        let told = world.flows.cancel_payment(world.owner, payment.id).await;

        assert!(matches!(told, Err(FlowError::Conflict { code: "payment_not_cancelable", .. })), "{told:?}");
        world.travel(TimeDelta::days(40)).await;
        assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
        assert_eq!(world.captures(payment.id), 1);
        let events = events(&world, &payment).await;
        assert!(
            !events.iter().any(|it| it == "payment.canceled" || it == "payment.needs_review"),
            "{events:?}"
        );
        assert_eq!(events.iter().filter(|event| *event == "payment.succeeded").count(), 1, "{events:?}");
    }
}

async fn a_decline_whose_gateway_does_not_answer_is_canceled_and_then_withdrawn(database: Database) {
    let world = World::new(database).await;
    for kind in LEFT {
        let payment = left(&world, kind).await;
        world.order(&serde_json::json!({ "fault": "error_before", "method": "cancel", "times": 1 }));

        let canceled = world.flows.cancel_payment(world.owner, payment.id).await.unwrap();
        let open = intent(&world, &payment)["status"].clone();
        world.travel(TimeDelta::minutes(1)).await;

        assert_eq!((canceled.status, open.as_str()), (Status::Canceled, Some("requires_payment_method")));
        assert_eq!(intent(&world, &payment)["status"], "canceled");
        // The retry that was waiting, and the daily question, find nothing to do.
        world.travel(TimeDelta::days(40)).await;
        assert_eq!(world.flows.store.list_jobs(payment.id).await.unwrap(), []);
        assert_eq!(world.captures(payment.id), 0);
    }
}

async fn what_was_paid_while_its_gateway_did_not_answer_comes_before_a_person(database: Database) {
    let world = World::new(database).await;
    let payment = left(&world, LEFT[0]).await;
    world.pay_beside(&payment);
    world.order(&serde_json::json!({ "fault": "error_before", "method": "cancel", "times": 1 }));

    let canceled = world.flows.cancel_payment(world.owner, payment.id).await.unwrap();
    world.travel(TimeDelta::minutes(1)).await;

    assert_eq!(canceled.status, Status::Canceled);
    assert!(world.payment(payment.id).await.status.review_reason().is_some());
    assert_eq!(world.captures(payment.id), 1);
}

async fn what_waits_for_its_payer_is_canceled_at_the_gateway_first(database: Database) {
    let (world, payment) = acting(database, |_| false).await;

    let canceled = world.flows.cancel_payment(world.owner, payment.id).await.unwrap();

    assert_eq!(canceled.status, Status::Canceled);
    assert_eq!(canceled.attempt.as_ref().map(|attempt| attempt.status), Some(AttemptStatus::Canceled));
    assert_eq!(intent(&world, &payment)["status"], "canceled");
    // Again is the same.
    let again = world.flows.cancel_payment(world.owner, payment.id).await.unwrap();
    assert_eq!(again, canceled);
    world.travel(TimeDelta::days(2)).await;
    let exchanges = world.flows.store.list_exchanges(payment.id).await.unwrap();
    assert_eq!(exchanges.iter().filter(|exchange| exchange.kind == ExchangeKind::Cancel).count(), 1);
}

async fn a_lost_answer_to_a_cancellation_is_found_by_the_next_look(database: Database) {
    let (world, payment) = acting(database, |call| call.path.ends_with("/cancel")).await;

    let told = world.flows.cancel_payment(world.owner, payment.id).await;
    assert!(matches!(told, Err(FlowError::Later(_))), "{told:?}");
    assert_eq!(world.payment(payment.id).await.status, Status::RequiresAction);
    world.travel(TimeDelta::minutes(1)).await;

    assert_eq!(world.payment(payment.id).await.status, Status::Canceled);
    assert_eq!(intent(&world, &payment)["status"], "canceled");
}

async fn what_the_payer_has_completed_is_not_canceled(database: Database) {
    let (world, payment) = acting(database, |_| false).await;
    let path = format!("/v1/payment_intents/{}/confirm", payment.operation.as_ref().unwrap());
    assert_eq!(ask(&world, "POST", &path, "payment_method=pm_card_visa")["status"], "succeeded");

    let told = world.flows.cancel_payment(world.owner, payment.id).await;

    assert!(matches!(told, Err(FlowError::Conflict { code: "payment_not_cancelable", .. })), "{told:?}");
    assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
    assert_eq!(world.captures(payment.id), 1);
}

async fn an_attempt_that_the_gateway_has_no_id_of_is_not_canceled(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_sandbox_lost_after").await;
    world.run_due_jobs().await;

    let told = world.flows.cancel_payment(world.owner, payment.id).await;

    assert!(matches!(told, Err(FlowError::Conflict { code: "payment_not_cancelable", .. })), "{told:?}");
    world.travel(TimeDelta::minutes(1)).await;
    assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
}

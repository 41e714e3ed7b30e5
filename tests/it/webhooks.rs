//! What gateways tell unasked: kept once, never believed, and a reason to look at once (S1.13, S4.12).

use crate::support::{both, database::Database, webhooks, world, world::World};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::{AttemptStatus, ExchangeKind},
        payment::{Payment, Status},
        refund::RefundStatus,
    },
    flow::{FlowError, Flows},
    gateway::{
        Call,
        client::{Client, SendError},
    },
    worker,
};
use dunlin_jobs::{Lane, PaymentId};
use dunlin_sandbox::Bank;
use futures_util::FutureExt;
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

both! {
    a_notification_is_a_reason_to_look_and_not_an_answer
    an_event_that_comes_twice_is_kept_once
    a_refund_that_a_bank_sends_back_is_looked_at_again
    a_late_failure_never_moves_a_success_back
    a_success_of_a_canceled_payment_comes_before_a_person
    a_second_capture_that_is_told_of_is_given_back
    a_second_capture_that_is_told_of_while_the_first_is_on_the_wire_is_given_back
    another_intent_that_captured_nothing_changes_nothing
    an_attempt_that_begins_during_a_look_is_no_contradiction
    a_look_that_proves_nothing_ends_after_ten
    what_is_not_proven_is_not_kept
    what_is_not_followed_is_kept_and_left_alone
}

impl World {
    pub(crate) async fn tell(&self, id: &str, kind: &str, payment: &Payment) -> Result<bool, FlowError> {
        let body = webhooks::event(id, kind, &payment.id.to_string());
        let at = self.flows.clock().now(false).timestamp();
        self.flows.take_gateway_event("sandbox", &webhooks::headers(at, &body), body.as_bytes()).await
    }

    pub(crate) async fn tell_of(&self, id: &str, payment: &Payment, intent: &str) {
        tell_of(&self.flows, id, payment, intent).await;
    }

    /// Another intent with the payment's reference, made past dunlin; its id.
    pub(crate) fn intent_beside(&self, payment: PaymentId, method: &str) -> String {
        intent_beside(&self.bank, payment, method)
    }

    pub(crate) async fn statuses(&self, payment: PaymentId) -> Vec<AttemptStatus> {
        let attempts = self.flows.store.list_attempts(payment).await.unwrap();
        attempts.into_iter().map(|attempt| attempt.status).collect()
    }

    /// Calls the gateway as somebody else would.
    pub(crate) fn meddle(&self, path: &str, body: &str) -> serde_json::Value {
        let call = Call {
            kind: ExchangeKind::Confirm,
            method: "POST",
            path: path.to_owned(),
            idempotency_key: None,
            body: body.to_owned(),
        };
        serde_json::from_slice(&world::answer(&self.bank, &call).unwrap().body).unwrap()
    }
}

async fn a_notification_is_a_reason_to_look_and_not_an_answer(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_sandbox_lost_after").await;
    world.run_due_jobs().await;
    assert_eq!(world.payment(payment.id).await.status, Status::Processing);

    let fresh = world.tell("evt_1", "payment_intent.payment_failed", &payment).await.unwrap();
    world.run_due_jobs().await;

    assert!(fresh);
    assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
    assert_eq!(world.captures(payment.id), 1);
}

async fn an_event_that_comes_twice_is_kept_once(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_sandbox_lost_after").await;
    world.run_due_jobs().await;

    let first = world.tell("evt_1", "payment_intent.succeeded", &payment).await.unwrap();
    let second = world.tell("evt_1", "payment_intent.succeeded", &payment).await.unwrap();
    let jobs = world.run_due_jobs().await;

    assert!(first && !second);
    // The event, and the question that it hurried.
    assert_eq!(jobs, 2);
    let kept = world.flows.store.find_gateway_event("sandbox", "evt_1").await.unwrap().unwrap();
    assert_eq!(kept.payment, Some(payment.id));
    assert!(kept.body.contains("payment_intent.succeeded"));
}

async fn a_refund_that_a_bank_sends_back_is_looked_at_again(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_refundFail").await;
    world.run_due_jobs().await;
    let (refund, _) = world.try_refund(payment.id, None, "key").await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(world.refund(refund.id).await.status, RefundStatus::Succeeded);
    world.travel(TimeDelta::days(3)).await;

    let metadata = json!({ "dunlin_payment": payment.id, "dunlin_refund": refund.id });
    let object = json!({ "object": "refund", "status": "failed", "metadata": metadata });
    let event =
        json!({ "id": "evt_1", "type": "refund.failed", "livemode": false, "data": { "object": object } });
    let (body, at) = (event.to_string(), world.flows.clock().now(false).timestamp());
    let headers = webhooks::headers(at, &body);
    world.flows.take_gateway_event("sandbox", &headers, body.as_bytes()).await.unwrap();
    // The event's job wakes the refund's, which is of another lane.
    world.run_due_jobs().await;
    world.run_due_jobs().await;

    assert_eq!(world.refund(refund.id).await.status, RefundStatus::Failed);
    let payment = world.payment(payment.id).await;
    assert_eq!((payment.refunded, payment.refunding), (0, 0));
    assert_eq!(world.flows.store.list_jobs(payment.id).await.unwrap(), []);
}

async fn a_late_failure_never_moves_a_success_back(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await;
    world.run_due_jobs().await;
    let before = world.payment(payment.id).await;
    assert_eq!(before.status, Status::Succeeded);

    for (id, kind) in [("evt_2", "payment_intent.payment_failed"), ("evt_1", "payment_intent.processing")] {
        world.tell(id, kind, &payment).await.unwrap();
    }
    world.run_due_jobs().await;

    assert_eq!(world.payment(payment.id).await, before);
}

async fn a_success_of_a_canceled_payment_comes_before_a_person(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa_chargeDeclinedInsufficientFunds").await;
    world.run_due_jobs().await;
    // The gateway is away, so it is canceled here alone.
    world.order(&json!({ "fault": "error_before", "method": "cancel", "times": 1 }));
    world.flows.cancel_payment(world.owner, payment.id).await.unwrap();
    let intent = world.payment(payment.id).await.operation.unwrap();
    let paid = world.meddle(
        &format!("/v1/payment_intents/{intent}/confirm"),
        "payment_method=pm_card_visa&off_session=true",
    );
    assert_eq!(paid["status"], "succeeded");

    world.tell("evt_1", "payment_intent.succeeded", &payment).await.unwrap();
    world.run_due_jobs().await;

    let told = world.payment(payment.id).await;
    assert!(told.status.review_reason().is_some(), "{:?}", told.status);
}

async fn tell_of(flows: &Flows, id: &str, payment: &Payment, intent: &str) {
    let kind = "payment_intent.succeeded";
    let body = webhooks::intent_event(id, kind, &payment.id.to_string(), intent);
    let headers = webhooks::headers(flows.clock().now(false).timestamp(), &body);
    flows.take_gateway_event("sandbox", &headers, body.as_bytes()).await.unwrap();
}

fn intent_beside(bank: &Bank, payment: PaymentId, method: &str) -> String {
    let body = format!(
        "amount=1250&currency=eur&payment_method={method}&confirm=true&off_session=true\
         &metadata%5Bdunlin_payment%5D={payment}"
    );
    let call = Call {
        kind: ExchangeKind::Create,
        method: "POST",
        path: "/v1/payment_intents".to_owned(),
        idempotency_key: None,
        body,
    };
    let reply: serde_json::Value = serde_json::from_slice(&world::answer(bank, &call).unwrap().body).unwrap();
    let intent = if reply["error"].is_null() { &reply } else { &reply["error"]["payment_intent"] };
    intent["id"].as_str().unwrap().to_owned()
}

// S1.4
async fn a_second_capture_that_is_told_of_is_given_back(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await;
    world.run_due_jobs().await;
    let second = world.intent_beside(payment.id, "pm_card_visa");
    assert_eq!(world.captures(payment.id), 2);

    for event in ["evt_1", "evt_2"] {
        world.tell_of(event, &payment, &second).await;
        world.run_due_jobs().await;
    }

    assert_eq!(world.statuses(payment.id).await, [AttemptStatus::Succeeded, AttemptStatus::Duplicate]);
    assert_eq!(world.returned().iter().map(|(_, amount)| *amount).collect::<Vec<_>>(), [1250]);
    let kept = world.payment(payment.id).await;
    assert_eq!((kept.status, kept.refunded), (Status::Succeeded, 0));
    assert_ne!(kept.operation, Some(second));
}

async fn a_second_capture_that_is_told_of_while_the_first_is_on_the_wire_is_given_back(database: Database) {
    let mut world = World::new(database).await;
    let payment = world.pay("pm_sandbox_insufficient_funds_1").await;
    world.run_due_jobs().await;
    let (bank, flows, told) = (Arc::clone(&world.bank), world.flows.clone(), payment.clone());
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let (bank, flows, told, call) = (Arc::clone(&bank), flows.clone(), told.clone(), call.clone());
        async move {
            if call.kind == ExchangeKind::Confirm {
                let second = intent_beside(&bank, told.id, "pm_card_visa");
                tell_of(&flows, "evt_1", &told, &second).await;
                assert!(worker::run_due_jobs(&flows, Lane::Reconcile, false).await.unwrap() > 0);
            }
            world::answer(&bank, &call)
        }
        .boxed()
    }));

    world.travel(TimeDelta::days(10)).await;

    let statuses = world.statuses(payment.id).await;
    assert_eq!(statuses, [AttemptStatus::Declined, AttemptStatus::Succeeded, AttemptStatus::Duplicate]);
    assert_eq!(world.captures(payment.id), 2);
    assert_eq!(world.returned().len(), 1);
}

async fn another_intent_that_captured_nothing_changes_nothing(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await;
    world.run_due_jobs().await;
    let before = world.payment(payment.id).await;
    let second = world.intent_beside(payment.id, "pm_card_visa_chargeDeclinedInsufficientFunds");

    world.tell_of("evt_1", &payment, &second).await;
    world.run_due_jobs().await;

    assert_eq!(world.payment(payment.id).await, before);
    assert_eq!(world.statuses(payment.id).await, [AttemptStatus::Succeeded]);
    assert_eq!(world.flows.store.find_next_due(false).await.unwrap(), None);
}

async fn an_attempt_that_begins_during_a_look_is_no_contradiction(database: Database) {
    let mut world = World::new(database).await;
    let payment = world.pay("pm_sandbox_insufficient_funds_1").await;
    world.run_due_jobs().await;
    let Status::Retrying { next_attempt_at } = world.payment(payment.id).await.status else { panic!() };
    let bank = Arc::clone(&world.bank);
    let mut other = world.flows.clone();
    other.client = Client::in_process(Arc::new({
        let bank = Arc::clone(&bank);
        move |call| {
            let _ = world::answer(&bank, call);
            std::future::ready(Err(SendError::Lost("no answer".to_owned()))).boxed()
        }
    }));
    // While the first attempt is asked after, the second one is made, and its answer is lost.
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let (bank, other, call) = (Arc::clone(&bank), other.clone(), call.clone());
        async move {
            let wait = next_attempt_at - other.clock().now(false);
            if call.method == "GET" && wait > TimeDelta::zero() {
                world::move_clock(other.clock(), &bank, wait);
                worker::run_due_jobs(&other, Lane::Payments, false).await.unwrap();
            }
            world::answer(&bank, &call)
        }
        .boxed()
    }));

    world.tell("evt_1", "payment_intent.payment_failed", &payment).await.unwrap();
    world.run_due_jobs().await;
    world.travel(TimeDelta::minutes(1)).await;

    assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
    assert_eq!(world.captures(payment.id), 1);
    let events = world.flows.store.list_event_types(payment.id).await.unwrap();
    assert!(!events.iter().any(|event| event == "payment.needs_review"), "{events:?}");
}

async fn a_look_that_proves_nothing_ends_after_ten(database: Database) {
    let mut world = World::new(database).await;
    let payment = world.pay("pm_card_visa_chargeDeclinedInsufficientFunds").await;
    world.run_due_jobs().await;
    world.flows.cancel_payment(world.owner, payment.id).await.unwrap();
    world.run_due_jobs().await;
    world.flows.client = Client::in_process(Arc::new(|_| {
        std::future::ready(Err(SendError::Lost("no answer".to_owned()))).boxed()
    }));
    let before = world.flows.store.list_exchanges(payment.id).await.unwrap().len();

    world.tell("evt_1", "payment_intent.succeeded", &payment).await.unwrap();
    world.travel(TimeDelta::minutes(3)).await;
    let soon = world.flows.store.list_exchanges(payment.id).await.unwrap().len() - before;
    world.travel(TimeDelta::days(2)).await;

    assert_eq!(soon, 3);
    let looks = world.flows.store.list_exchanges(payment.id).await.unwrap().len() - before;
    assert_eq!(looks, 10);
    assert_eq!(world.flows.store.find_next_due(false).await.unwrap(), None);
}

async fn what_is_not_proven_is_not_kept(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await;
    let body = webhooks::event("evt_1", "payment_intent.succeeded", &payment.id.to_string());
    let now = world.flows.clock().now(false).timestamp();
    let stale = webhooks::headers(now - 301, &body);
    let forged =
        BTreeMap::from([("stripe-signature".to_owned(), webhooks::signature("whsec_other", now, &body))]);

    for headers in [BTreeMap::new(), stale, forged] {
        let taken = world.flows.take_gateway_event("sandbox", &headers, body.as_bytes()).await;
        assert!(matches!(taken, Err(FlowError::Unproven(_))), "{taken:?}");
    }
    let elsewhere =
        world.flows.take_gateway_event("nobody", &webhooks::headers(now, &body), body.as_bytes()).await;

    assert!(matches!(elsewhere, Err(FlowError::NotFound(_))));
    assert_eq!(world.flows.store.find_gateway_event("sandbox", "evt_1").await.unwrap(), None);
}

async fn what_is_not_followed_is_kept_and_left_alone(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_sandbox_lost_after").await;
    world.run_due_jobs().await;

    world.tell("evt_1", "invoice.created", &payment).await.unwrap();
    let jobs = world.run_due_jobs().await;

    assert_eq!(jobs, 0);
    assert!(world.flows.store.find_gateway_event("sandbox", "evt_1").await.unwrap().is_some());
    world.travel(TimeDelta::minutes(1)).await;
    assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
}

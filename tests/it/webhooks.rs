//! What gateways tell unasked: kept once, never believed, and a reason to look at once (S1.13, S4.12).

use crate::support::{both, database::Database, webhooks, world, world::World};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        payment::{Payment, Status},
        refund::RefundStatus,
    },
    flow::FlowError,
};
use serde_json::json;
use std::collections::BTreeMap;

both! {
    a_notification_is_a_reason_to_look_and_not_an_answer
    an_event_that_comes_twice_is_kept_once
    a_refund_that_a_bank_sends_back_is_looked_at_again
    a_late_failure_never_moves_a_success_back
    a_success_of_a_canceled_payment_comes_before_a_person
    what_is_not_proven_is_not_kept
    what_is_not_followed_is_kept_and_left_alone
}

impl World {
    async fn tell(&self, id: &str, kind: &str, payment: &Payment) -> Result<bool, FlowError> {
        let body = webhooks::event(id, kind, &payment.id.to_string());
        let at = self.flows.clock().now(false).timestamp();
        self.flows.take_gateway_event("sandbox", &webhooks::headers(at, &body), body.as_bytes()).await
    }

    /// Calls the gateway as somebody else would.
    fn meddle(&self, path: &str, body: &str) -> serde_json::Value {
        let call = dunlin::gateway::Call {
            kind: dunlin::domain::attempt::ExchangeKind::Confirm,
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

//! What a gateway says is kept whatever it is, and never stands in the way of a commit.

use crate::support::{both, database::Database, webhooks, world, world::World};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::{AttemptStatus, ExchangeKind},
        payment::{Payment, Status},
        refund::RefundStatus,
    },
    gateway::Call,
};
use dunlin_jobs::PaymentId;
use serde_json::{Value, json};

both! {
    a_decline_with_a_nul_in_its_code_is_kept_and_decided_on
    an_answer_with_endless_texts_is_kept
    a_charge_that_was_seen_before_comes_before_a_person_and_is_asked_after
    a_success_beside_another_whose_charge_was_seen_before_is_a_contradiction
    a_refund_that_was_seen_before_comes_before_a_person
    a_signed_event_with_a_nul_is_kept
}

impl World {
    fn order_fault(&self, fault: &str, method: &[&str]) {
        world::admin(
            &self.bank,
            "POST",
            "faults",
            "",
            &json!({ "fault": fault, "method": method }).to_string(),
        );
    }

    async fn done(&self, method: &str) -> Payment {
        let payment = self.pay(method).await;
        self.run_due_jobs().await;
        self.payment(payment.id).await
    }
}

const EVERYTHING: &[&str] = &["any"];

/// A second capture for the payment, made past dunlin.
fn another_intent(world: &World, payment: PaymentId) -> String {
    let call = Call {
        kind: ExchangeKind::Create,
        method: "POST",
        path: "/v1/payment_intents".to_owned(),
        idempotency_key: None,
        body: format!(
            "amount=1250&currency=eur&payment_method=pm_card_visa&confirm=true&off_session=true\
             &metadata%5Bdunlin_payment%5D={payment}"
        ),
    };
    let reply = world::answer(&world.bank, &call).unwrap();
    let intent: Value = serde_json::from_slice(&reply.body).unwrap();
    intent["id"].as_str().unwrap().to_owned()
}

async fn a_decline_with_a_nul_in_its_code_is_kept_and_decided_on(database: Database) {
    let world = World::new(database).await;
    world.order_fault("nul_texts", EVERYTHING);

    let payment = world.done("pm_card_chargeDeclinedInsufficientFunds").await;

    let attempt = payment.attempt.unwrap();
    let decline = attempt.decline.unwrap();
    assert_eq!((payment.status.name(), attempt.status), ("retrying", AttemptStatus::Declined));
    assert_eq!(decline.code, "insufficient_funds\\u{0}");
    assert!(attempt.charge.is_some_and(|charge| charge.starts_with("odd_")));
    let paid = world.done("pm_card_visa").await;
    assert_eq!(paid.status, Status::Succeeded);
}

async fn an_answer_with_endless_texts_is_kept(database: Database) {
    let world = World::new(database).await;
    world.order_fault("endless_texts", EVERYTHING);

    let declined = world.done("pm_card_chargeDeclinedExpiredCard").await;
    let paid = world.done("pm_card_visa").await;

    let decline = declined.attempt.unwrap().decline.unwrap();
    assert!(decline.code.starts_with("expired_cardxxx") && decline.code.len() == 255, "{}", decline.code);
    assert_eq!(paid.status, Status::Succeeded);
}

// S1.4
async fn a_charge_that_was_seen_before_comes_before_a_person_and_is_asked_after(database: Database) {
    let world = World::new(database).await;
    world.order_fault("seen_charge", EVERYTHING);
    let first = world.done("pm_card_visa").await;

    let second = world.done("pm_card_visa").await;

    assert_eq!(first.status, Status::Succeeded);
    let reason = second.status.review_reason().unwrap();
    assert!(reason.contains("ch_seen_before") && reason.contains(&first.id.to_string()), "{reason}");
    assert_eq!(second.attempt.unwrap().status, AttemptStatus::Unknown);
    let runs = world.run_due_jobs().await;
    assert_eq!(runs, 0, "nothing is tried again at once");
    let exchanges = world.flows.store.list_exchanges(second.id).await.unwrap();
    let kept = exchanges[0].closed.clone().unwrap().answer.unwrap();
    assert!(kept.contains("ch_seen_before"), "{kept}");

    world.travel(TimeDelta::hours(1)).await;
    assert!(world.payment(second.id).await.status.review_reason().is_some());
    world.clear_faults();
    world.travel(TimeDelta::hours(12)).await;
    let resolved = world.payment(second.id).await;
    assert_eq!(resolved.status, Status::Succeeded, "its own charge is told at last");
    assert_eq!((world.captures(first.id), world.captures(second.id)), (1, 1));
}

async fn a_success_beside_another_whose_charge_was_seen_before_is_a_contradiction(database: Database) {
    let world = World::new(database).await;
    world.order_fault("seen_charge", EVERYTHING);
    world.done("pm_card_visa").await;
    world.clear_faults();
    let paid = world.done("pm_card_visa").await;
    let intent = another_intent(&world, paid.id);
    world.order_fault("seen_charge", EVERYTHING);

    let body = webhooks::intent_event("evt_1", "payment_intent.succeeded", &paid.id.to_string(), &intent);
    let headers = webhooks::headers(world.flows.clock().now(false).timestamp(), &body);
    world.flows.take_gateway_event("sandbox", &headers, body.as_bytes()).await.unwrap();
    world.run_due_jobs().await;

    let held = world.payment(paid.id).await;
    assert!(held.status.review_reason().is_some_and(|reason| reason.contains("ch_seen_before")), "{held:?}");
    assert_eq!(held.attempt.unwrap().status, AttemptStatus::Succeeded);
}

async fn a_refund_that_was_seen_before_comes_before_a_person(database: Database) {
    let world = World::new(database).await;
    let (one, other) = (world.done("pm_card_visa").await, world.done("pm_card_visa").await);
    world.order_fault("seen_charge", EVERYTHING);
    world.try_refund(one.id, None, "one").await.unwrap();
    world.run_due_jobs().await;
    let (refund, _) = world.try_refund(other.id, None, "other").await.unwrap();
    world.run_due_jobs().await;

    let held = world.flows.store.find_refund(refund.id).await.unwrap().unwrap();
    assert!(held.status == RefundStatus::Unknown && held.review_reason.is_some(), "{held:?}");
}

async fn a_signed_event_with_a_nul_is_kept(database: Database) {
    let world = World::new(database).await;
    let payment = world.done("pm_card_visa").await;
    let body = webhooks::event("evt_1", "payment_intent.succeeded", &payment.id.to_string());
    let body = body.replace("evt_1", "evt_\\u0000");
    let at = world.flows.clock().now(false).timestamp();
    let headers = webhooks::headers(at, &body);
    let tell = || world.flows.take_gateway_event("sandbox", &headers, body.as_bytes());

    let (first, again) = (tell().await.unwrap(), tell().await.unwrap());

    assert_eq!((first, again), (true, false));
    world.run_due_jobs().await;
}

//! What a gateway says, and what becomes of the payment.

use super::{House, registry};
use crate::support::webhooks::SECRET;
use chrono::TimeDelta;
use dunlin::{
    domain::{attempt::AttemptStatus, payment::Status, refund::RefundStatus},
    flow::FlowError,
};

pub(super) async fn an_approval_is_captured_once(house: House) {
    let payment = house.charge(house.sandbox.cards().approved).await;

    assert_eq!(payment.status, Status::Succeeded);
    assert!(payment.attempt.as_ref().is_some_and(|attempt| attempt.charge.is_some()));
    house.travel(TimeDelta::days(3)).await;
    assert_eq!(house.captures(&payment), 1);
}

pub(super) async fn a_soft_decline_is_tried_again_and_captured_once(house: House) {
    let declined = house.charge(house.sandbox.cards().declined_once).await;
    assert!(matches!(declined.status, Status::Retrying { .. }), "{:?}", declined.status);

    house.travel(TimeDelta::days(3)).await;

    let paid = house.payment(declined.id).await;
    assert_eq!((paid.status, paid.attempt.map(|attempt| attempt.n)), (Status::Succeeded, Some(2)));
    // One operation for both attempts (S1.17).
    assert_eq!(paid.operation, declined.operation);
    assert_eq!(house.sandbox.captures(declined.id), 1);
}

pub(super) async fn a_hard_decline_ends_the_payment(house: House) {
    let payment = house.charge(house.sandbox.cards().declined_for_ever).await;

    house.travel(TimeDelta::days(40)).await;

    assert_eq!(house.payment(payment.id).await, payment);
    assert_eq!(payment.status, Status::Failed);
    assert_eq!(house.captures(&payment), 0);
}

// S1.18
pub(super) async fn a_challenge_waits_for_the_customer(house: House) {
    let payment = house.charge(house.sandbox.cards().challenged).await;

    house.travel(TimeDelta::days(40)).await;

    let attempt = payment.attempt.as_ref().unwrap();
    assert_eq!((&payment.status, attempt.status), (&Status::RequiresAction, AttemptStatus::Declined));
    let waiting = house.payment(payment.id).await;
    assert_eq!((&waiting.status, &waiting.attempt), (&payment.status, &payment.attempt));
    // S1.21: who has not paid for so long can pay no more.
    assert!(!house.sandbox.holds_open(&payment));
    assert_eq!(house.captures(&payment), 0);
}

// S1.15
pub(super) async fn a_wrong_amount_comes_before_a_person(house: House) {
    let payment = house.charge(house.sandbox.cards().wrong_amount).await;

    assert!(payment.status.review_reason().is_some(), "{:?}", payment.status);
    house.travel(TimeDelta::days(3)).await;
    assert_eq!(house.captures(&payment), 1);
}

// S1.8
pub(super) async fn refused_credentials_hold_the_payment_and_cost_no_attempt(mut house: House) {
    house.flows.gateways = registry(house.sandbox.account_refused());
    let held = house.charge(house.sandbox.cards().approved).await;
    let planned = held.attempt.as_ref().map(|attempt| attempt.status);
    assert_eq!((&held.status, planned), (&Status::Processing, Some(AttemptStatus::Planned)));

    house.flows.gateways = registry(house.sandbox.account());
    house.flows.clock().travel(TimeDelta::seconds(10));
    house.flows.tend_holds_once().await.unwrap();
    house.work().await;

    let paid = house.payment(held.id).await;
    assert_eq!((paid.status, paid.attempt.map(|attempt| attempt.n)), (Status::Succeeded, Some(1)));
    assert_eq!(house.captures(&held), 1);
}

pub(super) async fn a_late_settlement_is_waited_for(house: House) {
    let accepted = house.charge(house.sandbox.cards().settles_late).await;
    assert_eq!(accepted.attempt.as_ref().map(|attempt| attempt.status), Some(AttemptStatus::Pending));
    assert_eq!((&accepted.status, house.captures(&accepted)), (&Status::Processing, 0));

    house.travel(TimeDelta::hours(1)).await;

    assert_eq!(house.payment(accepted.id).await.status, Status::Succeeded);
    assert_eq!(house.captures(&accepted), 1);
}

pub(super) async fn a_refund_goes_back_once(house: House) {
    let payment = house.charge(house.sandbox.cards().approved).await;

    let refund = house.give_back(&payment).await;
    house.work().await;

    assert_eq!(house.refund_status(refund).await, RefundStatus::Succeeded);
    house.travel(TimeDelta::days(3)).await;
    assert_eq!(house.sandbox.returned(refund), 1);
}

// S1.19
pub(super) async fn a_canceled_payment_leaves_nothing_open(house: House) {
    for card in [house.sandbox.cards().declined_once, house.sandbox.cards().challenged] {
        let payment = house.charge(card).await;
        assert!(house.sandbox.holds_open(&payment));

        let canceled = house.flows.cancel_payment(house.owner, payment.id).await.unwrap();
        house.work().await;

        assert_eq!(canceled.status, Status::Canceled);
        assert!(!house.sandbox.holds_open(&payment));
        house.travel(TimeDelta::days(3)).await;
        assert_eq!(house.captures(&payment), 0);
    }
}

// S4.12
pub(super) async fn a_webhook_counts_only_with_its_signature(house: House) {
    let payment = house.charge(house.sandbox.cards().lost_after).await;
    assert_eq!(payment.status, Status::Processing);
    let at = house.flows.clock().now(false).timestamp();
    let (forged, body) = house.sandbox.event("another secret", at, payment.id);
    let (good, _) = house.sandbox.event(SECRET, at, payment.id);

    let refused = house.flows.take_gateway_event("contract", &forged, body.as_bytes()).await;
    house.work().await;
    let still = house.payment(payment.id).await;
    let taken = house.flows.take_gateway_event("contract", &good, body.as_bytes()).await;
    house.work().await;

    assert!(matches!(refused, Err(FlowError::Unproven(_))), "{refused:?}");
    assert_eq!(still, payment);
    assert!(matches!(taken, Ok(true)), "{taken:?}");
    assert_eq!(house.payment(payment.id).await.status, Status::Succeeded);
    assert_eq!(house.captures(&payment), 1);
}

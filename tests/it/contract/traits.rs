//! What an adapter declares of its gateway (S2.9), held against the gateway's sandbox.

use super::{House, PATIENCE_MS, Trouble};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::{AttemptStatus, Outcome},
        clock::Time,
        payment::{Payment, Status},
    },
    gateway::{Call, Cancellation, Finding, Reading, Send, Tried, client::SendError},
};
use std::time::{Duration, Instant};

fn tried(payment: &Payment, at: Time) -> Tried<'_> {
    Tried::of(payment, 1, at)
}

/// The payment with what its first answer tells of the gateway's operation.
fn answered(payment: Payment, reading: &Reading) -> Payment {
    let Reading::Answered(answer) = reading else { panic!("{reading:?}") };
    Payment { operation: answer.operation.clone(), ..payment }
}

// key_supported
pub(super) async fn the_same_bytes_under_the_same_key_are_executed_once(house: House) {
    let gateway = &house.account().gateway;
    let (payment, call) = house.first_call(house.sandbox.cards().approved).await;

    let first = gateway.read_charge(&payment, Send::First, &house.send(&call).await.unwrap());
    let again = gateway.read_charge(&payment, Send::Again, &house.send(&call).await.unwrap());

    assert!(matches!(&first, Reading::Answered(answer) if answer.outcome == Outcome::Succeeded), "{first:?}");
    assert!(gateway.traits().key_supported && call.idempotency_key.is_some());
    assert_eq!(first, again);
    assert_eq!(house.captures(&payment), 1);
}

// param_compare
pub(super) async fn a_key_with_other_parameters_is_refused(house: House) {
    let gateway = &house.account().gateway;
    let (payment, call) = house.first_call(house.sandbox.cards().approved).await;
    house.send(&call).await.unwrap();
    let (_, other) = house.first_call(house.sandbox.cards().declined_once).await;

    let other = Call { idempotency_key: call.idempotency_key.clone(), ..other };
    let reading = gateway.read_charge(&payment, Send::Again, &house.send(&other).await.unwrap());

    assert_eq!(matches!(reading, Reading::Mismatch(_)), gateway.traits().param_compare, "{reading:?}");
}

// replays_errors
pub(super) async fn an_error_is_replayed_under_its_key(house: House) {
    let gateway = &house.account().gateway;
    let (payment, call) = house.first_call(house.sandbox.cards().error_kept).await;
    let first = gateway.read_charge(&payment, Send::First, &house.send(&call).await.unwrap());

    let again = gateway.read_charge(&payment, Send::Again, &house.send(&call).await.unwrap());

    // A doubt either way; where the gateway says at once that it keeps the error, that is known from the beginning.
    assert!(matches!(first, Reading::Unknown(_) | Reading::StoredError(_)), "{first:?}");
    assert_eq!(matches!(again, Reading::StoredError(_)), gateway.traits().replays_errors, "{again:?}");
}

// limiter_before_idempotency
pub(super) async fn what_a_limiter_turns_away_goes_again_as_the_same_attempt(house: House) {
    house.sandbox.trouble(Trouble::ChargeLimited);

    let held = house.charge(house.sandbox.cards().approved).await;
    let proven = held.attempt.as_ref().is_some_and(|attempt| attempt.status == AttemptStatus::Planned);
    assert_eq!(proven, house.account().gateway.traits().limiter_before_idempotency, "{held:?}");
    house.travel(TimeDelta::days(2)).await;

    let paid = house.payment(held.id).await;
    assert_eq!((paid.status, paid.attempt.map(|attempt| attempt.n)), (Status::Succeeded, Some(1)));
    assert_eq!(house.sandbox.captures(held.id), 1);
}

// query_by_reference
pub(super) async fn a_reference_finds_what_was_made_and_nothing_else(house: House) {
    let gateway = &house.account().gateway;
    let now = house.flows.clock().now(false);
    let (made, call) = house.first_call(house.sandbox.cards().approved).await;
    house.send(&call).await.unwrap();
    let (never_sent, _) = house.first_call(house.sandbox.cards().approved).await;
    assert!(gateway.traits().query_by_reference);

    let ask = async |payment: &Payment| {
        let question = gateway.query(tried(payment, now));
        let reply = house.send(&question).await.unwrap();
        gateway.read_query(tried(payment, now), &question, &reply)
    };
    let (found, absent) = (ask(&made).await, ask(&never_sent).await);

    assert!(matches!(&found, Finding::Answered(answer) if answer.outcome == Outcome::Succeeded), "{found:?}");
    assert_eq!(absent, Finding::Absent);
}

// cancel_by_key
pub(super) async fn an_operation_is_canceled_by_what_is_declared(house: House) {
    let gateway = &house.account().gateway;
    let (payment, call) = house.first_call(house.sandbox.cards().declined_once).await;
    let reading = gateway.read_charge(&payment, Send::First, &house.send(&call).await.unwrap());
    assert_eq!(gateway.cancel(&payment, 1, 0).is_some(), gateway.traits().cancel_by_key);
    let payment = answered(payment, &reading);
    let cancel = gateway.cancel(&payment, 1, 0).expect("its id is known");

    let canceled = gateway.read_cancel(&payment, &house.send(&cancel).await.unwrap());
    let again = gateway.read_cancel(&payment, &house.send(&cancel).await.unwrap());

    assert_eq!((canceled, again), (Cancellation::Canceled, Cancellation::Canceled));
    assert!(!house.sandbox.holds_open(&payment));
}

// max_timeout
pub(super) async fn a_call_ends_within_its_time(house: House) {
    let (_, call) = house.first_call(house.sandbox.cards().slow).await;
    let begin = Instant::now();

    let result = house.send(&call).await;

    assert!(matches!(result, Err(SendError::Lost(_))), "{result:?}");
    let declared = house.account().gateway.traits().max_timeout;
    assert!(Duration::from_millis(PATIENCE_MS) <= declared && begin.elapsed() < declared);
}

//! What is not known of a charge is found out, and nothing is charged twice.

use super::{House, Trouble};
use crate::support::world::claim_one;
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::AttemptStatus,
        payment::{Event, Payment, Status},
        refund::RefundStatus,
    },
    store::change::{Change, Exchange, ExchangeWrite, JobEnd, Subject},
};
use dunlin_jobs::{AttemptId, ChangeId, ExchangeId};

async fn is_found_out(house: &House, payment: &Payment) {
    assert_eq!(payment.attempt.as_ref().map(|attempt| attempt.status), Some(AttemptStatus::Unknown));

    house.travel(TimeDelta::days(2)).await;

    let found = house.payment(payment.id).await;
    assert_eq!((found.status, found.attempt.map(|attempt| attempt.n)), (Status::Succeeded, Some(1)));
    assert_eq!(house.captures(payment), 1);
}

pub(super) async fn an_answer_lost_before_execution_is_found_out(house: House) {
    let payment = house.charge(house.sandbox.cards().lost_before).await;
    is_found_out(&house, &payment).await;
}

pub(super) async fn an_answer_lost_after_execution_is_found_out(house: House) {
    let payment = house.charge(house.sandbox.cards().lost_after).await;
    is_found_out(&house, &payment).await;
}

pub(super) async fn an_answer_that_comes_too_late_is_found_out(house: House) {
    let payment = house.charge(house.sandbox.cards().slow).await;
    is_found_out(&house, &payment).await;
}

pub(super) async fn an_error_that_the_key_keeps_is_seen_through(house: House) {
    let payment = house.charge(house.sandbox.cards().error_kept).await;
    is_found_out(&house, &payment).await;
}

pub(super) async fn a_refund_whose_answer_is_lost_goes_back_once(house: House) {
    let payment = house.charge(house.sandbox.cards().approved).await;
    house.sandbox.trouble(Trouble::RefundLost);

    let refund = house.give_back(&payment).await;
    house.work().await;
    assert_eq!(house.refund_status(refund).await, RefundStatus::Unknown);
    house.travel(TimeDelta::days(2)).await;

    assert_eq!(house.refund_status(refund).await, RefundStatus::Succeeded);
    assert_eq!(house.sandbox.returned(refund), 1);
}

/// The gateway has executed it, and the worker is gone before it could say so.
pub(super) async fn a_worker_that_dies_in_its_call_neither_loses_nor_doubles_it(house: House) {
    let payment = house.pay(house.sandbox.cards().approved).await;
    let (store, clock) = (&house.flows.store, house.flows.clock());
    let now = clock.now(false);
    let claimed = claim_one(store).await;
    let call = house.account().gateway.charge(&payment, 1).unwrap();
    let exchange = Exchange {
        id: ExchangeId::mint(now, clock.random()),
        payment: payment.id,
        attempt: 1,
        refund: None,
        kind: call.kind,
        resend: false,
        method: call.method.to_owned(),
        path: call.path.clone(),
        idempotency_key: call.idempotency_key.clone(),
        api_version: house.account().gateway.api_version().to_owned(),
        body: call.body.clone(),
        opened_at: now,
        closed: None,
    };
    let begun = Event::Due { attempt: 1, id: AttemptId::mint(now, clock.random()) };
    let intent = Change {
        id: ChangeId::mint(now, clock.random()),
        actor: "worker".into(),
        subject: Subject::Event(payment.id, begun),
        exchanges: vec![ExchangeWrite::Open(exchange)],
        job: Some((claimed.lease.clone(), JobEnd::Keep)),
    };
    store.commit(intent).await.unwrap();
    assert_eq!(house.send(&call).await.unwrap().status, 200);

    store.expire_leases().await.unwrap();
    house.work().await;

    is_found_out(&house, &house.payment(payment.id).await).await;
}

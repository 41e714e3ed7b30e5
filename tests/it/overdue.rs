//! What is overdue: what was accepted and never finished comes before a person, once, and is asked after on and on.

use crate::support::{altered::Altered, both, database::Database, world, world::World};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::{AttemptStatus, ExchangeKind},
        payment::Status,
        refund,
    },
    gateway::{
        Gateway, Registry, Traits,
        client::{Client, SendError},
    },
};
use futures_util::FutureExt;
use std::sync::{Arc, OnceLock};

both! {
    what_settles_for_too_long_comes_before_a_person_and_ends_by_its_result
    what_was_accepted_is_never_sent_anew_though_the_gateway_forgets_it
    where_a_gateway_can_be_asked_in_no_way_a_doubt_goes_to_a_person_and_is_never_sent_again
    where_a_gateway_can_be_asked_in_no_way_a_refund_goes_to_a_person_and_is_never_sent_again
}

// S1: pending -> unknown (overdue)
async fn what_settles_for_too_long_comes_before_a_person_and_ends_by_its_result(database: Database) {
    let mut world = World::new(database).await;
    let (bank, clock) = (Arc::clone(&world.bank), world.flows.clock().clone());
    let begin = clock.now(false);
    // For five days the gateway says that it is at it.
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let mut answer = world::answer(&bank, call);
        if let Ok(reply) = &mut answer
            && clock.now(false) - begin < TimeDelta::days(5)
        {
            let text = String::from_utf8_lossy(&reply.body).replace(r#""succeeded""#, r#""processing""#);
            reply.body = text.into_bytes();
        }
        std::future::ready(answer).boxed()
    }));
    let payment = world.pay("pm_card_visa").await;
    world.run_due_jobs().await;
    assert_eq!(world.payment(payment.id).await.attempt.unwrap().status, AttemptStatus::Pending);

    world.travel(TimeDelta::hours(23)).await;
    assert_eq!(world.payment(payment.id).await.status, Status::Processing);
    world.travel(TimeDelta::days(3)).await;
    let late = world.payment(payment.id).await;
    let reviews = world.flows.store.list_event_types(payment.id).await.unwrap();
    world.travel(TimeDelta::days(3)).await;

    assert!(late.status.review_reason().is_some(), "{:?}", late.status);
    assert_eq!(reviews.iter().filter(|event| *event == "payment.needs_review").count(), 1, "{reviews:?}");
    assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
    assert_eq!(world.captures(payment.id), 1);
}

// S1.9, S1.17
async fn what_was_accepted_is_never_sent_anew_though_the_gateway_forgets_it(database: Database) {
    for method in ["pm_card_visa", "pm_sandbox_insufficient_funds_1"] {
        let mut world = World::new(database.another().await).await;
        let (bank, clock) = (Arc::clone(&world.bank), world.flows.clock().clone());
        let accepted_at = Arc::new(OnceLock::new());
        // For most of a day the gateway says that it is at it, and then that the intent waits for a confirmation.
        world.flows.client = Client::in_process(Arc::new(move |call| {
            let mut answer = world::answer(&bank, call);
            if let Ok(reply) = &mut answer
                && let text = String::from_utf8_lossy(&reply.body)
                && text.contains(r#""succeeded""#)
            {
                let begin = *accepted_at.get_or_init(|| clock.now(false));
                let is_early = clock.now(false) - begin < TimeDelta::hours(20);
                let told = if is_early { r#""processing""# } else { r#""requires_confirmation""# };
                let text = text.replace(r#""succeeded""#, told);
                reply.body = text.into_bytes();
            }
            std::future::ready(answer).boxed()
        }));
        let payment = world.pay(method).await;

        world.travel(TimeDelta::days(20)).await;

        let payment = world.payment(payment.id).await;
        assert!(payment.status.review_reason().is_some(), "{:?}", payment.status);
        let attempt = payment.attempt.unwrap();
        assert_eq!(attempt.status, AttemptStatus::Unknown);
        let exchanges = world.flows.store.list_exchanges(payment.id).await.unwrap();
        let sent = exchanges.iter().filter(|exchange| exchange.kind.is_charge());
        assert_eq!(sent.count(), usize::try_from(attempt.n).unwrap(), "{method}");
    }
}

/// The gateway of the tests, said to know neither keys nor references.
fn bare(gateways: &Registry) -> Registry {
    Altered::over(gateways, |gateway| {
        let traits = Traits { key_supported: false, query_by_reference: false, ..gateway.traits().clone() };
        Altered { traits, ..gateway }
    })
}

// S2.10
async fn where_a_gateway_can_be_asked_in_no_way_a_doubt_goes_to_a_person_and_is_never_sent_again(
    database: Database,
) {
    let mut world = World::new(database).await;
    world.flows.gateways = bare(&world.flows.gateways);
    world.flows.client = Client::in_process(Arc::new(|_| {
        std::future::ready(Err(SendError::Lost("no answer".to_owned()))).boxed()
    }));
    let payment = world.pay("pm_card_visa").await;

    world.travel(TimeDelta::days(3)).await;

    let payment = world.payment(payment.id).await;
    assert!(payment.status.review_reason().is_some(), "{:?}", payment.status);
    let exchanges = world.flows.store.list_exchanges(payment.id).await.unwrap();
    let kinds: Vec<_> = exchanges.iter().map(|exchange| exchange.kind).collect();
    assert_eq!(kinds, [ExchangeKind::Create]);
}

// S2.10
async fn where_a_gateway_can_be_asked_in_no_way_a_refund_goes_to_a_person_and_is_never_sent_again(
    database: Database,
) {
    let mut world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await.id;
    world.run_due_jobs().await;
    world.flows.gateways = bare(&world.flows.gateways);
    world.flows.client = Client::in_process(Arc::new(|_| {
        std::future::ready(Err(SendError::Lost("no answer".to_owned()))).boxed()
    }));
    let refund = world.try_refund(payment, Some(500), "r").await.unwrap().0.id;

    world.travel(TimeDelta::hours(1)).await;
    let early = world.refund(refund).await;
    world.travel(TimeDelta::days(3)).await;

    assert_eq!(early.status, refund::RefundStatus::Unknown);
    assert!(early.review_reason.is_some_and(|why| why.contains("cannot be asked")));
    let exchanges = world.flows.store.list_exchanges(payment).await.unwrap();
    let about = exchanges.iter().filter(|exchange| exchange.refund == Some(refund));
    assert_eq!(about.map(|exchange| exchange.kind).collect::<Vec<_>>(), [ExchangeKind::Refund]);
    let events = world.flows.store.list_event_types(payment).await.unwrap();
    assert_eq!(events.iter().filter(|event| *event == "refund.needs_review").count(), 1, "{events:?}");
}

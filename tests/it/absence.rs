//! Absence is evidence only of a complete look, long enough after the last send (S1.9).

use crate::support::{both, world};
use crate::support::{database::Database, world::World};
use chrono::TimeDelta;
use dunlin::{
    domain::payment::Status,
    gateway::{
        Reply,
        client::{Client, SendError},
    },
};
use futures_util::FutureExt;
use std::{collections::BTreeMap, sync::Arc};

both! {
    a_charge_made_by_a_late_resend_is_found_and_not_made_again
    an_error_with_nothing_behind_it_comes_before_a_person_after_a_day
}

/// The gateway answers each charge with an error, and its listing stays empty.
async fn an_error_with_nothing_behind_it_comes_before_a_person_after_a_day(database: Database) {
    let mut world = World::new(database).await;
    world.flows.client = Client::in_process(Arc::new(|call| {
        let (status, body) = match call.method {
            "POST" => (500, r#"{"error":{"type":"api_error"}}"#),
            _ => (200, r#"{"object":"list","data":[],"has_more":false}"#),
        };
        let reply = Reply { status, headers: BTreeMap::new(), body: body.as_bytes().to_vec() };
        std::future::ready(Ok(reply)).boxed()
    }));
    let payment = world.pay("pm_card_visa").await;

    world.travel(TimeDelta::hours(23)).await;
    let early = world.flows.store.list_event_types(payment.id).await.unwrap();
    world.travel(TimeDelta::hours(14)).await;
    let late = world.flows.store.list_event_types(payment.id).await.unwrap();

    assert!(!early.iter().any(|event| event == "payment.needs_review"), "{early:?}");
    assert!(late.iter().any(|event| event == "payment.needs_review"), "{late:?}");
    assert!(!world.payment(payment.id).await.status.is_final());
    let jobs = world.flows.store.list_jobs(payment.id).await.unwrap();
    assert_eq!(jobs.iter().filter(|job| job.state == "live").count(), 1, "{jobs:?}");
}

async fn a_charge_made_by_a_late_resend_is_found_and_not_made_again(database: Database) {
    let mut world = World::new(database).await;
    let (bank, clock) = (Arc::clone(&world.bank), world.flows.clock().clone());
    let begin = clock.now(false);
    let gateways = world::gateways();
    // Nothing gets through for five hours; then the requests arrive, but no answer to a charge ever comes back.
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let passed = clock.now(false) - begin;
        let lost = Err(SendError::Lost("no answer".to_owned()));
        let result = if passed < TimeDelta::hours(5) {
            lost
        } else {
            let account = gateways.default_for(false).unwrap();
            let time = account.gateway.set_clock(passed).unwrap();
            world::answer(&bank, &time).unwrap();
            let answer = world::answer(&bank, call);
            if call.method == "POST" { lost } else { answer }
        };
        std::future::ready(result).boxed()
    }));
    let payment = world.pay("pm_card_visa").await;

    world.travel(TimeDelta::days(4)).await;

    assert_eq!(world.captures(payment.id), 1);
    assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
}

//! Clocks that are wrong: what one machine has sent is dated by the database, by whose clock its key's
//! life counts (S2.11).

use crate::support::{
    database::Database,
    world::{self, World},
};
use chrono::TimeDelta;
use dunlin::{
    domain::{attempt::AttemptStatus, payment::Status},
    gateway::client::{Client, SendError},
    worker,
};
use dunlin_jobs::Lane;
use futures_util::FutureExt;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

const HOUR: TimeDelta = TimeDelta::hours(1);

/// The first charge is taken and its answer lost; charges arrive again after a day, and questions after 30 hours.
fn meet(world: &mut World) {
    let (bank, clock, posts) = (Arc::clone(&world.bank), world.flows.clock().clone(), AtomicUsize::new(0));
    let begin = clock.evidence(false);
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let passed = clock.evidence(false) - begin;
        let lost = Err(SendError::Lost("no answer".to_owned()));
        let result = match call.method {
            "POST" if posts.fetch_add(1, Ordering::SeqCst) == 0 => world::answer(&bank, call).and(lost),
            "POST" if passed < HOUR * 24 => lost,
            "GET" if passed < HOUR * 30 => lost,
            _ => world::answer(&bank, call),
        };
        std::future::ready(result).boxed()
    }));
}

// S2.11: the gateway has forgotten the key after a day, and the first send seems to be 8 hours younger.
#[tokio::test]
async fn what_a_clock_ahead_has_sent_is_not_sent_again_once_its_key_may_be_forgotten() {
    let mut world = World::new(Database::postgres().await).await;
    meet(&mut world);
    let ahead = world.drifting(HOUR * 8).await;
    let id = world.pay("pm_card_visa").await.id;
    let begin = world.flows.clock().now(false);

    worker::run_due_jobs(&ahead, Lane::Payments, false).await.unwrap();
    let sent = world.flows.store.list_exchanges(id).await.unwrap();
    world.travel(HOUR * 29).await;
    let meanwhile = world.payment(id).await.attempt.unwrap().status;
    world.travel(HOUR * 72).await;

    assert_eq!(sent[0].opened_at, begin, "dated by the database");
    assert_eq!(meanwhile, AttemptStatus::Unknown);
    assert_eq!((world.captures(id), world.payment(id).await.status), (1, Status::Succeeded));
}

//! Answers of which nothing can be read but the gateway's id: what they name is there, so it is asked after by its id
//! and not sent again.

use crate::support::{
    both,
    database::Database,
    world::{self, World},
};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::{AttemptStatus, ExchangeKind},
        payment::Status,
        refund::RefundStatus,
    },
    gateway::{Call, Reply, client::Client},
    store::change::Exchange,
};
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::sync::Arc;

both! {
    a_charge_that_is_named_is_asked_after_by_its_name
    a_refund_that_is_named_is_asked_after_by_its_name
}

/// Leaves nothing of the answers to these calls but the id.
fn mangle(world: &mut World, which: fn(&Call) -> bool) {
    let bank = Arc::clone(&world.bank);
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let answer = world::answer(&bank, call).map(|reply| {
            let body: Value = serde_json::from_slice(&reply.body).unwrap();
            let named = json!({ "id": body["id"], "amount": "a new shape" }).to_string().into_bytes();
            Reply { body: if which(call) { named } else { reply.body }, ..reply }
        });
        std::future::ready(answer).boxed()
    }));
}

fn kinds(exchanges: &[Exchange]) -> Vec<(ExchangeKind, &str)> {
    exchanges.iter().map(|exchange| (exchange.kind, exchange.method.as_str())).collect()
}

async fn a_charge_that_is_named_is_asked_after_by_its_name(database: Database) {
    let mut world = World::new(database).await;
    mangle(&mut world, |call| call.method == "POST");
    let id = world.pay("pm_card_visa").await.id;

    world.run_due_jobs().await;
    let doubted = world.payment(id).await;
    world.travel(TimeDelta::minutes(1)).await;

    let operation = doubted.operation.unwrap();
    assert_eq!(doubted.attempt.map(|attempt| attempt.status), Some(AttemptStatus::Unknown));
    assert_eq!((world.payment(id).await.status, world.captures(id)), (Status::Succeeded, 1));
    let exchanges = world.flows.store.list_exchanges(id).await.unwrap();
    assert_eq!(kinds(&exchanges), [(ExchangeKind::Create, "POST"), (ExchangeKind::Query, "GET")]);
    assert_eq!(exchanges[1].path, format!("/v1/payment_intents/{operation}?expand%5B%5D=latest_charge"));
}

async fn a_refund_that_is_named_is_asked_after_by_its_name(database: Database) {
    let mut world = World::new(database).await;
    mangle(&mut world, |call| call.kind == ExchangeKind::Refund);
    let id = world.pay("pm_card_visa").await.id;
    world.run_due_jobs().await;
    let refund = world.try_refund(id, Some(500), "r").await.unwrap().0.id;

    world.run_due_jobs().await;
    let doubted = world.refund(refund).await;
    world.travel(TimeDelta::minutes(1)).await;

    assert_eq!((doubted.status, doubted.operation.is_some()), (RefundStatus::Unknown, true));
    assert_eq!(world.refund(refund).await.status, RefundStatus::Succeeded);
    assert_eq!(world.returned(), [(refund.to_string(), 500)]);
    let exchanges = world.flows.store.list_exchanges(id).await.unwrap();
    let last: Vec<_> = exchanges.into_iter().filter(|exchange| exchange.refund == Some(refund)).collect();
    assert_eq!(kinds(&last), [(ExchangeKind::Refund, "POST"), (ExchangeKind::Query, "GET")]);
}

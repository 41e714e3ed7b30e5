//! A proxy or a firewall before the gateway answers in its place, after it has passed the request on: what it says of the
//! request is no word of the gateway's.

use crate::support::{both, database::Database, world, world::World};
use chrono::TimeDelta;
use dunlin::{
    domain::{payment::Status, refund::RefundStatus},
    gateway::{Reply, client::Client},
};
use futures_util::FutureExt;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

both! {
    a_charge_that_a_proxy_says_was_refused_is_asked_after_and_made_once
    a_refund_that_a_proxy_says_was_refused_is_asked_after_and_made_once
    a_listing_that_a_proxy_answers_is_no_proof_of_absence
}

/// What a proxy says for its part.
const ANSWERS: [(u16, &str); 7] = [
    (400, "<html>400 Bad Request</html>"),
    (401, "<html>401 Authorization Required</html>"),
    (403, r#"{"message":"Forbidden"}"#),
    (404, r#"{"error":{"code":"resource_missing","message":"no such route"}}"#),
    (422, r#"{"error":{"type":"blocked"}}"#),
    (429, r#"{"error":"Too Many Requests"}"#),
    (429, "error code: 1015"),
];

fn said((status, body): (u16, &str)) -> Reply {
    Reply { status, headers: BTreeMap::new(), body: body.as_bytes().to_vec() }
}

impl World {
    /// The next send arrives, and a proxy answers it.
    fn meet_a_proxy(&mut self, answer: (u16, &'static str)) {
        let (bank, sends) = (Arc::clone(&self.bank), AtomicUsize::new(0));
        self.flows.client = Client::in_process(Arc::new(move |call| {
            let reply = world::answer(&bank, call);
            let is_first = call.kind.moves_money() && sends.fetch_add(1, Ordering::SeqCst) == 0;
            let result = if is_first { reply.map(|_| said(answer)) } else { reply };
            std::future::ready(result).boxed()
        }));
    }
}

// S1.8
async fn a_charge_that_a_proxy_says_was_refused_is_asked_after_and_made_once(database: Database) {
    let mut world = World::new(database).await;
    for answer in ANSWERS {
        world.meet_a_proxy(answer);
        let payment = world.pay("pm_card_visa").await.id;
        world.run_due_jobs().await;
        let meanwhile = world.payment(payment).await.status;

        world.travel(TimeDelta::minutes(10)).await;

        assert_eq!(meanwhile, Status::Processing, "{answer:?}");
        assert_eq!(world.payment(payment).await.status, Status::Succeeded, "{answer:?}");
        assert_eq!(world.captures(payment), 1, "{answer:?}");
        assert_eq!(world.flows.store.list_attempts(payment).await.unwrap().len(), 1, "{answer:?}");
    }
}

// S1.8
async fn a_refund_that_a_proxy_says_was_refused_is_asked_after_and_made_once(database: Database) {
    let mut world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await.id;
    world.run_due_jobs().await;
    let mut refunds = Vec::new();
    for (index, answer) in ANSWERS.into_iter().enumerate() {
        world.meet_a_proxy(answer);
        let (refund, _) = world.try_refund(payment, Some(100), &format!("key {index}")).await.unwrap();
        world.run_due_jobs().await;
        let meanwhile = world.refund(refund.id).await.status;
        refunds.push(refund.id);

        assert_eq!(meanwhile, RefundStatus::Unknown, "{answer:?}");
    }

    world.travel(TimeDelta::minutes(10)).await;

    for refund in &refunds {
        assert_eq!(world.refund(*refund).await.status, RefundStatus::Succeeded);
    }
    assert_eq!(world.returned().len(), refunds.len());
}

// S1.9
async fn a_listing_that_a_proxy_answers_is_no_proof_of_absence(database: Database) {
    let mut world = World::new(database).await;
    let bank = Arc::clone(&world.bank);
    let pages = AtomicUsize::new(0);
    // Each send arrives and its answer is lost; what is asked meets the proxy.
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let reply = world::answer(&bank, call);
        let proxys = [(200, "<html>Sign in</html>"), (200, r#"{"data":[],"has_more":false}"#)];
        let page = proxys[pages.fetch_add(1, Ordering::SeqCst) % proxys.len()];
        std::future::ready(reply.map(|_| said(if call.kind.moves_money() { (502, "") } else { page })))
            .boxed()
    }));
    let payment = world.pay("pm_card_visa").await.id;

    world.travel(TimeDelta::days(5)).await;
    let meanwhile = world.payment(payment).await.status;
    world.flows.client = world::client(Arc::clone(&world.bank));
    world.travel(TimeDelta::days(1)).await;

    assert!(meanwhile.review_reason().is_some(), "{meanwhile:?}");
    assert_eq!(world.payment(payment).await.status, Status::Succeeded);
    assert_eq!(world.captures(payment), 1);
}

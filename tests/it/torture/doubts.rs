//! Doubts at their worst: nobody looks until the gateway has forgotten the key, or its listing is late.

use crate::support::{
    both,
    database::Database,
    world::{self, World},
};
use chrono::TimeDelta;
use dunlin::{
    domain::{attempt::ExchangeKind, clock::Clock, payment::Status},
    gateway::{Reply, client::Client},
};
use dunlin_jobs::PaymentId;
use dunlin_sandbox::Bank;
use futures_util::FutureExt;
use serde_json::Value;
use std::sync::Arc;

both! {
    nothing_is_sent_again_after_its_keys_life_unless_it_was_asked_after_before
    lost_answers_are_found_within_minutes_of_being_known_however_late_the_listing
}

/// How long nobody looks: around the last moment for a resend, around the key's life, and long after both.
const ABSENCES: [i64; 6] = [18 * 60, 19 * 60 + 10, 19 * 60 + 15, 24 * 60 - 1, 24 * 60 + 1, 9 * 24 * 60];
/// 0.8 of the life of the gateway's keys.
const LAST_RESEND: TimeDelta = TimeDelta::minutes(24 * 60 * 8 / 10);

// S2.11
async fn nothing_is_sent_again_after_its_keys_life_unless_it_was_asked_after_before(database: Database) {
    let world = World::new(database).await;
    for minutes in ABSENCES {
        for method in ["pm_sandbox_lost_before", "pm_sandbox_lost_after"] {
            let payment = world.pay(method).await;
            world.run_due_jobs().await;

            world::move_clock(world.flows.clock(), &world.bank, TimeDelta::minutes(minutes));
            world.travel(TimeDelta::days(3)).await;

            let when = format!("{method} after {minutes} min");
            assert_eq!(world.payment(payment.id).await.status, Status::Succeeded, "{when}");
            assert_eq!(world.captures(payment.id), 1, "{when}");
            assert_eq!(late_resends(&world, payment.id).await, 0, "{when}");
        }
    }
}

/// Resends after the limit that no answered question goes before.
async fn late_resends(world: &World, payment: PaymentId) -> usize {
    let exchanges = world.flows.store.list_exchanges(payment).await.unwrap();
    let first = exchanges.first().unwrap().opened_at;
    let late = exchanges.iter().enumerate().filter(|(_, exchange)| {
        exchange.kind != ExchangeKind::Query && exchange.opened_at - first >= LAST_RESEND
    });
    let asked = |before: usize| {
        exchanges[..before].iter().any(|exchange| {
            let answered = exchange.closed.as_ref().is_some_and(|closing| closing.http_status == Some(200));
            exchange.kind == ExchangeKind::Query && answered && exchange.opened_at - first >= LAST_RESEND
        })
    };
    late.filter(|(at, _)| !asked(*at)).count()
}

/// How an answer is lost: each of the ways there are.
const LOST: [&str; 5] = [
    "pm_sandbox_lost_before",
    "pm_sandbox_lost_after",
    "pm_sandbox_lost_after_decline",
    "pm_sandbox_error_before",
    "pm_sandbox_error_after",
];
const LOSSES: usize = 100;
/// The listing is late by up to a quarter of an hour, differently for each intent.
const LATEST: i64 = 15 * 60;

// S1.10, S1.11
async fn lost_answers_are_found_within_minutes_of_being_known_however_late_the_listing(database: Database) {
    let mut world = World::new(database).await;
    world.flows.client = late_listing(world.flows.clock().clone(), Arc::clone(&world.bank));
    let mut doubtful = Vec::new();
    for method in LOST.into_iter().cycle().take(LOSSES) {
        doubtful.push((world.pay(method).await.id, method));
    }
    let begun = world.flows.clock().now(false);

    world.travel(TimeDelta::hours(23)).await;

    let mut waits = Vec::new();
    for (id, method) in doubtful {
        let history = world.flows.store.list_history(id).await.unwrap();
        let resolved = history.iter().find(|step| step.attempt_from.as_deref() == Some("unknown"));
        let resolved = resolved.unwrap_or_else(|| panic!("{method} is not resolved: {history:?}"));
        // Only an answer resolves: time alone never does.
        assert_eq!(resolved.cause, "answered", "{method}");
        // A stored error is all that its key says, so that only the listing knows.
        let known = if method == "pm_sandbox_error_after" { lag(&id.to_string()) } else { 0 };
        waits.push(resolved.at - begun - TimeDelta::seconds(known));
    }
    waits.sort_unstable();
    let p95 = waits[waits.len() * 95 / 100];
    assert!(p95 <= TimeDelta::minutes(5), "p95 {p95}, longest {:?}", waits.last());
}

/// The bank in process, but that a listing shows each intent only some time after it was made.
fn late_listing(clock: Clock, bank: Arc<Bank>) -> Client {
    Client::in_process(Arc::new(move |call| {
        let mut answer = world::answer(&bank, call);
        if call.path.starts_with("/v1/payment_intents?") {
            let _ = answer.as_mut().map(|reply| hide(reply, clock.now(false).timestamp()));
        }
        std::future::ready(answer).boxed()
    }))
}

fn hide(reply: &mut Reply, now: i64) {
    let mut page: Value = serde_json::from_slice(&reply.body).unwrap();
    let shown = |intent: &Value| {
        let payment = intent["metadata"]["dunlin_payment"].as_str().unwrap();
        intent["created"].as_i64().unwrap() + lag(payment) <= now
    };
    page["data"].as_array_mut().unwrap().retain(shown);
    reply.body = page.to_string().into_bytes();
}

/// How late an intent is listed, from 0 to `LATEST` seconds.
fn lag(payment: &str) -> i64 {
    let digest = payment.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(16_777_619) ^ u32::from(byte));
    i64::from(digest) % LATEST
}

//! Withdrawals: what nobody waits for any more is canceled at the gateway, on a schedule of its own (S1.19).

use crate::support::{both, database::Database, world, world::World};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::{AttemptStatus, ExchangeKind},
        payment::{Payment, Status},
    },
    flow::{FlowError, withdraw},
    gateway::client::{Client, SendError},
    store::claim::Order,
    worker,
};
use dunlin_jobs::{Lane, PaymentId, Withdraw};
use futures_util::FutureExt;
use serde_json::json;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tracing::subscriber::DefaultGuard;

both! {
    one_lost_cancel_at_expiry_leaves_the_payment_payable_for_seconds
    what_cannot_be_canceled_is_told_to_a_person_and_tried_every_half_hour
    an_error_that_the_gateway_keeps_blocks_no_withdrawal
    an_error_that_the_gateway_keeps_blocks_nobodys_cancel
    a_cancel_without_an_answer_is_asked_after_at_once_however_old_the_question_is
    a_payment_in_review_that_nobody_asks_after_is_found_by_the_sweep
    a_withdrawal_that_is_lost_is_found_by_the_sweep
    a_payment_that_is_canceled_while_its_withdrawal_is_in_hand_is_withdrawn
}

const CHALLENGED: &str = "pm_card_authenticationRequired";
const DECLINED: &str = "pm_card_visa_chargeDeclinedInsufficientFunds";

/// A payment whose customer is at their bank's page.
async fn asked(world: &World) -> Payment {
    let payment = world.pay_present(CHALLENGED).await;
    world.run_due_jobs().await;
    let payment = world.payment(payment.id).await;
    assert_eq!(payment.attempt.as_ref().map(|attempt| attempt.status), Some(AttemptStatus::RequiresAction));
    payment
}

fn url(payment: &Payment) -> &str {
    payment.attempt.as_ref().and_then(|attempt| attempt.action_url.as_deref()).unwrap()
}

/// The first `times` cancels get no answer, and do not arrive.
fn lose_cancels(world: &mut World, times: usize) {
    let (bank, lost) = (Arc::clone(&world.bank), AtomicUsize::new(0));
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let is_lost = call.kind == ExchangeKind::Cancel && lost.fetch_add(1, Ordering::SeqCst) < times;
        let no_answer = Err(SendError::Lost("no answer".to_owned()));
        std::future::ready(if is_lost { no_answer } else { world::answer(&bank, call) }).boxed()
    }));
}

/// The log from here on, as long as the guard lives.
fn logged(file: &Path) -> DefaultGuard {
    let file = std::fs::File::options().append(true).open(file).unwrap();
    tracing::subscriber::set_default(
        tracing_subscriber::fmt().with_ansi(false).with_writer(Arc::new(file)).finish(),
    )
}

fn lines(file: &Path, level: &str) -> usize {
    let log = std::fs::read_to_string(file).unwrap();
    log.lines().filter(|line| line.contains(level) && line.contains("can still be paid")).count()
}

async fn cancels(world: &World, payment: PaymentId) -> Vec<(String, Option<u16>)> {
    let exchanges = world.flows.store.list_exchanges(payment).await.unwrap();
    let cancels = exchanges.into_iter().filter(|exchange| exchange.kind == ExchangeKind::Cancel);
    let mut told: Vec<_> = cancels
        .map(|exchange| (exchange.idempotency_key.unwrap(), exchange.closed.and_then(|it| it.http_status)))
        .collect();
    // While the clock is held, the record has no order.
    told.sort();
    told
}

async fn one_lost_cancel_at_expiry_leaves_the_payment_payable_for_seconds(database: Database) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let _guard = logged(log.path());
    let mut world = World::new(database).await;
    let payment = asked(&world).await;
    lose_cancels(&mut world, 1);

    world.travel(TimeDelta::hours(12) - TimeDelta::minutes(1)).await;
    let waiting = world.payment(payment.id).await;
    world.travel(TimeDelta::minutes(2)).await;

    assert_eq!(waiting.status, Status::RequiresAction);
    assert_eq!(world.payment(payment.id).await.status, Status::Canceled);
    assert_eq!((lines(log.path(), "WARN"), lines(log.path(), "ERROR")), (1, 0));
    world.travel(TimeDelta::hours(10)).await;
    assert_eq!(world::visit(&world.bank, url(&payment), "approve"), 410);
    assert_eq!(world.captures(payment.id), 0);
    world.travel(TimeDelta::days(2)).await;
    assert_eq!(world.flows.store.list_jobs(payment.id).await.unwrap(), []);
}

async fn what_cannot_be_canceled_is_told_to_a_person_and_tried_every_half_hour(database: Database) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let _guard = logged(log.path());
    let mut world = World::new(database).await;
    let payment = world.pay(DECLINED).await;
    world.run_due_jobs().await;
    lose_cancels(&mut world, usize::MAX);
    world.flows.cancel_payment(world.owner, payment.id).await.unwrap();

    world.travel(TimeDelta::minutes(13)).await;
    let soon = (cancels(&world, payment.id).await.len(), lines(log.path(), "ERROR"));
    world.travel(TimeDelta::hours(12)).await;
    let later = (cancels(&world, payment.id).await.len(), lines(log.path(), "ERROR"));
    lose_cancels(&mut world, 0);
    world.travel(TimeDelta::minutes(31)).await;

    // The first was the cancel itself.
    assert_eq!((soon, later), ((6, 1), (30, 1)));
    let operation = world.payment(payment.id).await.operation.unwrap();
    assert_eq!(world.intent(&operation)["status"], "canceled");
}

// S1.6
async fn an_error_that_the_gateway_keeps_blocks_no_withdrawal(database: Database) {
    let world = World::new(database).await;
    let payment = asked(&world).await;
    world.order(&json!({ "fault": "error_stored", "method": "cancel", "times": 1 }));

    world.travel(TimeDelta::hours(12) + TimeDelta::minutes(1)).await;

    assert_eq!(world.payment(payment.id).await.status, Status::Canceled);
    let key = format!("dunlin:test:{}:{}:1:cancel", payment.tenant, payment.id);
    let expected = [(key.clone(), Some(500)), (key.clone(), Some(500)), (format!("{key}:1"), Some(200))];
    // Under a clock that stands still they have no order but that of their ids.
    let mut told = cancels(&world, payment.id).await;
    told.sort();
    assert_eq!(told, expected);
    assert_eq!(world::visit(&world.bank, url(&payment), "approve"), 410);
}

// S1.6
async fn an_error_that_the_gateway_keeps_blocks_nobodys_cancel(database: Database) {
    let world = World::new(database).await;
    let payment = asked(&world).await;
    world.order(&json!({ "fault": "error_stored", "method": "cancel", "times": 1 }));
    let cancel = || world.flows.cancel_payment(world.owner, payment.id);

    let first = cancel().await;
    let second = cancel().await.unwrap();

    // The second met the error that was kept, and went on under the next key.
    assert!(matches!(first, Err(FlowError::Later(_))), "{first:?}");
    assert_eq!(second.status, Status::Canceled);
    let key = format!("dunlin:test:{}:{}:1:cancel", payment.tenant, payment.id);
    let expected = [(key.clone(), Some(500)), (key.clone(), Some(500)), (format!("{key}:1"), Some(200))];
    // Under a clock that stands still they have no order but that of their ids.
    let mut told = cancels(&world, payment.id).await;
    told.sort();
    assert_eq!(told, expected);
    assert_eq!(world::visit(&world.bank, url(&payment), "approve"), 410);
}

async fn a_cancel_without_an_answer_is_asked_after_at_once_however_old_the_question_is(database: Database) {
    let mut world = World::new(database).await;
    let payment = asked(&world).await;
    world.travel(TimeDelta::hours(9)).await;
    let bank = Arc::clone(&world.bank);
    // It is canceled there, and its answer is lost.
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let answer = world::answer(&bank, call);
        let lost = Err(SendError::Lost("no answer".to_owned()));
        std::future::ready(if call.kind == ExchangeKind::Cancel { lost } else { answer }).boxed()
    }));

    let told = world.flows.cancel_payment(world.owner, payment.id).await;
    world.travel(TimeDelta::seconds(10)).await;

    assert!(matches!(told, Err(FlowError::Later(_))), "{told:?}");
    assert_eq!(world.payment(payment.id).await.status, Status::Canceled);
}

// S1.10, S5.8
async fn a_payment_in_review_that_nobody_asks_after_is_found_by_the_sweep(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_sandbox_lost_after").await;
    world.run_due_jobs().await;
    world.order(&json!({ "fault": "error_before", "method": ["create", "list", "retrieve"] }));
    world.travel(TimeDelta::days(2)).await;
    assert!(world.payment(payment.id).await.status.review_reason().is_some());
    // What a right program never leaves: its question is gone.
    let question = world.lose_next_job().await;
    world.clear_faults();
    world.travel(TimeDelta::days(1)).await;
    let forgotten = world.payment(payment.id).await;

    world.sweep().await;
    world.run_due_jobs().await;

    assert_eq!(question, "reconcile");
    assert!(forgotten.status.review_reason().is_some());
    assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
    assert_eq!(world.captures(payment.id), 1);
}

// S1.21, S5.8
async fn a_withdrawal_that_is_lost_is_found_by_the_sweep(database: Database) {
    let world = World::new(database).await;
    let failed = world.pay("pm_card_chargeDeclinedFraudulent").await.id;
    worker::run_due_jobs(&world.flows, Lane::Payments, false).await.unwrap();
    let failed = world.payment(failed).await;
    let mut lost = vec![world.lose_next_job().await];
    let mut canceled = Vec::new();
    for is_lost in [false, true] {
        let payment = world.pay(DECLINED).await.id;
        world.run_due_jobs().await;
        if is_lost {
            world.order(&json!({ "fault": "error_before", "method": "cancel", "times": 1 }));
        }
        canceled.push(world.flows.cancel_payment(world.owner, payment).await.unwrap());
        lost.push(world.lose_next_job().await);
    }
    let kinds = async |payment: &Payment| {
        let jobs = world.flows.store.list_jobs(payment.id).await.unwrap();
        jobs.into_iter().map(|job| job.kind).filter(|kind| kind == "withdraw").count()
    };
    world.pass(TimeDelta::hours(1));

    world.sweep().await;
    let planted = (kinds(&failed).await, kinds(&canceled[0]).await, kinds(&canceled[1]).await);
    world.run_due_jobs().await;
    world.pass(TimeDelta::hours(1));
    world.sweep().await;

    assert_eq!(lost, ["withdraw"; 3]);
    assert_eq!(planted, (1, 0, 1), "the gateway has confirmed the second one");
    for payment in [&failed, &canceled[0], &canceled[1]] {
        assert_eq!(world.intent(payment.operation.as_ref().unwrap())["status"], "canceled");
        assert_eq!(kinds(payment).await, 0);
    }
}

async fn a_payment_that_is_canceled_while_its_withdrawal_is_in_hand_is_withdrawn(database: Database) {
    let world = World::new(database).await;
    let id = world.pay("pm_card_chargeDeclinedExpiredCard").await.id;
    world.run_due_jobs().await;
    world.pass(TimeDelta::days(31));
    let key = world::key("key", "retry");
    world.flows.retry_payment(&world.person(1), id, None, key).await.unwrap();
    let (owner, lease) = ("a worker that is slow".to_owned(), Duration::from_mins(1));
    let order = Order { lane: Lane::Reconcile, livemode: false, owner, lease, limit: 9 };
    let claimed = world.flows.store.claim(order).await.unwrap();
    let claimed = claimed.iter().find(|claimed| claimed.job.kind() == "withdraw").unwrap();
    world.order(&json!({ "fault": "error_before", "method": "cancel", "times": 1 }));
    let canceled = world.flows.cancel_payment(world.owner, id).await.unwrap();

    // It has seen a payment that is tried again, and that has nothing to withdraw.
    withdraw::run(&world.flows, claimed, &Withdraw::own(id, 1)).await.unwrap();
    world.travel(TimeDelta::minutes(5)).await;

    assert_eq!(canceled.status, Status::Canceled);
    assert_eq!(world.intent(canceled.operation.as_ref().unwrap())["status"], "canceled");
}

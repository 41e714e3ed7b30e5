//! A database that was set back does not know what was sent after the backup, and a key may have been used for other
//! bytes than are on record: what is missing in our own record proves nothing.

use crate::support::{both, database::Database, world, world::World};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::{AttemptStatus, ExchangeKind},
        exchange_result::ExchangeResult,
        payment::Status,
        refund::RefundStatus,
    },
    flow::FlowError,
    gateway::{
        Call, Reply,
        client::{Client, SendError},
    },
};
use dunlin_jobs::{PaymentId, RefundId};
use futures_util::FutureExt;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

both! {
    a_charge_that_the_record_does_not_have_is_found_however_late_it_was_made
    a_key_that_was_used_for_other_bytes_comes_before_a_person_and_nothing_goes_again
    the_key_of_a_refund_that_was_used_for_other_bytes_comes_before_a_person
    a_refund_that_waited_longer_than_its_key_lives_is_looked_up_before_it_is_sent
    a_refund_of_before_a_restore_is_looked_up_before_it_is_sent
    a_refund_that_the_gateway_does_not_have_is_sent_after_the_look
    a_payment_of_before_a_restore_that_was_captured_since_is_not_charged_again
    an_attempt_of_before_a_restore_that_was_sent_since_is_not_sent_again
    a_payment_of_before_a_restore_that_the_gateway_does_not_have_is_charged_once
    an_attempt_of_before_a_restore_that_the_gateway_does_not_have_is_sent_once
    a_payment_of_before_a_restore_goes_at_once_while_its_key_lives
    a_charge_that_the_record_does_not_have_keeps_its_key_where_credentials_are_refused
    finding_nothing_proves_nothing_before_what_was_sent_until_the_restore_is_shown
    a_payment_of_before_a_restore_that_was_captured_since_is_not_canceled_unasked
    a_payment_of_before_a_restore_that_the_gateway_does_not_have_is_canceled_after_two_looks
    a_caller_cannot_cancel_what_was_captured_since_the_backup
    a_caller_cancels_what_the_gateway_does_not_have_at_the_second_call
    a_method_that_is_detached_after_a_restore_fails_no_payment_that_was_captured
}

impl World {
    /// Notes the kind of each call, and answers sends by the given one, questions by an empty listing.
    fn note_calls(&mut self, send: fn() -> Result<Reply, SendError>) -> Arc<Mutex<Vec<Call>>> {
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let noted = Arc::clone(&calls);
        self.flows.client = Client::in_process(Arc::new(move |call| {
            noted.lock().unwrap().push(call.clone());
            let nothing = br#"{"object":"list","data":[],"has_more":false}"#.to_vec();
            let result = match call.method {
                "POST" => send(),
                _ => Ok(Reply { status: 200, headers: BTreeMap::new(), body: nothing }),
            };
            std::future::ready(result).boxed()
        }));
        calls
    }
}

/// How many calls could move money.
fn sends(calls: &Mutex<Vec<Call>>) -> usize {
    calls.lock().unwrap().iter().filter(|call| call.kind.moves_money()).count()
}

fn lost() -> Result<Reply, SendError> {
    Err(SendError::Lost("no answer".to_owned()))
}

#[expect(clippy::unnecessary_wraps, reason = "it stands beside one that fails")]
fn mismatch() -> Result<Reply, SendError> {
    let body = br#"{"error":{"type":"idempotency_error","message":"other parameters"}}"#.to_vec();
    Ok(Reply { status: 400, headers: BTreeMap::new(), body })
}

/// A payment of 12.50 that is captured, and a refund of 5.00 that waits to be sent.
async fn refunded(database: Database) -> (World, PaymentId, RefundId) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await.id;
    world.run_due_jobs().await;
    assert_eq!(world.captures(payment), 1);
    let (refund, _) = world.try_refund(payment, Some(500), "key").await.unwrap();
    (world, payment, refund.id)
}

// S1.9
async fn a_charge_that_the_record_does_not_have_is_found_however_late_it_was_made(database: Database) {
    let mut world = World::new(database).await;
    let calls = world.note_calls(lost);
    let payment = world.pay("pm_card_visa").await;
    world.run_due_jobs().await;
    let sent = calls.lock().unwrap()[0].clone();
    world.flows.client = world::client(Arc::clone(&world.bank));

    // It went again and was taken, which the database has forgotten; then the gateway forgets the key.
    world.pass(TimeDelta::hours(10));
    world::answer(&world.bank, &sent).unwrap();
    world.pass(TimeDelta::hours(40));
    world.travel(TimeDelta::days(2)).await;

    assert_eq!(sent.kind, ExchangeKind::Create);
    assert_eq!(world.captures(payment.id), 1);
    assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
}

// S1.8
async fn a_key_that_was_used_for_other_bytes_comes_before_a_person_and_nothing_goes_again(
    database: Database,
) {
    let mut world = World::new(database).await;
    let calls = world.note_calls(mismatch);
    let payment = world.pay("pm_card_visa").await;

    world.travel(TimeDelta::seconds(30)).await;
    let soon = world.payment(payment.id).await.status;
    world.travel(TimeDelta::days(4)).await;

    assert!(soon.review_reason().is_some_and(|reason| reason.contains("under the key")), "{soon:?}");
    assert!(world.payment(payment.id).await.status.review_reason().is_some());
    assert_eq!(sends(&calls), 1);
}

// S1.8
async fn the_key_of_a_refund_that_was_used_for_other_bytes_comes_before_a_person(database: Database) {
    let (mut world, _, refund) = refunded(database).await;
    let calls = world.note_calls(mismatch);

    world.travel(TimeDelta::seconds(30)).await;
    let soon = world.refund(refund).await;
    world.travel(TimeDelta::days(4)).await;

    assert!(soon.review_reason.is_some_and(|reason| reason.contains("under the key")));
    assert_eq!(world.refund(refund).await.status, RefundStatus::Unknown);
    assert_eq!(sends(&calls), 1);
}

/// Sends the refund as before the database was set back, which has no record of it.
async fn send_unrecorded(world: &World, refund: RefundId) {
    let gateway = &world.flows.gateways.default_for(false).unwrap().gateway;
    let call = gateway.refund(&world.refund(refund).await).unwrap();
    assert_eq!(world::answer(&world.bank, &call).unwrap().status, 200);
}

// S1.9
async fn a_refund_that_waited_longer_than_its_key_lives_is_looked_up_before_it_is_sent(database: Database) {
    let (world, _, refund) = refunded(database).await;
    send_unrecorded(&world, refund).await;

    world.pass(TimeDelta::hours(40));
    world.run_due_jobs().await;

    assert_eq!(world.refund(refund).await.status, RefundStatus::Succeeded);
    assert_eq!(world.returned(), [(refund.to_string(), 500)]);
}

// S2.15
async fn a_refund_of_before_a_restore_is_looked_up_before_it_is_sent(database: Database) {
    let (world, payment, refund) = refunded(database).await;
    send_unrecorded(&world, refund).await;

    world.restore().await;
    world.run_due_jobs().await;

    assert_eq!(world.refund(refund).await.status, RefundStatus::Succeeded);
    assert_eq!(world.returned(), [(refund.to_string(), 500)]);
    let exchanges = world.flows.store.list_exchanges(payment).await.unwrap();
    assert!(exchanges.iter().all(|exchange| exchange.kind != ExchangeKind::Refund), "{exchanges:?}");
}

async fn a_refund_that_the_gateway_does_not_have_is_sent_after_the_look(database: Database) {
    let (world, payment, refund) = refunded(database).await;

    world.restore().await;
    world.run_due_jobs().await;

    assert_eq!(world.refund(refund).await.status, RefundStatus::Succeeded);
    assert_eq!(world.returned(), [(refund.to_string(), 500)]);
    let exchanges = world.flows.store.list_exchanges(payment).await.unwrap();
    let of_it = || exchanges.iter().filter(|exchange| exchange.refund == Some(refund));
    let count = |kind| of_it().filter(|exchange| exchange.kind == kind).count();
    assert_eq!((count(ExchangeKind::Query), count(ExchangeKind::Refund)), (1, 1), "{exchanges:?}");
}

/// Sends the payment's first attempt as before the database was set back, which has no record of it.
async fn charge_unrecorded(world: &World, payment: PaymentId) {
    let gateway = &world.flows.gateways.default_for(false).unwrap().gateway;
    let call = gateway.charge(&world.payment(payment).await, 1).unwrap();
    assert_eq!((world::answer(&world.bank, &call).unwrap().status, world.captures(payment)), (200, 1));
}

/// A payment whose first attempt was turned away, and goes again in a while.
async fn planned(database: Database) -> (World, PaymentId) {
    let mut world = World::new(database).await;
    world.note_calls(|| Err(SendError::NotSent("no way".to_owned())));
    let payment = world.pay("pm_card_visa").await.id;
    world.run_due_jobs().await;
    world.flows.client = world::client(Arc::clone(&world.bank));
    let attempts = world.flows.store.list_attempts(payment).await.unwrap();
    assert_eq!(attempts[0].status, AttemptStatus::Planned);
    (world, payment)
}

/// The database is set back when the gateway has forgotten the key.
async fn restore_late(world: &World) {
    world.pass(TimeDelta::hours(40));
    world.restore().await;
}

async fn assert_charged_once(world: &World, payment: PaymentId) {
    assert_eq!((world.captures(payment), world.payment(payment).await.status), (1, Status::Succeeded));
}

/// How many looks there were and how many sends, as far as is on record.
async fn count(world: &World, payment: PaymentId) -> (usize, usize) {
    let exchanges = world.flows.store.list_exchanges(payment).await.unwrap();
    let looks = exchanges.iter().filter(|exchange| exchange.kind == ExchangeKind::Query).count();
    (looks, exchanges.iter().filter(|exchange| exchange.kind.moves_money()).count())
}

// S2.15
async fn a_payment_of_before_a_restore_that_was_captured_since_is_not_charged_again(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await.id;
    charge_unrecorded(&world, payment).await;

    restore_late(&world).await;
    world.travel(TimeDelta::hours(4)).await;

    assert_charged_once(&world, payment).await;
    assert_eq!(count(&world, payment).await, (1, 0));
}

// S2.15
async fn an_attempt_of_before_a_restore_that_was_sent_since_is_not_sent_again(database: Database) {
    let (world, payment) = planned(database).await;
    charge_unrecorded(&world, payment).await;

    restore_late(&world).await;
    world.travel(TimeDelta::hours(4)).await;

    assert_charged_once(&world, payment).await;
    assert_eq!(count(&world, payment).await, (1, 1));
}

// S1.9
async fn a_payment_of_before_a_restore_that_the_gateway_does_not_have_is_charged_once(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await.id;

    restore_late(&world).await;
    world.travel(TimeDelta::hours(1)).await;
    let soon = (world.captures(payment), world.payment(payment).await.status);
    world.travel(TimeDelta::hours(4)).await;

    assert_eq!(soon, (0, Status::Processing));
    assert_charged_once(&world, payment).await;
    assert_eq!(world.flows.store.list_attempts(payment).await.unwrap().len(), 1);
}

// S1.9
async fn an_attempt_of_before_a_restore_that_the_gateway_does_not_have_is_sent_once(database: Database) {
    let (world, payment) = planned(database).await;

    restore_late(&world).await;
    world.travel(TimeDelta::hours(5)).await;

    assert_charged_once(&world, payment).await;
    let (looks, sends) = count(&world, payment).await;
    assert!(looks >= 2 && sends == 2, "{looks} looks, {sends} sends");
}

// S1.5
async fn a_payment_of_before_a_restore_goes_at_once_while_its_key_lives(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await.id;
    charge_unrecorded(&world, payment).await;

    world.pass(TimeDelta::hours(10));
    world.restore().await;
    world.run_due_jobs().await;

    assert_charged_once(&world, payment).await;
    assert_eq!(count(&world, payment).await, (0, 1));
}

// S1.5
async fn a_charge_that_the_record_does_not_have_keeps_its_key_where_credentials_are_refused(
    database: Database,
) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await.id;
    charge_unrecorded(&world, payment).await;
    world.order(&serde_json::json!({ "fault": "revoked", "times": 1 }));

    world.run_due_jobs().await;
    let meanwhile = world.flows.store.list_attempts(payment).await.unwrap();
    world.probe().await;
    world.run_due_jobs().await;

    assert_eq!(meanwhile.last().map(|attempt| attempt.status), Some(AttemptStatus::Planned));
    assert_charged_once(&world, payment).await;
    assert_eq!(world.flows.store.list_attempts(payment).await.unwrap().len(), 1);
}

// S1.9
async fn finding_nothing_proves_nothing_before_what_was_sent_until_the_restore_is_shown(database: Database) {
    let mut world = World::new(database).await;
    world.note_calls(lost);
    let payment = world.pay("pm_card_visa").await.id;
    world.run_due_jobs().await;

    restore_late(&world).await;
    world.travel(TimeDelta::hours(2)).await;
    let exchanges = world.flows.store.list_exchanges(payment).await.unwrap();
    let proven = exchanges.iter().filter_map(|exchange| exchange.closed.as_ref()?.result);
    let has_proof = proven.into_iter().any(|result| result == ExchangeResult::ProvenAbsent);
    let (looks, sends) = count(&world, payment).await;

    assert!(looks >= 3 && sends == 1 && !has_proof, "{looks} looks, {sends} sends, {has_proof}");
}

// S2.15
async fn a_payment_of_before_a_restore_that_was_captured_since_is_not_canceled_unasked(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay_present("pm_card_visa").await;
    charge_unrecorded(&world, payment.id).await;

    world.restore().await;
    world.pass(TimeDelta::hours(13));
    world.run_due_jobs().await;

    assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
    assert_eq!(world.captures(payment.id), 1);
}

// S1.9
async fn a_payment_of_before_a_restore_that_the_gateway_does_not_have_is_canceled_after_two_looks(
    database: Database,
) {
    let world = World::new(database).await;
    let payment = world.pay_present("pm_card_visa").await;

    world.restore().await;
    world.pass(TimeDelta::hours(13));
    world.run_due_jobs().await;
    let once = world.payment(payment.id).await.status;
    world.travel(TimeDelta::minutes(10)).await;

    assert_eq!((once, world.payment(payment.id).await.status), (Status::Pending, Status::Canceled));
    assert_eq!(world.captures(payment.id), 0);
}

async fn a_caller_cannot_cancel_what_was_captured_since_the_backup(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await;
    charge_unrecorded(&world, payment.id).await;
    world.restore().await;

    let canceled = world.flows.cancel_payment(world.owner, payment.id).await;

    assert!(
        matches!(&canceled, Err(FlowError::Conflict { code: "payment_not_cancelable", .. })),
        "{canceled:?}"
    );
    assert_eq!((world.payment(payment.id).await.status, world.captures(payment.id)), (Status::Succeeded, 1));
}

// S1.9
async fn a_caller_cancels_what_the_gateway_does_not_have_at_the_second_call(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await;
    world.restore().await;
    let cancel = || world.flows.cancel_payment(world.owner, payment.id);

    let first = cancel().await;
    world.pass(TimeDelta::hours(5));
    let second = cancel().await;
    world.pass(TimeDelta::hours(1));
    let third = cancel().await;

    for early in [&first, &second] {
        assert!(matches!(early, Err(FlowError::Later(why)) if why.contains("restored")), "{early:?}");
    }
    assert_eq!(third.unwrap().status, Status::Canceled);
    world.run_due_jobs().await;
    assert_eq!(world.captures(payment.id), 0);
}

// S1.16
async fn a_method_that_is_detached_after_a_restore_fails_no_payment_that_was_captured(database: Database) {
    let world = World::new(database).await;
    let (_, method, payment) = world.pay_by_default("pm_card_visa").await;
    charge_unrecorded(&world, payment.id).await;
    world.restore().await;
    world.flows.detach_method(world.owner, method).await.unwrap();

    world.run_due_jobs().await;

    assert_eq!((world.payment(payment.id).await.status, world.captures(payment.id)), (Status::Succeeded, 1));
}

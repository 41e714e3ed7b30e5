//! Refunds from the order to the ledger: each goes back once, and never more than was received.

use crate::support::{
    both,
    database::Database,
    world::{World, captures, request},
};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::{Answer, Outcome},
        payment::Event,
        refund::{self, Cause, RefundStatus},
    },
    flow::{ErrorKind, FlowError, payments::Request},
    store::{
        RefundFilter,
        change::{Change, JobEnd, Priority, Subject},
    },
};
use dunlin_jobs::{ChangeId, PaymentId};
use futures_util::future::join_all;
use serde_json::json;

both! {
    several_refunds_go_back_up_to_what_was_received
    a_key_gives_back_once_and_another_order_under_it_is_refused
    orders_at_the_same_time_never_give_back_more_than_was_received
    only_what_was_captured_can_be_refunded
    a_refund_that_takes_its_time_is_asked_after
    a_lost_answer_gives_back_once
    a_refund_found_by_a_resend_is_asked_once_more
    an_amount_that_the_gateway_cannot_express_is_refused
    a_refund_that_never_arrived_goes_out_again_after_proof
    a_refusal_of_the_gateway_frees_the_amount
    refused_credentials_hold_the_refund_and_do_not_fail_it
    a_worker_that_vanishes_while_it_sends_gives_back_once
    a_second_capture_is_given_back_by_itself
    a_refund_that_nothing_holds_is_found_by_the_sweep
}

/// A world with one captured payment of 12.50.
async fn paid(database: Database, method: &str) -> (World, PaymentId) {
    let world = World::new(database).await;
    let payment = world.pay(method).await.id;
    world.run_due_jobs().await;
    assert_eq!(captures(&world.bank)[&payment.to_string()], 1);
    (world, payment)
}

/// What has gone back and what is about to.
async fn sums(world: &World, payment: PaymentId) -> (i64, i64) {
    let payment = world.payment(payment).await;
    (payment.refunded, payment.refunding)
}

async fn several_refunds_go_back_up_to_what_was_received(database: Database) {
    let (world, payment) = paid(database, "pm_card_visa").await;

    let (first, _) = world.try_refund(payment, Some(500), "first").await.unwrap();
    let (second, _) = world.try_refund(payment, Some(700), "second").await.unwrap();
    assert_eq!(sums(&world, payment).await, (0, 1200));
    let too_much = world.try_refund(payment, Some(51), "third").await.unwrap_err();
    let (rest, _) = world.try_refund(payment, None, "fourth").await.unwrap();
    world.run_due_jobs().await;

    assert!(matches!(&too_much, FlowError::Invalid { field, .. } if field == "amount"), "{too_much}");
    assert_eq!(sums(&world, payment).await, (1250, 0));
    let mut returned = world.returned();
    returned.sort_by_key(|(_, amount)| *amount);
    let expected = [(rest.id, 50), (first.id, 500), (second.id, 700)];
    assert_eq!(returned, expected.map(|(id, amount)| (id.to_string(), amount)));
    let filter = RefundFilter { payment: Some(payment), limit: 10, ..RefundFilter::default() };
    let listed = world.flows.list_refunds(world.owner, &filter).await.unwrap();
    // They were made in one millisecond, so only their ids order them: newest first.
    let mut ids = [first.id, second.id, rest.id];
    ids.sort_by(|a, b| b.cmp(a));
    assert_eq!(listed.iter().map(|refund| refund.id).collect::<Vec<_>>(), ids);
    assert!(listed.iter().all(|refund| refund.status == RefundStatus::Succeeded));
    let events = world.flows.store.list_event_types(payment).await.unwrap();
    assert_eq!(events.iter().filter(|event| *event == "refund.succeeded").count(), 3, "{events:?}");
    let nothing_left = world.try_refund(payment, None, "fifth").await.unwrap_err();
    assert_eq!(nothing_left.kind(), ErrorKind::Conflict, "{nothing_left}");
}

async fn a_key_gives_back_once_and_another_order_under_it_is_refused(database: Database) {
    let (world, payment) = paid(database, "pm_card_visa").await;

    let (first, fresh) = world.try_refund(payment, Some(500), "key").await.unwrap();
    let (again, repeated) = world.try_refund(payment, Some(500), "key").await.unwrap();
    let other = world.try_refund(payment, Some(501), "key").await.unwrap_err();
    world.run_due_jobs().await;
    let (late, _) = world.try_refund(payment, Some(500), "key").await.unwrap();

    assert_eq!((first.id, fresh, repeated), (again.id, true, false));
    assert!(matches!(other, FlowError::KeyReused { .. }), "{other}");
    assert_eq!((late.id, late.status), (first.id, RefundStatus::Succeeded));
    assert_eq!(world.returned(), [(first.id.to_string(), 500)]);
}

async fn orders_at_the_same_time_never_give_back_more_than_was_received(database: Database) {
    let (world, payment) = paid(database, "pm_card_visa").await;

    let texts: Vec<_> = (0..60).map(|n| format!("key {}", n / 2)).collect();
    let orders = texts.iter().map(|text| world.try_refund(payment, Some(100), text));
    let results = join_all(orders).await;
    world.run_due_jobs().await;

    // Twelve of thirty different orders fit into 12.50.
    let made = results.iter().filter(|result| matches!(result, Ok((_, true)))).count();
    assert_eq!(made, 12, "{results:?}");
    assert_eq!(sums(&world, payment).await, (1200, 0));
    assert_eq!(world.returned().iter().map(|(_, amount)| amount).sum::<i64>(), 1200);
}

async fn only_what_was_captured_can_be_refunded(database: Database) {
    let world = World::new(database).await;
    let declined = world.pay("pm_card_visa_chargeDeclinedLostCard").await.id;
    let waiting = world.try_refund(declined, None, "early").await.unwrap_err();
    world.run_due_jobs().await;

    let failed = world.try_refund(declined, None, "late").await.unwrap_err();
    let unknown = PaymentId::mint(world.flows.clock().now(false), [9; 10]);
    let nobody = world.try_refund(unknown, None, "nobody").await.unwrap_err();

    for error in [waiting, failed] {
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    }
    assert!(matches!(nobody, FlowError::NotFound("payment")), "{nobody}");
    assert_eq!(world.returned(), []);
}

async fn a_refund_that_takes_its_time_is_asked_after(database: Database) {
    let (world, payment) = paid(database, "pm_card_pendingRefund").await;

    let (refund, _) = world.try_refund(payment, None, "key").await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(world.refund(refund.id).await.status, RefundStatus::Processing);
    assert_eq!(sums(&world, payment).await, (0, 1250));
    world.travel(TimeDelta::hours(1)).await;

    assert_eq!(world.refund(refund.id).await.status, RefundStatus::Succeeded);
    assert_eq!(sums(&world, payment).await, (1250, 0));
    assert_eq!(world.flows.store.list_jobs(payment).await.unwrap(), []);
}

async fn a_lost_answer_gives_back_once(database: Database) {
    for fault in ["cut_before", "cut_after", "error_before", "error_after", "garbage", "late_1"] {
        let (world, payment) = paid(database.another().await, "pm_card_visa").await;
        world.order(&json!({ "fault": fault, "times": 1, "method": "refund" }));

        let (refund, _) = world.try_refund(payment, Some(500), "key").await.unwrap();
        world.travel(TimeDelta::days(2)).await;

        assert_eq!(world.refund(refund.id).await.status, RefundStatus::Succeeded, "{fault}");
        assert_eq!(sums(&world, payment).await, (500, 0), "{fault}");
        assert_eq!(world.returned(), [(refund.id.to_string(), 500)], "{fault}");
    }
}

// A replayed answer tells how it was; meanwhile the bank has sent the money back.
async fn a_refund_found_by_a_resend_is_asked_once_more(database: Database) {
    let (world, payment) = paid(database, "pm_card_refundFail").await;
    world.order(&json!({ "fault": "cut_after", "times": 1, "method": "refund" }));

    let (refund, _) = world.try_refund(payment, None, "key").await.unwrap();
    world.travel(TimeDelta::days(2)).await;

    assert_eq!(world.refund(refund.id).await.status, RefundStatus::Failed);
    assert_eq!(sums(&world, payment).await, (0, 0));
    assert_eq!(world.flows.store.list_jobs(payment).await.unwrap(), []);
}

// S1.15: Stripe takes dinars with a last decimal of 0 only.
async fn an_amount_that_the_gateway_cannot_express_is_refused(database: Database) {
    let world = World::new(database).await;
    let currency = Some("KWD".parse().unwrap());
    let request = Request { amount: 10_000, currency, ..request("pm_card_visa") };
    let committed = world.flows.create_payment(world.owner, request, Priority::Interactive).await.unwrap();
    let payment = committed.payment.unwrap().id;
    world.run_due_jobs().await;

    let error = world.try_refund(payment, Some(1_001), "key").await.unwrap_err();
    world.try_refund(payment, Some(1_000), "key").await.unwrap();

    assert!(matches!(&error, FlowError::Invalid { field, .. } if field == "amount"), "{error}");
    assert_eq!(sums(&world, payment).await, (0, 1_000));
}

async fn a_refund_that_never_arrived_goes_out_again_after_proof(database: Database) {
    let (world, payment) = paid(database, "pm_card_visa").await;
    // Nothing gets through for a day, when the key can no longer be trusted; then all does.
    world.order(&json!({ "fault": "cut_before", "times": 200, "method": "refund" }));

    let (refund, _) = world.try_refund(payment, Some(500), "key").await.unwrap();
    world.travel(TimeDelta::hours(23)).await;
    assert_eq!(world.refund(refund.id).await.status, RefundStatus::Unknown);
    world.clear_faults();
    world.travel(TimeDelta::days(3)).await;

    assert_eq!(world.refund(refund.id).await.status, RefundStatus::Succeeded);
    assert_eq!(world.returned(), [(refund.id.to_string(), 500)]);
}

async fn a_refusal_of_the_gateway_frees_the_amount(database: Database) {
    let (world, payment) = paid(database, "pm_card_visa").await;
    let charge = world.payment(payment).await.attempt.unwrap().charge.unwrap();
    // Somebody has refunded the charge beside dunlin, so the gateway has nothing left to give.
    world.refund_beside(&charge);

    let (refund, _) = world.try_refund(payment, None, "key").await.unwrap();
    world.run_due_jobs().await;

    let refund = world.refund(refund.id).await;
    assert_eq!(refund.status, RefundStatus::Failed);
    assert!(refund.failure.is_some_and(|failure| failure.contains("0 of it can still be refunded")));
    assert_eq!(sums(&world, payment).await, (1250, 0));
    let events = world.flows.store.list_event_types(payment).await.unwrap();
    assert!(events.iter().any(|event| event == "refund.failed"), "{events:?}");
}

async fn refused_credentials_hold_the_refund_and_do_not_fail_it(database: Database) {
    let (world, payment) = paid(database, "pm_card_visa").await;
    world.order(&json!({ "fault": "revoked", "times": 1, "method": "refund" }));

    let (refund, _) = world.try_refund(payment, None, "key").await.unwrap();
    world.run_due_jobs().await;

    assert_eq!(world.refund(refund.id).await.status, RefundStatus::Pending);
    let jobs = world.flows.store.list_jobs(payment).await.unwrap();
    assert_eq!((jobs[0].state.as_str(), jobs[0].runs), ("live", 1), "{jobs:?}");
    world.probe().await;
    world.run_due_jobs().await;
    assert_eq!(world.refund(refund.id).await.status, RefundStatus::Succeeded);
}

async fn a_worker_that_vanishes_while_it_sends_gives_back_once(database: Database) {
    let (world, payment) = paid(database, "pm_card_visa").await;
    let (refund, _) = world.try_refund(payment, None, "key").await.unwrap();
    let claimed = world.claim_one().await;
    let send = Subject::RefundEvent(payment, refund.id, refund::Event::Send);
    let job = Some((claimed.lease.clone(), JobEnd::Keep));
    world.flows.store.commit(Change { job, ..change(&world, send) }).await.unwrap();

    world.flows.store.expire_leases().await.unwrap();
    world.travel(TimeDelta::days(2)).await;

    assert_eq!(world.refund(refund.id).await.status, RefundStatus::Succeeded);
    assert_eq!(world.returned(), [(refund.id.to_string(), 1250)]);
}

// S1.4
async fn a_second_capture_is_given_back_by_itself(database: Database) {
    let (world, payment) = paid(database, "pm_card_visa").await;
    let charge = world.charge_beside(1250);
    let answer = Answer {
        operation: None,
        charge: Some(charge.clone()),
        amount: Some(world.payment(payment).await.money),
        outcome: Outcome::Succeeded,
    };
    let twice = Subject::Event(payment, Event::Answered { attempt: 1, answer });

    world.flows.store.commit(change(&world, twice.clone())).await.unwrap();
    world.flows.store.commit(change(&world, twice)).await.unwrap();
    world.run_due_jobs().await;

    let filter = RefundFilter { payment: Some(payment), limit: 10, ..RefundFilter::default() };
    let refunds = world.flows.list_refunds(world.owner, &filter).await.unwrap();
    assert_eq!(refunds.len(), 1, "{refunds:?}");
    assert_eq!((refunds[0].cause, refunds[0].status), (Cause::Duplicate, RefundStatus::Succeeded));
    assert_eq!(refunds[0].charge, charge);
    assert_eq!(world.returned(), [(refunds[0].id.to_string(), 1250)]);
    // What the payment received can still be refunded in full.
    assert_eq!(sums(&world, payment).await, (0, 0));
    world.try_refund(payment, Some(1250), "key").await.unwrap();
}

async fn a_refund_that_nothing_holds_is_found_by_the_sweep(database: Database) {
    let (world, payment) = paid(database, "pm_card_visa").await;
    let (refund, _) = world.try_refund(payment, None, "key").await.unwrap();
    let claimed = world.claim_one().await;
    world.flows.end_job(&claimed.lease, JobEnd::Done).await.unwrap();
    world.travel(TimeDelta::days(1)).await;
    assert_eq!(world.refund(refund.id).await.status, RefundStatus::Pending);

    world.sweep().await;
    world.run_due_jobs().await;

    assert_eq!(world.refund(refund.id).await.status, RefundStatus::Succeeded);
}

fn change(world: &World, subject: Subject) -> Change {
    let clock = world.flows.clock();
    let id = ChangeId::mint(clock.now(true), clock.random());
    Change { id, actor: "test".into(), subject, exchanges: Vec::new(), job: None }
}

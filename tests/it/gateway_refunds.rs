//! Refunds that other hands make at the gateway (S1.20): they count, whether their events came or were lost, and never
//! more goes back than was taken.

use crate::support::{
    both,
    database::Database,
    world::{self, World},
};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::{Answer, ExchangeKind, Outcome},
        payment::Event,
        refund::{Cause, Origin, Refund, RefundStatus},
    },
    flow::FlowError,
    gateway::{Reply, client::Client},
    store::{
        RefundFilter,
        change::{Change, Subject},
    },
    worker,
};
use dunlin_jobs::{ChangeId, Lane, PaymentId};
use futures_util::FutureExt;
use serde_json::json;
use std::sync::Arc;

both! {
    what_the_dashboard_gave_back_counts_and_no_more_than_is_left_goes_back
    a_refund_reads_its_charge_anew_where_events_were_lost
    more_than_is_left_is_never_sent_where_events_were_lost
    a_full_refund_is_bounded_by_what_the_dashboard_left
    a_full_refund_says_what_is_left_where_events_were_lost
    a_refusal_reads_the_charge_anew_and_names_what_is_left
    a_refund_of_other_hands_is_shown_and_told_once
    a_refund_of_other_hands_that_takes_its_time_is_followed
    the_sweep_finds_refunds_whose_events_were_lost
    the_sweep_finds_a_refund_that_failed_late
    the_daily_reading_has_no_lower_bound_of_age
    a_long_list_is_read_page_by_page
    a_charge_of_another_program_is_none_of_ours
    a_refund_that_was_executed_twice_is_noticed
    a_second_charge_that_cannot_be_given_back_comes_before_a_person
    a_second_charge_that_other_hands_give_back_is_settled
    a_refund_is_told_of_before_its_charge_is_known
    what_cannot_be_kept_of_a_list_does_not_stop_its_reading
    a_process_that_does_not_have_an_account_leaves_its_lists_to_others
}

async fn paid(database: Database) -> (World, PaymentId, String) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await.id;
    world.run_due_jobs().await;
    let charge = world.charge_of(payment).await;
    (world, payment, charge)
}

/// What has gone back, what is about to, and what still can.
async fn sums(world: &World, payment: PaymentId) -> (i64, i64, i64) {
    let payment = world.payment(payment).await;
    (payment.refunded, payment.refunding, payment.refundable())
}

/// What the gateway has given back in all.
fn gave_back(world: &World) -> i64 {
    world.returned().iter().map(|(_, amount)| *amount).sum()
}

async fn refunds(world: &World, payment: PaymentId) -> Vec<Refund> {
    let filter = RefundFilter { payment: Some(payment), limit: 100, ..RefundFilter::default() };
    world.flows.list_refunds(world.owner, &filter).await.unwrap()
}

/// Orders a refund and carries it out.
async fn refund(world: &World, payment: PaymentId, amount: Option<i64>, key: &str) -> Refund {
    let (refund, _) = world.try_refund(payment, amount, key).await.unwrap();
    world.run_due_jobs().await;
    world.refund(refund.id).await
}

async fn what_the_dashboard_gave_back_counts_and_no_more_than_is_left_goes_back(database: Database) {
    let (world, payment, charge) = paid(database).await;
    refund(&world, payment, Some(250), "first").await;
    world.dashboard_refund(&charge, 500);
    world.deliver().await;
    assert_eq!(sums(&world, payment).await, (750, 0, 500));

    let too_much = world.try_refund(payment, Some(501), "too much").await.unwrap_err();
    let second = refund(&world, payment, Some(500), "second").await;
    let nothing = world.try_refund(payment, Some(1), "third").await.unwrap_err();

    assert!(matches!(&too_much, FlowError::Invalid { detail, .. } if detail.contains("500")), "{too_much}");
    assert!(matches!(&nothing, FlowError::Conflict { code: "payment_not_refundable", .. }), "{nothing}");
    assert_eq!(second.status, RefundStatus::Succeeded);
    assert_eq!((sums(&world, payment).await, gave_back(&world)), ((1250, 0, 0), 1250));
}

async fn a_refund_reads_its_charge_anew_where_events_were_lost(database: Database) {
    let (world, payment, charge) = paid(database).await;
    refund(&world, payment, Some(250), "first").await;
    world.dashboard_refund(&charge, 500);

    let second = refund(&world, payment, Some(500), "second").await;

    assert_eq!(second.status, RefundStatus::Succeeded);
    assert_eq!((sums(&world, payment).await, gave_back(&world)), ((1250, 0, 0), 1250));
}

async fn more_than_is_left_is_never_sent_where_events_were_lost(database: Database) {
    let (world, payment, charge) = paid(database).await;
    refund(&world, payment, Some(250), "first").await;
    world.dashboard_refund(&charge, 500);

    let second = refund(&world, payment, Some(600), "second").await;

    assert_eq!(second.status, RefundStatus::Failed);
    assert!(second.failure.as_ref().is_some_and(|why| why.contains("500 of it")), "{second:?}");
    assert!(second.first_sent_at.is_none());
    assert_eq!((sums(&world, payment).await, gave_back(&world)), ((750, 0, 500), 750));
}

async fn a_full_refund_is_bounded_by_what_the_dashboard_left(database: Database) {
    let (world, payment, charge) = paid(database).await;
    world.dashboard_refund(&charge, 400);
    world.deliver().await;

    let too_much = world.try_refund(payment, Some(1250), "all").await.unwrap_err();
    let rest = refund(&world, payment, None, "rest").await;

    assert!(matches!(&too_much, FlowError::Invalid { detail, .. } if detail.contains("850")), "{too_much}");
    assert_eq!((rest.money.minor(), rest.status), (850, RefundStatus::Succeeded));
    assert_eq!((sums(&world, payment).await, gave_back(&world)), ((1250, 0, 0), 1250));
}

async fn a_full_refund_says_what_is_left_where_events_were_lost(database: Database) {
    let (world, payment, charge) = paid(database).await;
    world.dashboard_refund(&charge, 400);

    let all = refund(&world, payment, None, "all").await;
    assert_eq!((sums(&world, payment).await, gave_back(&world)), ((400, 0, 850), 400));
    let rest = refund(&world, payment, None, "rest").await;

    assert_eq!(all.status, RefundStatus::Failed);
    assert!(all.failure.as_ref().is_some_and(|why| why.contains("850 of it")), "{all:?}");
    assert_eq!((rest.money.minor(), rest.status), (850, RefundStatus::Succeeded));
    assert_eq!((sums(&world, payment).await, gave_back(&world)), ((1250, 0, 0), 1250));
}

async fn a_refusal_reads_the_charge_anew_and_names_what_is_left(database: Database) {
    let (mut world, payment, charge) = paid(database).await;
    let bank = Arc::clone(&world.bank);
    world.flows.client = Client::in_process(Arc::new(move |call| {
        if call.kind == ExchangeKind::Refund {
            // Between our look and our request, somebody is faster.
            let body = json!({ "charge": charge, "amount": 400 }).to_string();
            world::admin(&bank, "POST", "refunds", "", &body);
        }
        std::future::ready(world::answer(&bank, call)).boxed()
    }));

    let all = refund(&world, payment, None, "all").await;

    assert_eq!(all.status, RefundStatus::Failed);
    assert!(all.failure.as_ref().is_some_and(|why| why.contains("850 of it")), "{all:?}");
    assert_eq!((sums(&world, payment).await, gave_back(&world)), ((400, 0, 850), 400));
}

async fn a_refund_of_other_hands_is_shown_and_told_once(database: Database) {
    let (world, payment, charge) = paid(database).await;
    let id = world.dashboard_refund(&charge, 400);

    world.deliver().await;
    world.deliver().await;
    world.read_lists().await;
    world.read_lists().await;

    let all = refunds(&world, payment).await;
    assert_eq!(all.len(), 1, "{all:?}");
    let seen = (all[0].origin, all[0].cause, all[0].status, all[0].operation.as_deref());
    assert_eq!(seen, (Origin::Gateway, Cause::Requested, RefundStatus::Succeeded, Some(id.as_str())));
    for kind in ["refund.created", "refund.succeeded"] {
        assert_eq!(world.was_told(payment, kind).await, 1, "{kind}");
    }
    assert_eq!(sums(&world, payment).await, (400, 0, 850));
}

async fn a_refund_of_other_hands_that_takes_its_time_is_followed(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_pendingRefund").await.id;
    world.run_due_jobs().await;
    world.dashboard_refund(&world.charge_of(payment).await, 400);

    world.deliver().await;
    assert_eq!(sums(&world, payment).await, (0, 400, 850));
    world.travel(TimeDelta::days(2)).await;

    assert_eq!(sums(&world, payment).await, (400, 0, 850));
}

async fn the_sweep_finds_refunds_whose_events_were_lost(database: Database) {
    let (world, payment, charge) = paid(database).await;
    world.read_lists().await;
    world.dashboard_refund(&charge, 400);

    world.read_lists().await;

    assert_eq!(sums(&world, payment).await, (400, 0, 850));
}

async fn the_sweep_finds_a_refund_that_failed_late(database: Database) {
    let (world, payment, _) = paid(database).await;
    let made = refund(&world, payment, Some(400), "key").await;
    world.read_lists().await;
    assert_eq!(sums(&world, payment).await, (400, 0, 850));
    let operation = made.operation.unwrap();
    world.elsewhere(&format!("refunds/{operation}"), &json!({ "status": "failed" }));

    world.read_lists().await;

    assert_eq!(world.refund(made.id).await.status, RefundStatus::Failed);
    assert_eq!(sums(&world, payment).await, (0, 0, 1250));
    assert_eq!(world.was_told(payment, "refund.failed").await, 1);
}

async fn the_daily_reading_has_no_lower_bound_of_age(database: Database) {
    let (world, payment, _) = paid(database).await;
    let made = refund(&world, payment, Some(400), "key").await;
    world.read_lists().await;
    world.travel(TimeDelta::days(40)).await;
    // The front of the list is far from it by now.
    let other = world.charge_beside(1000);
    world.dashboard_refund(&other, 1000);
    world.read_lists().await;
    let operation = made.operation.unwrap();
    world.elsewhere(&format!("refunds/{operation}"), &json!({ "status": "failed" }));
    world.read_lists().await;
    assert_eq!(world.refund(made.id).await.status, RefundStatus::Succeeded, "the front does not show it");

    world.travel(TimeDelta::days(1)).await;
    world.read_lists().await;

    assert_eq!(world.refund(made.id).await.status, RefundStatus::Failed);
    assert_eq!(sums(&world, payment).await, (0, 0, 1250));
}

async fn a_long_list_is_read_page_by_page(database: Database) {
    let (world, payment, charge) = paid(database).await;
    world.dashboard_refund(&charge, 400);
    // 250 that are none of ours come before it in the list, which shows a hundred a page.
    let other = world.charge_beside(25_000);
    for _ in 0..250 {
        world.dashboard_refund(&other, 100);
    }

    world.read_lists().await;

    assert_eq!(sums(&world, payment).await, (400, 0, 850));
}

async fn a_charge_of_another_program_is_none_of_ours(database: Database) {
    let (world, payment, _) = paid(database).await;
    let other = world.charge_beside(1000);
    world.dashboard_refund(&other, 1000);
    world.dispute(&world.charge_beside(1000));

    world.deliver().await;
    world.read_lists().await;

    assert_eq!(sums(&world, payment).await, (0, 0, 1250));
    assert_eq!(world.flows.store.find_next_due(false).await.unwrap(), None);
}

async fn a_refund_that_was_executed_twice_is_noticed(database: Database) {
    let (world, payment, charge) = paid(database).await;
    let ours = refund(&world, payment, Some(400), "key").await;
    let metadata = json!({ "dunlin_refund": ours.id, "dunlin_payment": payment });
    world.elsewhere("refunds", &json!({ "charge": charge, "amount": 400, "metadata": metadata }));

    world.deliver().await;
    world.read_lists().await;

    assert_eq!(world.was_told(payment, "payment.duplicate_refund").await, 1);
    assert_eq!((sums(&world, payment).await, gave_back(&world)), ((800, 0, 450), 800));
    let all = refunds(&world, payment).await;
    let of = |origin| all.iter().filter(|refund| refund.origin == origin).count();
    assert_eq!((all.len(), of(Origin::Api), of(Origin::Gateway)), (2, 1, 1));
}

/// A payment that the gateway captured a second time, by a charge that is disputed before it can go back.
async fn captured_twice(database: Database) -> (World, PaymentId, String) {
    let (world, payment, _) = paid(database).await;
    let charge = world.charge_beside(1250);
    let answer = Answer {
        operation: None,
        charge: Some(charge.clone()),
        amount: Some(world.payment(payment).await.money),
        outcome: Outcome::Succeeded,
    };
    let clock = world.flows.clock();
    let id = ChangeId::mint(clock.now(true), clock.random());
    let subject = Subject::Event(payment, Event::Answered { attempt: 1, answer });
    let told = Change { id, actor: "test".into(), subject, exchanges: Vec::new(), job: None };
    world.flows.store.commit(told).await.unwrap();
    (world, payment, charge)
}

/// Those refunds that a person has to look at.
async fn in_review(world: &World) -> Vec<Refund> {
    let filter = RefundFilter { needs_review: true, limit: 10, ..RefundFilter::default() };
    world.flows.list_refunds(world.owner, &filter).await.unwrap()
}

async fn a_second_charge_that_cannot_be_given_back_comes_before_a_person(database: Database) {
    let (world, payment, charge) = captured_twice(database).await;
    let dispute = world.dispute(&charge);
    world.run_due_jobs().await;
    let failed = in_review(&world).await;
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!((failed[0].cause, failed[0].status), (Cause::Duplicate, RefundStatus::Failed));
    assert_eq!(world.was_told(payment, "refund.needs_review").await, 1);

    let again = async |n: &str| {
        world.flows.retry_refund(&world.person(1), failed[0].id, None, world::key(n, n)).await
    };
    let disputed = again("disputed").await.unwrap_err();
    world.decide(&dispute, "won");
    world.deliver().await;
    let (second, is_new) = again("later").await.unwrap();
    let replayed = again("later").await.unwrap();
    let twice = again("twice").await.unwrap_err();
    world.run_due_jobs().await;

    assert!(matches!(disputed, FlowError::Conflict { code: "payment_disputed", .. }), "{disputed}");
    assert!(matches!(twice, FlowError::Conflict { code: "refund_not_retriable", .. }), "{twice}");
    assert!(is_new);
    assert_eq!((replayed.0.id, replayed.1), (second.id, false));
    let second = world.refund(second.id).await;
    assert_eq!((second.status, second.retry_of), (RefundStatus::Succeeded, Some(failed[0].id)));
    assert_eq!(in_review(&world).await, []);
    assert_eq!(world.returned(), [(second.id.to_string(), 1250)]);
    // What the payment itself received can still go back.
    assert_eq!(sums(&world, payment).await, (0, 0, 1250));
}

async fn a_second_charge_that_other_hands_give_back_is_settled(database: Database) {
    let (world, payment, charge) = captured_twice(database).await;
    let dispute = world.dispute(&charge);
    world.run_due_jobs().await;
    let failed = in_review(&world).await[0].id;
    world.decide(&dispute, "won");

    world.dashboard_refund(&charge, 1250);
    world.deliver().await;

    assert_eq!(world.refund(failed).await.status, RefundStatus::Succeeded);
    assert_eq!(in_review(&world).await, []);
    assert_eq!((sums(&world, payment).await, gave_back(&world)), ((0, 0, 1250), 1250));
}

async fn a_refund_is_told_of_before_its_charge_is_known(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_sandbox_lost_after").await.id;
    world.run_due_jobs().await;
    let page = world::admin(&world.bank, "GET", "captures", "after=0&limit=1", "");
    let charge = page["captures"][0]["charge"].as_str().unwrap().to_owned();
    world.dashboard_refund(&charge, 400);

    world.deliver().await;
    world.travel(TimeDelta::minutes(10)).await;

    assert_eq!(sums(&world, payment).await, (400, 0, 850));
    assert_eq!(world.captures(payment), 1);
}

// The gateway's id of a refund is on record once.
async fn what_cannot_be_kept_of_a_list_does_not_stop_its_reading(database: Database) {
    let (mut world, one, its_charge) = paid(database).await;
    let other = world.pay("pm_card_visa").await.id;
    let third = world.pay("pm_card_visa").await.id;
    world.run_due_jobs().await;
    world.read_lists().await;
    // The last one of the list, which begins with the newest.
    world.dashboard_refund(&world.charge_of(third).await, 300);
    let given = world.dashboard_refund(&its_charge, 100);
    let same = world.dashboard_refund(&world.charge_of(other).await, 200);
    let bank = Arc::clone(&world.bank);
    let confused = move |body: Vec<u8>| String::from_utf8(body).unwrap().replace(&same, &given).into_bytes();
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let reply = world::answer(&bank, call).map(|reply| Reply { body: confused(reply.body), ..reply });
        std::future::ready(reply).boxed()
    }));

    world.read_lists().await;

    let refunded = [sums(&world, one).await.0, sums(&world, other).await.0];
    assert!(refunded == [100, 0] || refunded == [0, 200], "{refunded:?}");
    assert_eq!(sums(&world, third).await.0, 300, "the rest of the list is read");
}

async fn a_process_that_does_not_have_an_account_leaves_its_lists_to_others(database: Database) {
    let (mut world, payment, charge) = paid(database).await;
    world.read_lists().await;
    let known = std::mem::take(&mut world.flows.gateways);
    world.travel(TimeDelta::hours(1)).await;
    worker::run_due_jobs(&world.flows, Lane::Upkeep, true).await.unwrap();
    world.flows.gateways = known;
    world.dashboard_refund(&charge, 400);

    world.travel(TimeDelta::hours(1)).await;
    worker::run_due_jobs(&world.flows, Lane::Upkeep, true).await.unwrap();

    assert_eq!(sums(&world, payment).await, (400, 0, 850));
}

//! Whose account a key is of: until the gateway has said, nothing is begun there and no absence counts.

use super::{ACCOUNT, Gate, Refuse, error, reply};
use crate::support::{both, database::Database, world::World};
use chrono::TimeDelta;
use dunlin::{
    domain::{attempt::AttemptStatus, hold::HoldCause, payment::Status},
    flow::identity::Unidentified,
    gateway::{Account, client::Client},
};
use futures_util::FutureExt;
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

both! {
    many_missing_methods_ask_first_whose_account_it_is
    an_identity_that_is_not_told_begins_nothing_until_it_is
    another_accounts_key_charges_nothing_and_proves_nothing
    a_doubt_is_no_absence_in_an_account_that_is_not_told
}

/// An account that is noted down, and behind whose gate nothing is refused yet.
async fn noted(database: Database) -> (World, Gate, Account) {
    let mut world = World::new(database).await;
    let gate = Gate::before(&mut world);
    world.flows.store.ensure_account(ACCOUNT, "stripe", false).await.unwrap();
    let account = world.flows.gateways.find(ACCOUNT).cloned().unwrap();
    (world, gate, account)
}

// S1.22
async fn many_missing_methods_ask_first_whose_account_it_is(database: Database) {
    let (world, gate, account) = noted(database).await;
    world.flows.identify(&account).await.unwrap().unwrap();
    // By and by it has become another one.
    world.travel(TimeDelta::hours(1)).await;
    gate.set(Some(Refuse::Charges("resource_missing", "payment_method")));
    let ids = world.pay_many(3).await;
    world.run_due_jobs().await;
    let mut waiting = Vec::new();
    for id in ids {
        let payment = world.payment(id).await;
        waiting.extend(Some(payment).filter(|payment| payment.status == Status::Pending));
    }
    assert_eq!((waiting.len(), world.reason()), (1, Some(HoldCause::Identity)));
    let third = waiting.remove(0);

    gate.set(Some(Refuse::Another));
    world.probe().await;
    world.run_due_jobs().await;
    assert_eq!(world.reason(), Some(HoldCause::WrongAccount));

    gate.set(None);
    world.travel(TimeDelta::minutes(10)).await;
    world.flows.tend_holds_once().await.unwrap();
    world.run_due_jobs().await;
    assert_eq!(world.payment(third.id).await.status, Status::Succeeded);
}

async fn an_identity_that_is_not_told_begins_nothing_until_it_is(database: Database) {
    let (world, gate, account) = noted(database).await;
    gate.set(Some(Refuse::Identity(503)));
    let told = world.flows.identify(&account).await.unwrap();
    assert!(matches!(told, Err(Unidentified::Untold(_))), "{told:?}");
    let payment = world.pay("pm_card_visa").await;

    world.run_due_jobs().await;
    world.probe().await;
    world.run_due_jobs().await;
    assert_eq!((gate.charges(), world.reason()), (0, Some(HoldCause::Identity)));

    gate.set(None);
    world.probe().await;
    world.run_due_jobs().await;
    assert_eq!((world.payment(payment.id).await.status, world.captures(payment.id)), (Status::Succeeded, 1));
}

async fn another_accounts_key_charges_nothing_and_proves_nothing(database: Database) {
    let (world, gate, account) = noted(database).await;
    world.flows.identify(&account).await.unwrap().unwrap();
    // The answer to this one is lost, and then the account is another.
    let lost = world.pay("pm_sandbox_lost_after").await;
    world.run_due_jobs().await;
    let refunded = world.pay("pm_card_visa").await;
    world.run_due_jobs().await;
    gate.set(Some(Refuse::Another));
    let told = world.flows.identify(&account).await.unwrap();
    assert!(matches!(told, Err(Unidentified::Another { .. })), "{told:?}");
    let (refund, _) = world.try_refund(refunded.id, None, "key").await.unwrap();
    let waiting = world.pay("pm_card_visa").await;

    for _ in 0..6 {
        world.leap(TimeDelta::hours(5)).await;
        world.flows.tend_holds_once().await.unwrap();
    }

    assert_eq!(world.payment(waiting.id).await.status, Status::Pending);
    let doubted = world.payment(lost.id).await;
    assert_eq!(doubted.attempt.as_ref().map(|attempt| attempt.status), Some(AttemptStatus::Unknown));
    assert!(doubted.status.review_reason().is_some(), "a person is told after a day all the same");
    assert_eq!(world.refund(refund.id).await.status.name(), "pending");

    gate.set(None);
    world.leap(TimeDelta::minutes(10)).await;
    world.flows.tend_holds_once().await.unwrap();
    world.travel(TimeDelta::days(2)).await;
    for id in [lost.id, refunded.id, waiting.id] {
        assert_eq!((world.payment(id).await.status, world.captures(id)), (Status::Succeeded, 1));
    }
    assert_eq!(world.refund(refund.id).await.status.name(), "succeeded");
}

// S1.9
async fn a_doubt_is_no_absence_in_an_account_that_is_not_told(database: Database) {
    let (mut world, gate, account) = noted(database).await;
    world.flows.identify(&account).await.unwrap().unwrap();
    let lost = world.pay("pm_sandbox_lost_after").await;
    world.run_due_jobs().await;
    let is_silent = Arc::new(AtomicBool::new(true));
    let (own, silent) = (gate.clone(), Arc::clone(&is_silent));
    // Its word on whose it is fails once, and its listing is empty meanwhile.
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let result = match call.path.as_str() {
            "/v1/account" if silent.load(Ordering::SeqCst) => Ok(reply(503, &error("", ""))),
            _ if silent.load(Ordering::SeqCst) => {
                Ok(reply(200, &json!({ "object": "list", "data": [], "has_more": false })))
            }
            _ => own.answer(call),
        };
        std::future::ready(result).boxed()
    }));
    assert!(world.flows.identify(&account).await.unwrap().is_err());

    for _ in 0..8 {
        world.leap(TimeDelta::hours(5)).await;
    }
    let exchanges = world.flows.store.list_exchanges(lost.id).await.unwrap();
    assert_eq!(exchanges.len(), 1, "nobody was asked: {exchanges:?}");

    is_silent.store(false, Ordering::SeqCst);
    world.probe().await;
    world.travel(TimeDelta::days(2)).await;
    assert_eq!((world.payment(lost.id).await.status, world.captures(lost.id)), (Status::Succeeded, 1));
}

//! Rejections: a 4xx is sorted by what has to change, and only what the account is refused for holds it (S1.22).

use super::{ACCOUNT, Gate, Refuse, failure};
use crate::support::{
    both,
    database::Database,
    world::{self, World},
};
use chrono::TimeDelta;
use dunlin::domain::{attempt::AttemptStatus, hold::HoldCause, payment::Status};

both! {
    an_account_wide_refusal_holds_a_billing_run_after_three_and_all_is_charged_once_when_it_is_mended
    one_success_between_two_refusals_holds_nothing
    a_payment_that_is_refused_alike_three_times_fails_with_the_gateways_code
    a_method_that_is_not_there_waits_for_its_customer
    a_spent_method_waits_for_its_customer_and_holds_nobody
    the_payments_own_data_fails_it_at_once
    what_no_rule_knows_is_set_aside_for_a_person
}

// S1.22
async fn an_account_wide_refusal_holds_a_billing_run_after_three_and_all_is_charged_once_when_it_is_mended(
    database: Database,
) {
    let mut world = World::new(database).await;
    let gate = Gate::before(&mut world);
    gate.set(Some(Refuse::Charges("", "")));
    let ids = world.pay_many(1000).await;

    world.run_due_jobs().await;

    assert_eq!((gate.charges(), world.reason()), (3, Some(HoldCause::Requests)));
    let mut refused = 0;
    for id in &ids {
        let payment = world.payment(*id).await;
        assert_eq!(payment.status, Status::Pending);
        let jobs = world.flows.store.list_jobs(*id).await.unwrap();
        assert_eq!((jobs[0].failures, jobs[0].leased), (0, false));
        if payment.attempt.is_none() {
            assert_eq!(jobs[0].runs, 0, "nothing of it is touched");
        } else {
            assert_eq!(failure(&payment), "invalid_request");
            refused += 1;
        }
    }
    assert_eq!(refused, 3);
    gate.set(None);
    world.until_released().await;
    world.travel(TimeDelta::minutes(20)).await;

    let captures = world::captures(&world.bank);
    assert!(ids.iter().all(|id| captures.get(&id.to_string()) == Some(&1)), "each is charged once");
    assert_eq!(captures.len(), ids.len());
}

async fn one_success_between_two_refusals_holds_nothing(database: Database) {
    let mut world = World::new(database).await;
    let gate = Gate::before(&mut world);

    for _ in 0..3 {
        gate.set(Some(Refuse::Charges("parameter_unknown", "confirm")));
        world.pay_many(1).await;
        world.run_due_jobs().await;
        gate.set(None);
        world.pay_many(1).await;
        world.run_due_jobs().await;
    }

    assert_eq!(world.flows.hold_of(ACCOUNT), None);
}

// S1.22
async fn a_payment_that_is_refused_alike_three_times_fails_with_the_gateways_code(database: Database) {
    let mut world = World::new(database).await;
    let gate = Gate::before(&mut world);
    gate.set(Some(Refuse::Charges("payment_method_unactivated", "")));
    let payment = world.pay("pm_card_visa").await;

    world.run_due_jobs().await;
    let waits = world.payment(payment.id).await;
    world.travel(TimeDelta::hours(1)).await;

    assert_eq!(waits.status, Status::Pending);
    let failed = world.payment(payment.id).await;
    assert_eq!((&failed.status, failure(&failed)), (&Status::Failed, "payment_method_unactivated"));
    assert_eq!((gate.charges(), failed.declines), (3, 0));
}

// S1.22
async fn a_method_that_is_not_there_waits_for_its_customer(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_nobody_has_it").await;

    world.run_due_jobs().await;

    let payment = world.payment(payment.id).await;
    assert_eq!((&payment.status, failure(&payment)), (&Status::RequiresAction, "resource_missing"));
    assert_eq!(payment.attempt.as_ref().map(|attempt| attempt.status), Some(AttemptStatus::Rejected));
    assert_eq!(payment.declines, 0, "no network was asked");
    assert_eq!(world.flows.store.list_jobs(payment.id).await.unwrap(), []);
}

// S1.22
async fn a_spent_method_waits_for_its_customer_and_holds_nobody(database: Database) {
    let world = World::new(database).await;
    for _ in 0..4 {
        let method = world.meddle("/v1/payment_methods", "type=card&card[token]=tok_visa");
        let method = method["id"].as_str().unwrap();
        let first = world.pay(method).await;
        world.run_due_jobs().await;
        let second = world.pay(method).await;
        world.run_due_jobs().await;

        let (first, second) = (world.payment(first.id).await, world.payment(second.id).await);
        assert_eq!((&first.status, &second.status), (&Status::Succeeded, &Status::RequiresAction));
        let decline = second.attempt.as_ref().unwrap().decline.as_ref().unwrap();
        assert_eq!(decline.code, "invalid_request", "the gateway has no code for it");
        assert!(decline.message.as_ref().unwrap().contains("previously used"), "{decline:?}");
    }
    assert_eq!(world.flows.hold_of(ACCOUNT), None);
}

async fn the_payments_own_data_fails_it_at_once(database: Database) {
    let mut world = World::new(database).await;
    Gate::before(&mut world).set(Some(Refuse::Charges("amount_too_small", "amount")));
    let payment = world.pay("pm_card_visa").await;

    world.run_due_jobs().await;

    let payment = world.payment(payment.id).await;
    assert_eq!((&payment.status, failure(&payment)), (&Status::Failed, "amount_too_small"));
}

async fn what_no_rule_knows_is_set_aside_for_a_person(database: Database) {
    let mut world = World::new(database).await;
    Gate::before(&mut world).set(Some(Refuse::Charges("unheard_of", "")));
    let payment = world.pay("pm_card_visa").await;

    world.run_due_jobs().await;
    world.travel(TimeDelta::days(3)).await;

    let job = &world.flows.store.list_jobs(payment.id).await.unwrap()[0];
    assert_eq!(job.state, "parked");
    let payment = world.payment(payment.id).await;
    assert_eq!((&payment.status, failure(&payment)), (&Status::Pending, "unheard_of"));
}

//! How an account that is on hold comes to be charged again: by probes that charge nobody, then one by one (S1.22, S6.4).

use super::{ACCOUNT, Gate, Refuse};
use crate::{
    store::raw::execute,
    support::{
        both,
        database::Database,
        world::{self, World},
    },
};
use chrono::TimeDelta;
use dunlin::{
    domain::{attempt::AttemptStatus, hold::HoldCause, payment::Status},
    flow::Flows,
    store::claim::Order,
    worker,
};
use dunlin_jobs::Lane;
use serde_json::json;
use std::time::Duration;

both! {
    a_refused_key_holds_the_account_and_work_resumes_one_by_one_without_a_restart
    a_refusal_while_work_resumes_holds_again_and_fails_nobody
    one_payment_that_is_always_refused_does_not_hold_up_the_others
    a_job_without_an_account_is_left_alone_once_it_was_looked_at
    a_hold_is_seen_by_every_process_and_by_the_last_look
    a_question_is_asked_while_the_account_is_on_hold
    what_was_left_behind_is_looked_at_while_the_account_is_on_hold
    a_person_holds_an_account_and_releases_it
    a_stage_that_stands_still_ends
}

// S1.22, S6.4
async fn a_refused_key_holds_the_account_and_work_resumes_one_by_one_without_a_restart(database: Database) {
    let mut world = World::new(database).await;
    let gate = Gate::before(&mut world);
    gate.set(Some(Refuse::All(401)));
    let ids = world.pay_many(40).await;

    world.run_due_jobs().await;
    assert_eq!((gate.charges(), world.reason()), (1, Some(HoldCause::Credentials)));
    world.probe().await;
    world.run_due_jobs().await;
    assert_eq!(gate.charges(), 1, "a probe charges nobody");
    let first = world.payment(ids[0]).await;
    assert_eq!((first.status, first.declines), (Status::Pending, 0));

    gate.set(None);
    world.leap(TimeDelta::minutes(2)).await;
    world.flows.tend_holds_once().await.unwrap();
    let mut begun = Vec::new();
    for allowance in [1, 2, 4, 8] {
        let stage = world.flows.hold_of(ACCOUNT).unwrap().stage.unwrap();
        assert_eq!((stage.allowance, stage.begun), (allowance, 0));
        for _ in 0..allowance {
            worker_step(&world.flows).await;
        }
        begun.push(gate.charges());
    }
    assert_eq!(begun, [2, 4, 8, 16]);
    assert_eq!(world.flows.hold_of(ACCOUNT), None);
    world.run_due_jobs().await;

    let captures = world::captures(&world.bank);
    assert!(ids.iter().all(|id| captures.get(&id.to_string()) == Some(&1)));
}

/// One charge that is due.
async fn worker_step(flows: &Flows) {
    let order = Order {
        lane: Lane::Payments,
        livemode: false,
        owner: "one step".to_owned(),
        lease: Duration::from_mins(1),
        limit: 1,
    };
    let claimed = flows.store.claim(order).await.unwrap();
    worker::work(flows, claimed.first().expect("one may begin")).await;
}

async fn a_refusal_while_work_resumes_holds_again_and_fails_nobody(database: Database) {
    let mut world = World::new(database).await;
    let gate = Gate::before(&mut world);
    gate.set(Some(Refuse::Charges("parameter_unknown", "confirm")));
    let ids = world.pay_many(4).await;
    world.run_due_jobs().await;
    assert_eq!(gate.charges(), 3);

    // The key is good all the time, so each probe lets one payment try.
    for round in 1..=6 {
        world.leap(TimeDelta::hours(1)).await;
        world.flows.tend_holds_once().await.unwrap();
        world.run_due_jobs().await;
        let hold = world.flows.hold_of(ACCOUNT).unwrap();
        assert_eq!((gate.charges(), hold.stage), (3 + round, None), "{hold:?}");
    }
    for id in &ids {
        assert_eq!(world.payment(*id).await.status, Status::Pending);
    }
    gate.set(None);
    for _ in 0..3 {
        world.leap(TimeDelta::hours(1)).await;
        world.flows.tend_holds_once().await.unwrap();
        world.run_due_jobs().await;
    }

    assert!(world::captures(&world.bank).values().all(|count| *count == 1));
    assert_eq!(world::captures(&world.bank).len(), ids.len());
}

// S1.22
async fn one_payment_that_is_always_refused_does_not_hold_up_the_others(database: Database) {
    let mut world = World::new(database).await;
    let gate = Gate::before(&mut world);
    gate.set(Some(Refuse::Charges("parameter_missing", "")));
    let first = world.pay_many(3).await;
    world.run_due_jobs().await;
    assert_eq!(world.reason(), Some(HoldCause::Requests));

    // What was wrong is mended, but for one of them.
    gate.set(Some(Refuse::ChargeOf(first[0])));
    let later = world.pay_many(3).await;
    for _ in 0..12 {
        world.leap(TimeDelta::hours(1)).await;
        world.flows.tend_holds_once().await.unwrap();
        world.run_due_jobs().await;
    }

    assert_eq!(world.flows.hold_of(ACCOUNT), None);
    for id in first[1..].iter().chain(&later) {
        assert_eq!((world.payment(*id).await.status, world.captures(*id)), (Status::Succeeded, 1));
    }
    assert_eq!(world.payment(first[0]).await.status, Status::Failed);
}

// S6.4
async fn a_job_without_an_account_is_left_alone_once_it_was_looked_at(database: Database) {
    let same = Database::at(database.url.clone());
    let mut world = World::new(database).await;
    let gate = Gate::before(&mut world);
    let payment = world.pay("pm_card_visa").await;
    // An older version beside this one writes none.
    execute(&same, "UPDATE jobs SET account = NULL").await.unwrap();
    world.flows.store.hold_account(ACCOUNT, HoldCause::Requests, "no").await.unwrap();

    let claimed = world.claim_one().await;
    worker::work(&world.flows, &claimed).await;
    world.run_due_jobs().await;

    assert_eq!((gate.charges(), world.payment(payment.id).await), (0, payment.clone()));
    assert_eq!(world.flows.store.find_next_due(false).await.unwrap(), None, "it waits for the account");
    world.until_released().await;
    assert_eq!(world.captures(payment.id), 1);
}

// S1.16, S6.4
async fn a_hold_is_seen_by_every_process_and_by_the_last_look(database: Database) {
    if database.is_sqlite() {
        return;
    }
    let same = Database::at(database.url.clone());
    let mut world = World::new(database).await;
    let gate = Gate::before(&mut world);
    let clock = world.flows.clock().clone();
    let other = same.open(clock, dunlin::failpoint::Failpoints::default()).await;
    let payment = world.pay("pm_card_visa").await;
    let claimed = world.claim_one().await;

    other.hold_account(ACCOUNT, HoldCause::Requests, "no").await.unwrap();
    // What this process has in hand it took before it could know.
    worker::work(&world.flows, &claimed).await;

    assert_eq!((gate.charges(), world.reason()), (0, Some(HoldCause::Requests)));
    let jobs = world.flows.store.list_jobs(payment.id).await.unwrap();
    assert_eq!((jobs[0].leased, jobs[0].runs, jobs[0].failures), (false, 0, 0));
    assert_eq!(world.payment(payment.id).await, payment, "nothing of it is touched");
    world.run_due_jobs().await;
    assert_eq!(gate.charges(), 0);
}

async fn a_question_is_asked_while_the_account_is_on_hold(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_sandbox_lost_after").await;
    world.run_due_jobs().await;
    assert_eq!(world.payment(payment.id).await.attempt.unwrap().status, AttemptStatus::Unknown);

    world.flows.store.hold_account(ACCOUNT, HoldCause::Requests, "no").await.unwrap();
    world.travel(TimeDelta::minutes(1)).await;

    assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
    assert_eq!(world.captures(payment.id), 1);
}

// S5.6
async fn what_was_left_behind_is_looked_at_while_the_account_is_on_hold(database: Database) {
    let mut world = World::new(database).await;
    let gate = Gate::before(&mut world);
    let payment = world.pay("pm_card_visa").await;
    world.claim_one().await;
    world.flows.store.hold_account(ACCOUNT, HoldCause::Requests, "no").await.unwrap();
    world.flows.store.expire_leases().await.unwrap();

    world.run_due_jobs().await;

    assert_eq!(gate.charges(), 0);
    let jobs = world.flows.store.list_jobs(payment.id).await.unwrap();
    assert!(!jobs[0].leased, "it was looked at, and given back");
}

async fn a_person_holds_an_account_and_releases_it(database: Database) {
    let mut world = World::new(database).await;
    let gate = Gate::before(&mut world);
    let payment = world.pay("pm_card_visa").await;
    let reason = || Some("the gateway told us to wait".to_owned());

    world.flows.hold_gateway(&world.person(1), ACCOUNT, reason()).await.unwrap();
    world.run_due_jobs().await;
    world.travel(TimeDelta::days(3)).await;
    world.flows.tend_holds_once().await.unwrap();
    world.run_due_jobs().await;
    assert_eq!((gate.charges(), world.reason()), (0, Some(HoldCause::Person)));

    world.flows.release_gateway(&world.person(2), ACCOUNT, None).await.unwrap();
    world.run_due_jobs().await;
    assert_eq!((world.payment(payment.id).await.status, world.captures(payment.id)), (Status::Succeeded, 1));
    let trail = world.flows.store.list_trail(world.owner, None, 10).await.unwrap();
    let told: Vec<_> = trail.iter().map(|entry| (entry.action.as_str(), entry.subject.as_str())).collect();
    assert_eq!(told, [("gateway.release", ACCOUNT), ("gateway.hold", ACCOUNT)]);
}

async fn a_stage_that_stands_still_ends(database: Database) {
    let mut world = World::new(database).await;
    let gate = Gate::before(&mut world);
    gate.set(Some(Refuse::All(401)));
    let ids = world.pay_many(3).await;
    world.run_due_jobs().await;
    gate.set(None);
    world.probe().await;
    let stage = || world.flows.hold_of(ACCOUNT).and_then(|hold| hold.stage);
    assert_eq!(stage().map(|stage| stage.allowance), Some(1));

    // Whoever begins the one dies with it.
    world.order(&json!({ "fault": "cut_before", "times": 1 }));
    world.run_due_jobs().await;
    let stuck = stage().unwrap();
    assert_eq!((stuck.begun, stuck.passed, stuck.free()), (1, 0, 0));
    world.leap(TimeDelta::minutes(1)).await;
    world.flows.tend_holds_once().await.unwrap();
    world.run_due_jobs().await;
    world.leap(TimeDelta::minutes(2)).await;
    world.flows.tend_holds_once().await.unwrap();
    world.run_due_jobs().await;

    assert_eq!(world.flows.hold_of(ACCOUNT), None, "nothing more waits");
    for id in ids {
        assert_eq!((world.payment(id).await.status, world.captures(id)), (Status::Succeeded, 1));
    }
}

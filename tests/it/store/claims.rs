//! Claims: who gets which jobs, for how long, and what becomes of them when their holder is gone (S5.2).

use super::*;
use crate::support::both;
use dunlin_jobs::{Job, Sweep, SweepName};
use std::{collections::BTreeSet, slice};

both! {
    the_urgent_come_first_then_the_longest_due_then_the_oldest
    a_claim_takes_no_more_than_it_asked_for
    lanes_and_environments_are_apart
    nothing_of_the_test_environment_is_claimed_while_its_clock_moves
    what_is_not_due_is_left
    a_leased_job_is_invisible_until_its_lease_runs_out
    a_rescue_counts_and_begins_a_new_epoch
    nothing_begins_under_a_lease_that_has_run_out_though_nobody_took_over
    a_claim_brings_the_databases_time
    a_renewal_keeps_what_is_held_and_nothing_else
    a_released_job_has_lost_nothing
    a_kind_that_is_not_known_is_left_alone
    a_job_that_makes_no_sense_is_set_aside_and_holds_up_nobody
}

async fn the_urgent_come_first_then_the_longest_due_then_the_oldest(database: Database) {
    let bench = Bench::new(database).await;
    let mut payments = Vec::new();
    for (priority, seconds, start) in [
        (Priority::Bulk, 0, Start::Now),
        (Priority::Interactive, 2, Start::Now),
        (Priority::Interactive, 1, Start::Now),
        (Priority::Interactive, 1, Start::Now),
        // Nobody waits for what was set for a later time.
        (Priority::Interactive, 0, Start::At(moment(1))),
    ] {
        let payment = Payment { created_at: moment(seconds), start, ..bench.payment() };
        payments.push(payment.id);
        let create = Create { payment, key: None, twin_since: None, priority, traceparent: None };
        bench.store.commit(bench.create_with(create)).await.unwrap();
        bench.store.clock().travel(TimeDelta::milliseconds(1));
    }
    bench.store.clock().travel(TimeDelta::seconds(5));

    let claimed = bench.claim(9).await;

    let order: Vec<_> = claimed.iter().map(|claimed| claimed.job.payment().unwrap()).collect();
    assert_eq!(order, [payments[2], payments[3], payments[1], payments[0], payments[4]]);
}

async fn a_claim_takes_no_more_than_it_asked_for(database: Database) {
    let bench = Bench::new(database).await;
    for _ in 0..5 {
        bench.paid_in().await;
    }

    let (first, second, third) = (bench.claim(2).await, bench.claim(2).await, bench.claim(2).await);

    assert_eq!((first.len(), second.len(), third.len()), (2, 2, 1));
    let all: BTreeSet<_> = [ids(&first), ids(&second), ids(&third)].concat().into_iter().collect();
    assert_eq!(all.len(), 5);
}

async fn nothing_of_the_test_environment_is_claimed_while_its_clock_moves(database: Database) {
    let bench = Bench::new(database).await;
    let test = bench.paid_in().await;
    let live = Payment { livemode: true, ..bench.payment() };
    bench.store.commit(bench.create(live.clone(), None)).await.unwrap();
    let shut = bench.store.shut_test_claims().await.unwrap();

    let waits = tokio::time::timeout(Duration::from_millis(50), bench.store.claim(bench.order(9))).await;
    let passes = bench.store.claim(Order { livemode: true, ..bench.order(9) }).await.unwrap();
    shut.open().await.unwrap();
    let claimed = bench.claim(9).await;

    assert!(waits.is_err());
    assert_eq!(passes.iter().map(|claimed| claimed.job.payment()).collect::<Vec<_>>(), [Some(live.id)]);
    assert_eq!(claimed.iter().map(|claimed| claimed.job.payment()).collect::<Vec<_>>(), [Some(test.id)]);
}

async fn lanes_and_environments_are_apart(database: Database) {
    let bench = Bench::new(database).await;
    let test = bench.paid_in().await;
    let live = Payment { livemode: true, ..bench.payment() };
    bench.store.commit(bench.create(live.clone(), None)).await.unwrap();
    bench.store.plant(&Job::Sweep(Sweep { name: SweepName::Orphans }), moment(0)).await.unwrap();
    let claim = async |lane, livemode| {
        let claimed = bench.store.claim(Order { lane, livemode, ..bench.order(9) }).await.unwrap();
        claimed.iter().map(|claimed| claimed.job.payment()).collect::<Vec<_>>()
    };

    assert_eq!(claim(Lane::Reconcile, false).await, []);
    assert_eq!(claim(Lane::Payments, false).await, [Some(test.id)]);
    assert_eq!(claim(Lane::Payments, true).await, [Some(live.id)]);
    assert_eq!(claim(Lane::Upkeep, true).await, [None]);
}

async fn what_is_not_due_is_left(database: Database) {
    let bench = Bench::new(database).await;
    let payment = Payment { created_at: moment(1), ..bench.payment() };
    bench.store.commit(bench.create(payment, None)).await.unwrap();

    assert_eq!(bench.claim(1).await.len(), 0);
    bench.store.clock().travel(TimeDelta::seconds(1));
    assert_eq!(bench.claim(1).await.len(), 1);
}

async fn a_leased_job_is_invisible_until_its_lease_runs_out(database: Database) {
    let bench = Bench::new(database).await;
    bench.paid_in().await;
    let first = bench.claim_one().await;

    let meanwhile = bench.claim(1).await;
    bench.store.clock().travel(TimeDelta::days(30));
    let business_time = bench.claim(1).await;
    bench.store.expire_leases().await.unwrap();
    let rescued = bench.claim_one().await;

    // Leases go by the database's clock: no business time ends one.
    assert_eq!((meanwhile.len(), business_time.len()), (0, 0));
    assert_eq!(rescued.lease.job, first.lease.job);
}

// S1.7
async fn a_rescue_counts_and_begins_a_new_epoch(database: Database) {
    let bench = Bench::new(database).await;
    bench.paid_in().await;
    let mut last = bench.claim_one().await;
    assert_eq!(last.rescues, 0);

    for rescues in 1..4 {
        bench.store.expire_leases().await.unwrap();
        let next = bench.claim_one().await;
        assert!(next.lease.epoch > last.lease.epoch, "{next:?}");
        assert_eq!(next.rescues, rescues);
        last = next;
    }
}

// S1.7
async fn nothing_begins_under_a_lease_that_has_run_out_though_nobody_took_over(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.paid_in().await;
    let lease = bench.claim_one().await.lease;
    let begin = || Change {
        job: Some((lease.clone(), JobEnd::Keep)),
        exchanges: vec![ExchangeWrite::Open(bench.exchange(payment.id, "amount=1250"))],
        ..bench.event(payment.id, bench.due())
    };

    bench.store.expire_leases().await.unwrap();
    let late = bench.store.commit(begin()).await;
    bench.store.renew(slice::from_ref(&lease), Duration::from_mins(1)).await.unwrap();
    let renewed = bench.store.commit(begin()).await;

    assert!(matches!(late, Err(CommitError::LeaseLost)), "{late:?}");
    assert_eq!(renewed.unwrap().payment.unwrap().status, Status::Processing);
}

// S1.9
async fn a_claim_brings_the_databases_time(database: Database) {
    let has_a_clock = !database.is_sqlite();
    let bench = Bench::under(database, Clock::system(), Failpoints::default()).await;
    bench.paid_in().await;
    let clock = bench.store.clock();
    clock.note_database_time(clock.now(true) - TimeDelta::days(1), std::time::Instant::now());

    bench.claim_one().await;

    let off = (clock.now(true) - clock.evidence(true) + TimeDelta::minutes(1)).num_hours();
    assert_eq!(off, if has_a_clock { 0 } else { 24 });
}

async fn a_renewal_keeps_what_is_held_and_nothing_else(database: Database) {
    let bench = Bench::new(database).await;
    bench.paid_in().await;
    bench.paid_in().await;
    let (kept, left) = (bench.claim_one().await, bench.claim_one().await);
    bench.store.expire_leases().await.unwrap();

    let minute = Duration::from_mins(1);
    bench.store.renew(slice::from_ref(&kept.lease), minute).await.unwrap();
    bench.store.renew(&[strangers(&left.lease)], minute).await.unwrap();

    assert_eq!(ids(&bench.claim(9).await), [left.lease.job]);
}

fn strangers(lease: &Lease) -> Lease {
    Lease { owner: "somebody else".to_owned(), ..lease.clone() }
}

// S5.7
async fn a_released_job_has_lost_nothing(database: Database) {
    let bench = Bench::new(database).await;
    bench.paid_in().await;
    let claimed = bench.claim_one().await;

    bench.store.release(&[strangers(&claimed.lease)]).await.unwrap();
    let held = bench.claim(1).await;
    bench.store.release(slice::from_ref(&claimed.lease)).await.unwrap();
    let again = bench.claim_one().await;

    assert_eq!(held.len(), 0);
    assert_eq!((again.rescues, again.runs, again.failures), (0, 0, 0));
    assert!(again.lease.epoch > claimed.lease.epoch, "{again:?}");
}

// S5.6
async fn a_kind_that_is_not_known_is_left_alone(database: Database) {
    let bench = Bench::new(database).await;
    bench.paid_in().await;
    let change = "UPDATE jobs SET kind = 'levitate', payload = '{\"type\":\"levitate\"}'";
    assert_eq!(raw::execute(&bench.database, change).await.unwrap(), 1);

    assert_eq!(bench.claim(9).await.len(), 0);
    let untouched = "jobs WHERE kind = 'levitate' AND epoch = 0 AND state = 'live' AND lease_owner IS NULL";
    assert_eq!(raw::count(&bench.database, untouched).await, 1);
}

async fn a_job_that_makes_no_sense_is_set_aside_and_holds_up_nobody(database: Database) {
    let bench = Bench::new(database).await;
    let broken = bench.paid_in().await;
    raw::execute(&bench.database, "UPDATE jobs SET payload = '{\"type\":\"charge\"}'").await.unwrap();
    let sound = bench.paid_in().await;

    let claimed = bench.claim(9).await;

    assert_eq!(claimed.iter().map(|claimed| claimed.job.payment()).collect::<Vec<_>>(), [Some(sound.id)]);
    let job = bench.job(broken.id).await;
    assert_eq!((job.state.as_str(), job.leased), ("parked", false));
    assert!(job.parked_reason.unwrap().contains("payload"));
}

// S5.2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_never_share_a_job() {
    let bench = Bench::new(Database::postgres().await).await;
    let other = bench.replica(12).await;
    for round in 0..10 {
        join_all((0..60).map(|_| bench.paid_in())).await;
        let drain = async |store: &Store, limit| {
            let mut mine = Vec::new();
            loop {
                let claimed = store.claim(bench.order(limit)).await.unwrap();
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(ids(&claimed));
            }
        };

        let (one, two) = tokio::join!(drain(&bench.store, 3), drain(&other, 5));

        let all: BTreeSet<_> = one.iter().chain(&two).collect();
        assert_eq!((one.len() + two.len(), all.len()), (60, 60), "round {round}");
    }
}

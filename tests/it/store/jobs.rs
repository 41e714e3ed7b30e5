//! Jobs: how they end, and that the same work is never queued twice.

use super::*;
use crate::support::both;
use dunlin::domain::hold_reason::HoldReason;
use dunlin_jobs::{Charge, Job, Reconcile, Sweep, SweepName};

both! {
    a_done_job_is_gone
    a_job_that_found_nothing_to_do_runs_again_if_its_payment_has_moved_on
    a_job_that_comes_again_keeps_its_row_and_forgets_its_rescues
    a_job_runs_while_its_attempt_is_open_and_no_longer
    a_failure_is_kept_with_the_job_and_moves_it
    a_parked_job_waits_until_it_is_released
    a_kept_lease_goes_on
    the_same_work_is_never_queued_twice
    a_planted_job_is_planted_once
    the_next_due_moment_leaves_out_what_is_in_hand
}

async fn a_done_job_is_gone(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.paid_in().await;
    let lease = bench.claim_one().await.lease;

    bench.store.commit(bench.note(&lease, JobEnd::Done)).await.unwrap();

    assert_eq!(bench.store.list_jobs(payment.id).await.unwrap(), []);
}

// Who looked and found nothing to do may have looked before there was something.
async fn a_job_that_found_nothing_to_do_runs_again_if_its_payment_has_moved_on(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.sending().await;
    let early = bench.claim_one().await;
    let seen = bench.store.find_payment(payment.id).await.unwrap().unwrap().version;
    bench.store.commit(bench.event(payment.id, answered("ch_1", Outcome::Pending))).await.unwrap();

    bench.store.commit(bench.note(&early.lease, JobEnd::DoneAt(seen))).await.unwrap();
    let late = bench.claim_one().await;
    bench.store.commit(bench.note(&late.lease, JobEnd::DoneAt(seen + 1))).await.unwrap();

    assert_eq!((late.lease.job, late.rescues), (early.lease.job, 0));
    assert!(bench.store.list_jobs(payment.id).await.unwrap().iter().all(|job| job.kind != "charge"));
}

async fn a_job_that_comes_again_keeps_its_row_and_forgets_its_rescues(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.paid_in().await;
    bench.claim_one().await;
    bench.store.expire_leases().await.unwrap();
    let rescued = bench.claim_one().await;

    bench.store.commit(bench.note(&rescued.lease, JobEnd::Again(moment(60)))).await.unwrap();

    let job = bench.job(payment.id).await;
    assert_eq!(rescued.rescues, 1);
    assert_eq!((job.due_at, job.runs, job.rescues, job.failures, job.leased), (moment(60), 1, 0, 0, false));
    assert_eq!(ids(&bench.claim(1).await), []);
    bench.store.clock().travel(TimeDelta::seconds(60));
    let again = bench.claim_one().await;
    assert_eq!((again.lease.job, again.runs), (rescued.lease.job, 1));
}

// S5.6
async fn a_job_runs_while_its_attempt_is_open_and_no_longer(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.sending().await;
    let claimed = bench.claim_one().await;
    let with = |lease: &Lease, event| Change {
        job: Some((lease.clone(), JobEnd::AgainWhileOpen(moment(0)))),
        ..bench.event(payment.id, event)
    };

    bench.store.commit(with(&claimed.lease, answered("ch_1", Outcome::Pending))).await.unwrap();
    let open = bench.store.list_jobs(payment.id).await.unwrap();
    let again = bench.claim_one().await;
    bench.store.commit(with(&again.lease, answered("ch_1", Outcome::Succeeded))).await.unwrap();
    let closed = bench.store.list_jobs(payment.id).await.unwrap();

    assert!(open.iter().any(|job| job.kind == "charge" && job.runs == 1 && !job.leased), "{open:?}");
    assert!(closed.iter().all(|job| job.kind != "charge"), "{closed:?}");
}

// S5.5
async fn a_failure_is_kept_with_the_job_and_moves_it(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.paid_in().await;
    let lease = bench.claim_one().await.lease;

    let failed = JobEnd::Failed(moment(5), "refused".to_owned());
    bench.store.commit(bench.note(&lease, failed)).await.unwrap();

    let job = bench.job(payment.id).await;
    assert_eq!((job.failures, job.due_at, job.leased), (1, moment(5), false));
    assert_eq!(job.last_error.as_deref(), Some("refused"));
}

async fn a_parked_job_waits_until_it_is_released(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.paid_in().await;
    let lease = bench.claim_one().await.lease;

    bench
        .store
        .commit(bench.note(&lease, JobEnd::Park(HoldReason::Quarantine, "no credentials".to_owned())))
        .await
        .unwrap();
    let parked = bench.job(payment.id).await;
    let idle = bench.claim(1).await;
    let again = Job::Charge(Charge { payment: payment.id });
    bench.store.adopt(payment.livemode, &again, bench.store.clock().now(payment.livemode)).await.unwrap();

    assert_eq!((parked.state.as_str(), parked.parked_reason.as_deref()), ("parked", Some("no credentials")));
    assert_eq!(parked.parked_code.as_deref(), Some("quarantine"));
    assert_eq!(idle.len(), 0);
    assert_eq!(bench.claim_one().await.lease.job, lease.job);
}

async fn a_kept_lease_goes_on(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.paid_in().await;
    let lease = bench.claim_one().await.lease;

    bench.store.commit(bench.note(&lease, JobEnd::Keep)).await.unwrap();

    let job = bench.job(payment.id).await;
    assert!(job.leased && job.runs == 0);
}

// S2.12
async fn the_same_work_is_never_queued_twice(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.paid_in().await;
    let charge = Job::Charge(Charge { payment: payment.id });
    let reconcile = Job::Reconcile(Reconcile { payment: payment.id, attempt: 1 });

    bench.store.adopt(payment.livemode, &charge, moment(9)).await.unwrap();
    bench.store.adopt(payment.livemode, &reconcile, moment(9)).await.unwrap();
    bench.store.adopt(payment.livemode, &reconcile, moment(10)).await.unwrap();

    let jobs = bench.store.list_jobs(payment.id).await.unwrap();
    let jobs: Vec<_> = jobs.iter().map(|job| (job.kind.as_str(), job.due_at)).collect();
    assert_eq!(jobs, [("charge", moment(0)), ("reconcile", moment(9))]);
}

async fn a_planted_job_is_planted_once(database: Database) {
    let bench = Bench::new(database).await;
    let sweep = Job::Sweep(Sweep { name: SweepName::Orphans });
    for _ in 0..2 {
        bench.store.plant(&sweep, moment(0)).await.unwrap();
    }

    let order = Order { lane: Lane::Upkeep, livemode: true, ..bench.order(9) };
    let claimed = bench.store.claim(order).await.unwrap();

    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].job, sweep);
}

async fn the_next_due_moment_leaves_out_what_is_in_hand(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.paid_in().await;
    let later = Job::Reconcile(Reconcile { payment: payment.id, attempt: 1 });
    bench.store.adopt(payment.livemode, &later, moment(9)).await.unwrap();
    bench.store.plant(&Job::Sweep(Sweep { name: SweepName::Orphans }), moment(0)).await.unwrap();
    let busy = async |seconds| bench.store.count_busy(false, moment(seconds)).await.unwrap();

    assert_eq!(bench.store.find_next_due(false).await.unwrap(), Some(moment(0)));
    assert_eq!((busy(-1).await, busy(0).await, busy(9).await), (0, 1, 2));
    bench.claim_one().await;
    assert_eq!(bench.store.find_next_due(false).await.unwrap(), Some(moment(9)));
    assert_eq!(bench.store.find_next_due(true).await.unwrap(), None);
    assert_eq!((busy(-1).await, bench.store.count_busy(true, moment(9)).await.unwrap()), (1, 0));
}

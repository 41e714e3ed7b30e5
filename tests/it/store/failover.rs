//! Failover: a standby that lacked the last commits takes over, and versions, epochs and offsets that were given are
//! given again to something else. A process that outlived it must not take one for the other.

use super::*;
use crate::support::both;
use dunlin::{
    domain::{payment::Edit, refund, update::Update},
    store::{StoreError, change::RefundCreate},
};
use dunlin_jobs::RefundId;

both! {
    a_lease_that_was_taken_back_is_not_the_next_one_of_its_process
    a_state_that_was_taken_back_is_not_written_over
}

const TABLES: [&str; 8] =
    ["payments", "attempts", "exchanges", "history", "jobs", "events", "refunds", "idempotency_keys"];

impl Bench {
    /// What the standby has received so far.
    async fn replicate(&self) {
        for table in TABLES {
            let copy = format!("CREATE TABLE standby_{table} AS SELECT * FROM {table}");
            raw::execute(&self.database, &copy).await.unwrap();
        }
    }

    /// The standby takes over: what was committed since is gone.
    async fn fail_over(&self) {
        for table in TABLES {
            for step in
                [format!("DELETE FROM {table}"), format!("INSERT INTO {table} SELECT * FROM standby_{table}")]
            {
                raw::execute(&self.database, &step).await.unwrap();
            }
        }
    }

    fn describe(&self, payment: PaymentId, description: &str) -> Change {
        let edit = Edit { description: Update::Set(description.to_owned()), ..Edit::default() };
        self.event(payment, Event::Edit(edit))
    }

    fn refund(&self, payment: PaymentId, amount: i64) -> Change {
        let order = refund::Order {
            id: RefundId::mint(self.now(), self.store.clock().random()),
            amount: Some(amount),
            reason: None,
            metadata: BTreeMap::new(),
        };
        self.change(Subject::Refund(Box::new(RefundCreate {
            payment,
            tenant: self.owner.tenant,
            livemode: self.owner.livemode,
            key: key(&order.id.to_string(), "a"),
            order,
            retry_of: None,
            asked_at: self.now(),
        })))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_is_being_charged_is_not_canceled_by_who_remembers_another_state() {
    let bench = Bench::new(Database::postgres().await).await;
    let other = bench.replica(12).await;
    let payment = bench.paid_in().await;
    bench.replicate().await;
    let remembered = bench.store.commit(bench.describe(payment.id, "kept in mind")).await.unwrap();
    bench.fail_over().await;
    let sending = other.commit(bench.event(payment.id, bench.due())).await.unwrap().payment.unwrap();
    assert_eq!(remembered.payment.unwrap().version, sending.version);

    let canceled = bench.store.commit(bench.event(payment.id, Event::Cancel)).await;

    assert!(matches!(canceled, Err(CommitError::Refused(_))), "{canceled:?}");
    assert_eq!(bench.read(payment.id).await, sending);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_a_claim_has_brought_along_is_not_taken_for_the_next_state() {
    let bench = Bench::new(Database::postgres().await).await;
    let other = bench.replica(12).await;
    let payment = bench.paid_in().await;
    bench.replicate().await;
    other.commit(bench.describe(payment.id, "kept in mind")).await.unwrap();
    let claimed = bench.claim_one().await;
    bench.fail_over().await;
    other.commit(bench.event(payment.id, Event::Cancel)).await.unwrap();

    let begun = bench.store.commit(bench.event(payment.id, bench.due())).await;

    assert_eq!(claimed.job.payment(), Some(payment.id));
    assert!(matches!(begun, Err(CommitError::Refused(_))), "{begun:?}");
    assert_eq!(bench.read(payment.id).await.status, Status::Canceled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_goes_back_once_whoever_remembers_less_of_it() {
    let bench = Bench::new(Database::postgres().await).await;
    let other = bench.replica(12).await;
    let payment = bench.sending().await;
    let paid = bench.event(payment.id, answered("ch_1", Outcome::Succeeded));
    bench.store.commit(paid).await.unwrap();
    bench.replicate().await;
    bench.store.commit(bench.refund(payment.id, 250)).await.unwrap();
    bench.fail_over().await;
    other.commit(bench.refund(payment.id, 1250)).await.unwrap();

    let more = bench.store.commit(bench.refund(payment.id, 1000)).await;

    assert!(matches!(more, Err(CommitError::NotRefundable(_))), "{more:?}");
    assert_eq!(bench.read(payment.id).await.refunding, 1250);
}

// On SQLite this is what a file looks like that was exchanged under a running process.
async fn a_state_that_was_taken_back_is_not_written_over(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.paid_in().await;
    bench.replicate().await;
    bench.store.commit(bench.describe(payment.id, "kept in mind")).await.unwrap();
    bench.fail_over().await;
    let change = "UPDATE payments SET version = 2, change_id = 'chg_other', description = 'of the other'";
    raw::execute(&bench.database, change).await.unwrap();

    let first = bench.store.commit(bench.event(payment.id, Event::Cancel)).await;
    let again = match first {
        Err(CommitError::Store(StoreError::Conflict)) if bench.database.is_sqlite() => {
            bench.store.commit(bench.event(payment.id, Event::Cancel)).await
        }
        first => first,
    };

    let canceled = again.unwrap().payment.unwrap();
    assert_eq!((canceled.version, canceled.description.as_deref()), (3, Some("of the other")));
    assert_eq!(bench.read(payment.id).await, canceled);
}

// S1.7
async fn a_lease_that_was_taken_back_is_not_the_next_one_of_its_process(database: Database) {
    let bench = Bench::new(database).await;
    bench.paid_in().await;
    bench.replicate().await;
    let lost = bench.claim_one().await.lease;
    bench.fail_over().await;
    let held = bench.claim_one().await.lease;
    assert_eq!((lost.job, &lost.owner), (held.job, &held.owner));

    bench.store.release(std::slice::from_ref(&lost)).await.unwrap();
    let released = bench.claim(1).await;
    let ended = bench.store.commit(bench.note(&lost, JobEnd::Done)).await;
    bench.store.expire_leases().await.unwrap();
    bench.store.renew(&[lost], Duration::from_mins(1)).await.unwrap();
    let renewed = bench.claim(1).await;

    assert_eq!(released.len(), 0, "what was never started is given back, and nothing else");
    assert!(matches!(ended, Err(CommitError::LeaseLost)), "{ended:?}");
    assert_eq!(renewed.len(), 1, "what is held is renewed, and nothing else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn test_time_that_a_failover_took_back_is_told_to_all_again() {
    let bench = Bench::new(Database::postgres().await).await;
    let other = bench.replica(12).await;
    bench.store.advance_clock(TimeDelta::days(3)).await.unwrap();
    raw::execute(&bench.database, "UPDATE clocks SET offset_us = 86400000000").await.unwrap();
    other.refresh_clock().await.unwrap();
    assert_eq!(other.clock().offset(), TimeDelta::days(1));

    bench.store.refresh_clock().await.unwrap();
    other.refresh_clock().await.unwrap();

    assert_eq!(other.clock().offset(), TimeDelta::days(3));
}

//! After a restore no job that sends is claimed, whoever claims, until it is released (S2.15).

use super::*;
use crate::support::both;
use dunlin::store::restores::{self, Restore};
use dunlin_jobs::{Job, Reconcile, Sweep, SweepName};

both! {
    nothing_that_sends_is_claimed_until_a_restore_is_released
    a_restore_and_its_release_stand_in_every_trail_once
}

async fn nothing_that_sends_is_claimed_until_a_restore_is_released(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.sending().await;
    let left_behind = bench.claim_one().await;
    bench.store.expire_leases().await.unwrap();
    bench.paid_in().await;
    let reconcile = Job::Reconcile(Reconcile { payment: payment.id, attempt: 1 });
    bench.store.adopt(false, &reconcile, moment(0)).await.unwrap();
    bench.store.plant(&Job::Sweep(Sweep { name: SweepName::Orphans }), moment(0)).await.unwrap();
    let options = bench.database.options();
    let restore = Restore { at: moment(0), by: "the test".to_owned(), source: "a backup".to_owned() };
    let claim = async |lane, livemode| {
        let order = Order { lane, livemode, ..bench.order(9) };
        bench.store.claim(order).await.unwrap().len()
    };

    restores::hold(&options, &restore).await.unwrap();
    let found = bench.store.find_restore().await.unwrap();
    let held = [
        claim(Lane::Payments, false).await,
        claim(Lane::Reconcile, false).await,
        claim(Lane::Upkeep, true).await,
    ];
    let released = restores::release(&options, moment(1), "the test", "compared").await.unwrap();
    let sent = [claim(Lane::Payments, false).await, claim(Lane::Reconcile, false).await];

    assert_eq!(left_behind.job.payment(), Some(payment.id));
    assert_eq!(found, Some(restore));
    assert_eq!(held, [0, 0, 1], "only housekeeping goes on");
    assert!(released && !restores::release(&options, moment(2), "the test", "again").await.unwrap());
    assert_eq!(sent, [2, 1]);
    assert_eq!(bench.store.find_restore().await.unwrap(), None);
}

async fn a_restore_and_its_release_stand_in_every_trail_once(database: Database) {
    let bench = Bench::new(database).await;
    let options = bench.database.options();
    let restore = Restore { at: moment(0), by: "the test".to_owned(), source: "a backup".to_owned() };
    let trails = async || {
        let mut told = Vec::new();
        for livemode in [false, true] {
            let owner = Owner { livemode, ..bench.owner };
            let trail = bench.store.list_trail(owner, None, 10).await.unwrap();
            told.push(
                trail.into_iter().map(|entry| (entry.action, entry.actor, entry.reason)).collect::<Vec<_>>(),
            );
        }
        told
    };
    let restored = ("database.restore".to_owned(), "the test".to_owned(), None);
    let released = ("database.release".to_owned(), "somebody".to_owned(), Some("compared".to_owned()));

    restores::hold(&options, &restore).await.unwrap();
    for _ in 0..2 {
        bench.store.note_restores().await.unwrap();
        assert_eq!(trails().await, vec![vec![restored.clone()]; 2]);
    }
    restores::release(&options, moment(1), "somebody", "compared").await.unwrap();
    for _ in 0..2 {
        bench.store.note_restores().await.unwrap();
        assert_eq!(trails().await, vec![vec![released.clone(), restored.clone()]; 2]);
    }
    if !bench.database.is_sqlite() {
        let other = bench.database.open(bench.store.clock().clone(), Failpoints::default()).await;
        other.note_restores().await.unwrap();
        assert_eq!(trails().await[0].len(), 2, "another process finds them there");
    }
}

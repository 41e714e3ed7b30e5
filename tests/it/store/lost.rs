//! The answer to a COMMIT can be lost: what took effect is found out, and nothing is done twice (S5.12).

use super::*;
use crate::support::both;
use dunlin::store::StoreError;
use sqlx::{Connection, PgConnection};

both! {
    a_creation_whose_commit_took_effect_is_answered_as_done
    a_creation_whose_commit_did_not_take_effect_is_done_again
    a_batch_of_changes_is_applied_once_either_way
    an_exchange_is_on_record_before_its_caller_goes_on
    jobs_claimed_by_a_lost_commit_are_handed_out
}

/// Loses the first commit only.
fn lose(fault: CommitFault) -> impl FnMut(Point) -> CommitFault {
    let mut left = 1;
    move |point| {
        if point != Point::BatchWritten || left == 0 {
            return CommitFault::None;
        }
        left -= 1;
        fault
    }
}

async fn a_creation_whose_commit_took_effect_is_answered_as_done(database: Database) {
    create(database, CommitFault::LostAfter).await;
}

async fn a_creation_whose_commit_did_not_take_effect_is_done_again(database: Database) {
    create(database, CommitFault::LostBefore).await;
}

async fn create(database: Database, fault: CommitFault) {
    let (bench, mut gate) = Bench::gated(database).await;
    let payment = bench.payment();

    let change = bench.create(payment.clone(), Some(key("k", "a")));
    let committed = gate.run(bench.store.commit(change), lose(fault)).await.unwrap();

    assert!(committed.fresh);
    assert_eq!(committed.payment, Some(payment.clone()));
    assert_eq!(bench.read(payment.id).await, payment);
    for table in ["payments", "jobs", "history", "events", "idempotency_keys"] {
        assert_eq!(raw::count(&bench.database, table).await, 1, "{table}");
    }
}

async fn a_batch_of_changes_is_applied_once_either_way(database: Database) {
    let (bench, mut gate) = Bench::gated(database).await;
    for fault in [CommitFault::LostAfter, CommitFault::LostBefore] {
        let one = gate.pass(bench.paid_in()).await;
        let two = gate.pass(bench.paid_in()).await;
        let refused = bench.event(two.id, not_sent());
        let changes = [bench.event(one.id, bench.due()), refused, bench.event(two.id, Event::Cancel)];

        let all = join_all(changes.into_iter().map(|change| bench.store.commit(change)));
        let answers = gate.run(all, lose(fault)).await;

        assert!(answers[0].as_ref().is_ok_and(|committed| committed.fresh), "{fault:?} {answers:?}");
        assert!(matches!(answers[1], Err(CommitError::Refused(_))), "{fault:?} {answers:?}");
        assert!(answers[2].is_ok(), "{fault:?} {answers:?}");
        for payment in [one.id, two.id] {
            assert_eq!(bench.read(payment).await.version, 2, "{fault:?}");
            assert_eq!(bench.store.list_history(payment).await.unwrap().len(), 2, "{fault:?}");
        }
        assert_eq!(bench.store.list_attempts(one.id).await.unwrap().len(), 1, "{fault:?}");
    }
}

// S1.5
async fn an_exchange_is_on_record_before_its_caller_goes_on(database: Database) {
    let (bench, mut gate) = Bench::gated(database).await;
    let payment = gate.pass(bench.paid_in()).await;
    for (n, fault) in [CommitFault::LostAfter, CommitFault::LostBefore].into_iter().enumerate() {
        let (_, change) = bench.opening(payment.id, "amount=1250");

        gate.run(bench.store.commit(change), lose(fault)).await.unwrap();

        assert_eq!(bench.store.list_exchanges(payment.id).await.unwrap().len(), n + 1, "{fault:?}");
    }
}

async fn jobs_claimed_by_a_lost_commit_are_handed_out(database: Database) {
    let (bench, mut gate) = Bench::gated(database).await;
    for fault in [CommitFault::LostAfter, CommitFault::LostBefore] {
        let payment = gate.pass(bench.paid_in()).await;

        let claimed = gate.run(bench.claim(10), lose(fault)).await;

        assert_eq!(claimed.len(), 1, "{fault:?}");
        assert_eq!(claimed[0].job.payment(), Some(payment.id));
        assert!(bench.job(payment.id).await.leased);
        gate.pass(bench.store.commit(bench.note(&claimed[0].lease, JobEnd::Done))).await.unwrap();
    }
}

// Whatever stands in front of a database that is away takes connections and drops them.
#[tokio::test]
async fn a_server_that_hangs_up_is_away_rather_than_broken() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });

    let error = PgConnection::connect(&format!("postgres://nobody@{address}/nothing")).await.unwrap_err();

    assert!(matches!(StoreError::from(error), StoreError::Unavailable));
}

//! Idempotency keys and alike payments: who makes the payment, and what everybody else is told.

use super::*;
use crate::support::both;

both! {
    equal_keys_in_one_batch_make_one_payment
    a_key_answers_later_with_the_payment_as_it_is_now
    a_key_used_for_something_else_is_refused_and_keeps_what_it_made
    keys_are_apart_by_tenant_and_scope
    an_alike_payment_is_refused_within_the_window_only
    alike_payments_in_one_batch_are_one_too_many
    a_refused_payment_leaves_its_key_unused
}

// S2.2
async fn equal_keys_in_one_batch_make_one_payment(database: Database) {
    let (bench, mut gate) = Bench::gated(database).await;
    let same = (0..20).map(|_| bench.create(bench.payment(), Some(key("k", "a"))));
    let other = bench.create(bench.payment(), Some(key("k", "b")));
    let changes: Vec<_> = same.chain([other]).collect();

    let (mut answers, transactions) = gate.together(&bench.store, changes).await;

    assert_eq!(transactions, 1);
    let other = answers.pop().unwrap();
    let made: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let first = made[0].payment.as_ref().unwrap().id;
    assert!(made.iter().all(|committed| committed.payment.as_ref().unwrap().id == first));
    assert_eq!(made.iter().filter(|committed| committed.fresh).count(), 1);
    assert!(matches!(other, Err(CommitError::KeyReused { first: reused }) if reused == first));
    for table in ["payments", "jobs", "history", "events", "idempotency_keys"] {
        assert_eq!(raw::count(&bench.database, table).await, 1, "{table}");
    }
}

// S2.4
async fn a_key_answers_later_with_the_payment_as_it_is_now(database: Database) {
    let bench = Bench::new(database).await;
    let first = bench.store.commit(bench.create(bench.payment(), Some(key("k", "a")))).await.unwrap();
    let payment = first.payment.unwrap();
    bench.store.commit(bench.event(payment.id, bench.due())).await.unwrap();

    let replay = bench.store.commit(bench.create(bench.payment(), Some(key("k", "a")))).await.unwrap();

    let replayed = replay.payment.unwrap();
    assert!(first.fresh && !replay.fresh);
    assert_eq!((replayed.id, &replayed.status), (payment.id, &Status::Processing));
}

async fn a_key_used_for_something_else_is_refused_and_keeps_what_it_made(database: Database) {
    let bench = Bench::new(database).await;
    let made = bench.store.commit(bench.create(bench.payment(), Some(key("k", "a")))).await.unwrap();
    let made = made.payment.unwrap().id;

    let reused = bench.store.commit(bench.create(bench.payment(), Some(key("k", "b")))).await;

    assert!(matches!(reused, Err(CommitError::KeyReused { first }) if first == made));
    assert_eq!(raw::count(&bench.database, "payments").await, 1);
}

async fn keys_are_apart_by_tenant_and_scope(database: Database) {
    let bench = Bench::new(database).await;
    let tenant = bench.store.ensure_tenant("another").await.unwrap().id;
    let elsewhere = Key { scope: "POST /v1/refunds".to_owned(), ..key("k", "a") };

    for (payment, key) in [
        (bench.payment(), key("k", "a")),
        (bench.payment(), elsewhere),
        (Payment { tenant, ..bench.payment() }, key("k", "a")),
        (Payment { livemode: true, ..bench.payment() }, key("k", "a")),
    ] {
        assert!(bench.store.commit(bench.create(payment, Some(key))).await.unwrap().fresh);
    }
}

// S2.7
async fn an_alike_payment_is_refused_within_the_window_only(database: Database) {
    let bench = Bench::new(database).await;
    let first = bench.store.commit(watched(&bench, "cus_1", 1250, None)).await.unwrap().payment.unwrap();

    let twin = bench.store.commit(watched(&bench, "cus_1", 1250, None)).await;
    let dearer = bench.store.commit(watched(&bench, "cus_1", 1251, None)).await;
    let stranger = bench.store.commit(watched(&bench, "cus_2", 1250, None)).await;
    bench.store.clock().travel(TimeDelta::minutes(10) + TimeDelta::microseconds(1));
    let later = bench.store.commit(watched(&bench, "cus_1", 1250, None)).await;

    assert!(matches!(twin, Err(CommitError::Twin { first: found }) if found == first.id));
    assert!(dearer.is_ok() && stranger.is_ok() && later.is_ok());
}

async fn alike_payments_in_one_batch_are_one_too_many(database: Database) {
    let (bench, mut gate) = Bench::gated(database).await;
    let changes = vec![watched(&bench, "cus_1", 1250, None), watched(&bench, "cus_1", 1250, None)];

    let (answers, _) = gate.together(&bench.store, changes).await;

    assert!(answers[0].is_ok(), "{answers:?}");
    assert!(matches!(answers[1], Err(CommitError::Twin { .. })), "{answers:?}");
}

// S2.4
async fn a_refused_payment_leaves_its_key_unused(database: Database) {
    let (bench, mut gate) = Bench::gated(database).await;
    gate.pass(bench.store.commit(watched(&bench, "cus_1", 1250, None))).await.unwrap();

    let twins = (0..2).map(|_| watched(&bench, "cus_1", 1250, Some(key("k", "a")))).collect();
    let (twins, _) = gate.together(&bench.store, twins).await;
    let meant = bench.create(bench.payment(), Some(key("k", "b")));
    let meant = gate.pass(bench.store.commit(meant)).await;

    assert!(twins.iter().all(|twin| matches!(twin, Err(CommitError::Twin { .. }))), "{twins:?}");
    assert!(meant.unwrap().fresh);
}

/// A payment whose caller wants to be warned of an alike one.
fn watched(bench: &Bench, customer: &str, minor: i64, key: Option<Key>) -> Change {
    let payment = Payment { customer: Some(customer.to_owned()), money: euros(minor), ..bench.payment() };
    bench.create_with(Create {
        payment,
        key,
        twin_since: Some(bench.now() - TimeDelta::minutes(10)),
        priority: Priority::Interactive,
        traceparent: None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_inserting_the_same_keys_in_other_orders_neither_deadlock_nor_both_win() {
    let bench = Bench::new(Database::postgres().await).await;
    let other = bench.replica(12).await;
    for round in 0..200 {
        let keys: Vec<_> = (0..12).map(|n| format!("{round}-{n}")).collect();
        let one = keys.iter().map(|k| bench.store.commit(bench.create(bench.payment(), Some(key(k, "a")))));
        let two = keys.iter().rev().map(|k| other.commit(bench.create(bench.payment(), Some(key(k, "a")))));

        let (one, mut two) = tokio::join!(join_all(one), join_all(two));

        two.reverse();
        for (one, two) in one.into_iter().zip(two) {
            let (one, two) = (one.unwrap(), two.unwrap());
            assert_eq!(one.payment.unwrap().id, two.payment.unwrap().id);
            assert!(one.fresh != two.fresh);
        }
    }
    assert_eq!(raw::count(&bench.database, "payments").await, 200 * 12);
}

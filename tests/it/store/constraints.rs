//! Constraints: what the program must never write, the tables refuse by themselves (S1.2, S1.3, S1.4).

use super::*;
use crate::support::both;

both! {
    impossible_payments_are_refused
    impossible_attempts_are_refused
    impossible_jobs_are_refused
    other_impossible_rows_are_refused
}

const TIME: &str = "'2027-01-01T00:00:00.000000Z'";

async fn impossible_payments_are_refused(database: Database) {
    let bench = Bench::new(database).await;
    let id = bench.paid_in().await.id;
    let payment = |set: &str| format!("UPDATE payments SET {set} WHERE id = '{id}'");

    refused(
        &bench,
        &[
            payment("status = 'paid'"),
            payment("amount_minor = 0"),
            payment("currency = 'EURO'"),
            payment("version = 0"),
            payment("attempt_n = -1"),
            payment("declines = -1"),
            payment("status = 'retrying', attempt_n = 1"),
            payment("status = 'needs_review'"),
            payment("status = 'processing'"),
            payment("status = 'succeeded'"),
            payment(&format!("next_attempt_at = {TIME}")),
            payment("review_reason = 'look'"),
        ],
    )
    .await;
}

// S1.3, S1.4
async fn impossible_attempts_are_refused(database: Database) {
    let bench = Bench::new(database).await;
    let (pending, sending) = (bench.paid_in().await.id, bench.sending().await.id);
    let paid = bench.sending().await.id;
    bench.store.commit(bench.event(paid, answered("ch_1", Outcome::Succeeded))).await.unwrap();
    let attempt = |payment: PaymentId, n: i64, status: &str, charge: &str| {
        let id = AttemptId::mint(moment(0), rand::random());
        format!(
            "INSERT INTO attempts (id, payment_id, n, account, status, first_sent_at, charge) \
             VALUES ('{id}', '{payment}', {n}, 'main', '{status}', {TIME}, {charge})"
        )
    };

    refused(
        &bench,
        &[
            attempt(pending, 0, "sending", "NULL"),
            attempt(pending, 1, "tried", "NULL"),
            attempt(sending, 1, "declined", "NULL"),
            attempt(sending, 2, "planned", "NULL"),
            attempt(sending, 2, "unknown", "NULL"),
            attempt(paid, 2, "succeeded", "NULL"),
            attempt(pending, 1, "succeeded", "'ch_1'"),
        ],
    )
    .await;
    // The same rows, made sensibly, are taken: it is the constraint that refused them.
    for sql in [attempt(paid, 2, "duplicate", "'ch_2'"), attempt(pending, 1, "unknown", "NULL")] {
        assert_eq!(raw::execute(&bench.database, &sql).await.unwrap(), 1, "{sql}");
    }
}

async fn impossible_jobs_are_refused(database: Database) {
    let bench = Bench::new(database).await;
    let (pending, other) = (bench.paid_in().await.id, bench.paid_in().await.id);
    let job = |set: &str| format!("UPDATE jobs SET {set} WHERE payment_id = '{pending}'");

    refused(
        &bench,
        &[
            job("state = 'done'"),
            job("state = 'parked'"),
            job("parked_reason = 'because'"),
            job("priority = 2"),
            job("lease_owner = 'worker'"),
            job(&format!("lease_until = {TIME}")),
            job(&format!("dedupe = '{other}:charge'")),
        ],
    )
    .await;
}

async fn other_impossible_rows_are_refused(database: Database) {
    let bench = Bench::new(database).await;
    let sending = bench.sending().await.id;
    bench.store.commit(bench.create(bench.payment(), Some(key("k", "a")))).await.unwrap();
    bench.store.advance_clock(TimeDelta::days(1)).await.unwrap();
    bench.store.create_key(bench.owner, api_keys::named("one")).await.unwrap();
    let copied = |table: &str, columns: &str, new: &str| {
        format!("INSERT INTO {table} ({columns}) SELECT {new} FROM {table} LIMIT 1")
    };

    refused(
        &bench,
        &[
            "INSERT INTO clocks (environment, offset_us) VALUES ('live', 1)".to_owned(),
            "UPDATE clocks SET offset_us = -1".to_owned(),
            format!("UPDATE history SET version = 1 WHERE payment_id = '{sending}'"),
            copied(
                "api_keys",
                "id, tenant_id, livemode, name, prefix, digest, created_at",
                "'key_2', tenant_id, livemode, name, prefix, digest, created_at",
            ),
            copied(
                "idempotency_keys",
                "tenant_id, livemode, scope, idempotency_key, fingerprint, payment_id, created_at",
                "tenant_id, livemode, scope, idempotency_key, 'b', 'pay_2', created_at",
            ),
            format!(
                "INSERT INTO exchanges (id, payment_id, attempt_n, kind, resend, method, path, api_version, \
                 body, opened_at) VALUES ('exc_1', '{sending}', 1, 'guess', false, 'GET', '/', '', '', {TIME})"
            ),
        ],
    )
    .await;
}

/// Each of the statements is refused by a constraint, and not by a mistake in its text.
async fn refused(bench: &Bench, statements: &[String]) {
    for sql in statements {
        let refused = raw::execute(&bench.database, sql).await;
        let constraint =
            refused.as_ref().err().and_then(sqlx::Error::as_database_error).is_some_and(|error| {
                error.is_check_violation() || error.is_unique_violation() || error.is_foreign_key_violation()
            });
        assert!(constraint, "{sql}: {refused:?}");
    }
}

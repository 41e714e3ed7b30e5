//! Moments: when payments moved, and what the database has counted meanwhile, for measurements.

use super::{Db, Store, StoreError, row::At, text::on};
use crate::domain::clock::Time;

/// One change of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    pub payment: String,
    pub version: i64,
    pub cause: String,
    pub at: Time,
}

/// What PostgreSQL has counted since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Of this database.
    pub commits: u64,
    /// Of the whole server.
    pub wal_bytes: u64,
}

impl Store {
    /// All changes of all payments, a payment's together and in order, after the one that was read last.
    pub async fn list_moments(&self, after: Option<&Moment>, limit: u16) -> Result<Vec<Moment>, StoreError> {
        const TEXT: &str = "SELECT payment_id, version, cause, at FROM history \
             WHERE (payment_id, version) > ($1, $2) ORDER BY payment_id, version LIMIT $3";
        let (payment, version) = after.map_or(("", 0), |last| (last.payment.as_str(), last.version));
        let rows: Vec<(String, i64, String, At)> = on!(&self.db, |db, _pick| {
            sqlx::query_as(TEXT).bind(payment).bind(version).bind(i64::from(limit)).fetch_all(db).await?
        });
        let moment =
            |(payment, version, cause, at): (_, _, _, At)| Moment { payment, version, cause, at: at.0 };
        Ok(rows.into_iter().map(moment).collect())
    }

    /// What the database has counted; SQLite counts nothing.
    pub async fn read_counters(&self) -> Result<Option<Counters>, StoreError> {
        const TEXT: &str = "SELECT xact_commit, (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint \
             FROM pg_stat_database WHERE datname = current_database()";
        let Db::Postgres(pool) = &self.db else { return Ok(None) };
        let (commits, wal_bytes): (i64, i64) = sqlx::query_as(TEXT).fetch_one(pool).await?;
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        Ok(Some(Counters { commits: count(commits), wal_bytes: count(wal_bytes) }))
    }
}

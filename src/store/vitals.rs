//! Vitals: what the database tells of itself, for whoever asks whether work should be sent here (S6.6).

use super::{
    Store, StoreError,
    row::At,
    schema,
    text::{Text, on},
};
use crate::domain::clock::Time;
use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

/// After this long without a change, work may be sent here again to see whether it can be written.
const TRIED_AGAIN: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vitals {
    /// The first migration that this version knows and the database has not; it may have more than we know.
    pub lacks: Option<i64>,
    /// Whether it wrote when it last had to.
    pub writes: bool,
    /// The time of a database that has a clock of its own.
    pub now: Option<Time>,
}

const VITALS: Text = Text {
    sqlite: "SELECT max(version), NULL FROM _sqlx_migrations WHERE success",
    postgres: "SELECT max(version), clock_timestamp() FROM _sqlx_migrations WHERE success",
};

impl Store {
    /// Asks the database how it is; an error says that it does not answer.
    pub async fn vitals(&self) -> Result<Vitals, StoreError> {
        let (has, now) = match self.read_vitals().await {
            // Where it answers other questions, it has no schema at all.
            Err(StoreError::Sql(_)) => self.ping().await.map(|()| (None, None))?,
            read => read?,
        };
        let lacks = schema::known(&self.db)
            .iter()
            .map(|migration| migration.version)
            .find(|version| has.is_none_or(|has| *version > has));
        Ok(Vitals { lacks, writes: self.writes(), now: now.map(|At(now)| now) })
    }

    /// Whether the last change could be written. A full disk is still read, and has room for something small.
    fn writes(&self) -> bool {
        self.unwritable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none_or(|at| at.elapsed() > TRIED_AGAIN)
    }

    /// Notes whether a change could be written.
    pub(super) fn note_writable(&self, is_writable: bool) {
        let failed = (!is_writable).then(Instant::now);
        *self.unwritable.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }

    async fn read_vitals(&self) -> Result<(Option<i64>, Option<At>), StoreError> {
        Ok(on!(&self.db, |db, pick| sqlx::query_as(pick(VITALS)).fetch_one(db).await?))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        on!(&self.db, |db, _pick| sqlx::query("SELECT 1").execute(db).await?.rows_affected());
        Ok(())
    }
}

//! Vitals: what the database tells of itself, for whoever asks whether work should be sent here (S6.6).

use super::{
    Db, Store, StoreError,
    row::At,
    schema::{self, SchemaFault},
    text::on,
};
use crate::domain::clock::Time;
use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

/// After this long without a change, work may be sent here again to see whether it can be written.
const TRIED_AGAIN: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vitals {
    /// What is wrong with its schema; it may have more than we know.
    pub schema: Option<SchemaFault>,
    /// Whether it wrote when it last had to.
    pub writes: bool,
    /// The time of a database that has a clock of its own.
    pub now: Option<Time>,
}

const NOW: &str = "SELECT clock_timestamp()";

impl Store {
    /// Asks the database how it is; an error says that it does not answer.
    pub async fn vitals(&self) -> Result<Vitals, StoreError> {
        let now = match &self.db {
            Db::Sqlite(_) => None,
            Db::Postgres(pool) => Some(sqlx::query_scalar::<_, At>(NOW).fetch_one(pool).await?.0),
        };
        let applied = match self.read_migrations().await {
            // Where it answers other questions, it has no schema at all.
            Err(StoreError::Sql(_)) => self.ping().await.map(|()| Vec::new())?,
            read => read?,
        };
        let schema = schema::judge(schema::known(&self.db), &applied).err();
        Ok(Vitals { schema, writes: self.writes(), now })
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

    async fn read_migrations(&self) -> Result<Vec<schema::Applied>, StoreError> {
        Ok(on!(&self.db, |db, _pick| sqlx::query_as(schema::APPLIED).fetch_all(db).await?))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        on!(&self.db, |db, _pick| sqlx::query("SELECT 1").execute(db).await?.rows_affected());
        Ok(())
    }
}

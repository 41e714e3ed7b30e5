//! The gate: no job of the test environment is begun while test time moves, in this process or in another one over
//! the same database.

use super::{Db, Store, StoreError, Tx, environment};
use crate::domain::clock::Clock;
use std::sync::Arc;
use tokio::sync::OwnedRwLockWriteGuard;

/// The lock that processes share, named after the schema, since one server may hold several.
macro_rules! key {
    () => {
        "hashtextextended('dunlin test clock of ' || current_schema(), 0)"
    };
}

/// Never waits: a claim shares its transaction with changes that test time does not concern.
const PASS: &str = concat!("SELECT pg_try_advisory_xact_lock_shared(", key!(), ")");
const SHUT: &str = concat!("SELECT pg_advisory_xact_lock(", key!(), ")");

/// While it is held, no test job is claimed. Dropped, it opens a little later than [`Shut::open`].
#[derive(Debug)]
pub struct Shut {
    _here: OwnedRwLockWriteGuard<()>,
    /// Holds the lock that other processes see.
    elsewhere: Option<Tx>,
}

impl Store {
    /// Lets no job of the test environment be claimed. Test time is as it stands in the database from then on.
    pub async fn shut_test_claims(&self) -> Result<Shut, StoreError> {
        let here = Arc::clone(&self.gate).write_owned().await;
        let elsewhere = match &self.writer {
            Db::Sqlite(_) => None,
            Db::Postgres(pool) => {
                let mut tx = pool.begin().await?;
                sqlx::query(SHUT).execute(&mut *tx).await?;
                Some(Tx::Postgres(tx))
            }
        };
        self.refresh_clock().await?;
        Ok(Shut { _here: here, elsewhere })
    }
}

impl Shut {
    pub async fn open(self) -> Result<(), StoreError> {
        match self.elsewhere {
            Some(tx) => tx.roll_back().await,
            None => Ok(()),
        }
    }
}

/// Whether a claim of test jobs may go on, until the end of its transaction; then it goes by the time that stands in
/// the database, which another process may have moved.
pub(super) async fn pass(tx: &mut Tx, clock: &Clock) -> Result<bool, StoreError> {
    let Tx::Postgres(tx) = tx else { return Ok(true) };
    let is_open: bool = sqlx::query_scalar(PASS).fetch_one(&mut **tx).await?;
    if is_open {
        let offset = sqlx::query_scalar(environment::OFFSET).fetch_optional(&mut **tx).await?;
        environment::follow(clock, offset);
    }
    Ok(is_open)
}

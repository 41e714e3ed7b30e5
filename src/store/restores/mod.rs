//! Restores: a database that was set back to an earlier state. The gateway knows more than it does then, so no job that
//! sends is claimed until a person says that the two were compared (S2.15).

pub mod dump;
pub mod file;
mod identity;
mod intake;
mod noted;

use super::{
    Db, Store, StoreError,
    direct::Direct,
    open::{OpenError, Options},
    row::At,
    text::on,
};
use crate::domain::clock::Time;
use sqlx::{Connection, PgConnection, SqliteConnection};

/// A restore after which nothing is sent yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    pub at: Time,
    /// Who did it, as far as a command knows.
    pub by: String,
    /// What was restored.
    pub source: String,
}

/// Why a command could not do it.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{path}: {source}")]
    File { path: std::path::PathBuf, source: std::io::Error },
    #[error("{0} is there already, and nothing is written over: name another file")]
    Exists(std::path::PathBuf),
    #[error("{0} is the database itself: name its backup")]
    Itself(std::path::PathBuf),
    #[error(
        "{0} has a log of its own beside it (-wal), so it is a copy of a database in use rather than a backup: make \
         one with `dunlin backup`"
    )]
    NotABackup(std::path::PathBuf),
    #[error("{path} is no database of dunlin")]
    NotOurs { path: std::path::PathBuf },
    #[error("{path} is damaged: {reason}; take another backup")]
    Damaged { path: std::path::PathBuf, reason: String },
    #[error("somebody looks into the database just now, as `dunlin backup` does: wait for it to end")]
    InUse,
}

const HOLD: &str =
    "INSERT INTO restores (restored_at, restored_by, source) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

/// No lease of before counts: whoever holds one has not seen what was restored.
const END_LEASES: &str =
    "UPDATE jobs SET lease_owner = NULL, lease_until = NULL WHERE lease_owner IS NOT NULL";

const FIND: &str = "SELECT restored_at, restored_by, source FROM restores WHERE released_at IS NULL \
     ORDER BY restored_at DESC LIMIT 1";

const LAST: &str = "SELECT restored_at FROM restores ORDER BY restored_at DESC LIMIT 1";

const RELEASE: &str = "UPDATE restores SET released_at = $1, released_by = $2, reason = $3 \
     WHERE released_at IS NULL";

impl Store {
    /// The restore after which nothing is sent yet.
    pub async fn find_restore(&self) -> Result<Option<Restore>, StoreError> {
        let found: Option<(At, String, String)> =
            on!(&self.db, |db, _pick| sqlx::query_as(FIND).fetch_optional(db).await?);
        Ok(found.map(|(at, by, source)| Restore { at: at.0, by, source }))
    }

    /// When the database was last restored, whether or not that was released since.
    pub async fn find_last_restore(&self) -> Result<Option<Time>, StoreError> {
        let found: Option<(At,)> = on!(&self.db, |db, _pick| sqlx::query_as(LAST).fetch_optional(db).await?);
        Ok(found.map(|(at,)| at.0))
    }
}

/// Has nothing sent until it is released: for a database that was restored by other means.
pub async fn hold(options: &Options, restore: &Restore) -> Result<(), RestoreError> {
    let mut direct = Direct::connect(options).await?;
    match &mut direct.connection {
        Db::Sqlite(connection) => {
            let mut tx = connection.begin().await.map_err(StoreError::from)?;
            intake::doubt(&mut Db::Sqlite(&mut *tx), restore.at).await?;
            hold_in(&mut Db::Sqlite(&mut *tx), restore).await?;
            tx.commit().await.map_err(StoreError::from)?;
        }
        Db::Postgres(connection) => {
            let mut tx = connection.begin().await.map_err(StoreError::from)?;
            intake::doubt(&mut Db::Postgres(&mut *tx), restore.at).await?;
            hold_in(&mut Db::Postgres(&mut *tx), restore).await?;
            tx.commit().await.map_err(StoreError::from)?;
        }
    }
    Ok(())
}

/// A connection within a transaction.
type Line<'a> = Db<&'a mut SqliteConnection, &'a mut PgConnection>;

async fn hold_in(line: &mut Line<'_>, restore: &Restore) -> Result<(), StoreError> {
    let Restore { at, by, source } = restore;
    on!(line, |line, _pick| {
        sqlx::query(HOLD).bind(At(*at)).bind(by).bind(source).execute(&mut **line).await?;
        sqlx::query(END_LEASES).execute(&mut **line).await?.rows_affected()
    });
    Ok(())
}

/// Lets everything be sent again; false where nothing was held.
pub async fn release(options: &Options, at: Time, by: &str, reason: &str) -> Result<bool, RestoreError> {
    let mut direct = Direct::connect(options).await?;
    let released = on!(&mut direct.connection, |db, _pick| {
        let released = sqlx::query(RELEASE).bind(At(at)).bind(by).bind(reason).execute(db).await;
        released.map_err(StoreError::from)?.rows_affected()
    });
    Ok(released > 0)
}

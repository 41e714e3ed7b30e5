//! The SQLite file, put in the place of another. What was there is kept, and wherever it is cut short the next start
//! carries it to its end.

use super::{
    Restore, RestoreError, hold_in, identity,
    intake::{self, Former},
};
use crate::{
    failpoint::Failpoints,
    store::{Db, StoreError, Tx, direct, open, schema},
};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// What a restore has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub payments: i64,
    /// Where the database of before is, if there was one.
    pub aside: Option<PathBuf>,
    /// Why what waited in the intake there could not be read, if it could not.
    pub unread: Option<String>,
}

/// What lies beside a database of SQLite's and belongs to it.
const LOGS: [&str; 2] = ["-wal", "-shm"];

/// Checks a backup and puts a copy of it in the place of the database, in which nothing is sent until it is released.
pub async fn restore(database: &Path, backup: &Path, restore: &Restore) -> Result<Restored, RestoreError> {
    let _server = open::take(database)?;
    let beside = direct::beside(database)?;
    beside.try_lock().map_err(|_| RestoreError::InUse)?;
    finish(database).map_err(at(database))?;
    check_source(database, backup)?;
    let copy = with(database, ".checking");
    remove(&copy).map_err(at(&copy))?;
    fs::copy(backup, &copy).map_err(at(backup))?;
    let (former, unread) = match intake::read(database).await {
        Ok(former) => (Some(former), None),
        Err(_) if !database.exists() => (None, None),
        Err(error) => (None, Some(error.to_string())),
    };
    let checked = prepare(&copy, backup, restore, former.as_ref()).await;
    let payments = match checked {
        Ok(payments) => payments,
        Err(error) => {
            let _ = remove(&copy);
            return Err(error);
        }
    };
    File::open(&copy).and_then(|file| file.sync_all()).map_err(at(&copy))?;
    let stamp = restore.at.format("%Y%m%dT%H%M%SZ");
    // From here on it will be done, now or at the next start.
    fs::rename(&copy, with(database, &format!("{RESTORING}{stamp}"))).map_err(at(&copy))?;
    let aside = finish(database).map_err(at(database))?;
    Ok(Restored { payments, aside, unread })
}

fn check_source(database: &Path, backup: &Path) -> Result<(), RestoreError> {
    let own = fs::canonicalize(backup).map_err(at(backup))?;
    if fs::canonicalize(database).is_ok_and(|database| database == own) {
        return Err(RestoreError::Itself(backup.to_owned()));
    }
    if fs::metadata(with(backup, "-wal")).is_ok_and(|log| log.len() > 0) {
        return Err(RestoreError::NotABackup(backup.to_owned()));
    }
    Ok(())
}

/// Looks whether the copy is whole and ours, and marks it as restored.
async fn prepare(
    copy: &Path,
    backup: &Path,
    restore: &Restore,
    former: Option<&Former>,
) -> Result<i64, RestoreError> {
    let damaged = |error: sqlx::Error| RestoreError::Damaged {
        path: backup.to_owned(),
        reason: error
            .as_database_error()
            .map_or_else(|| error.to_string(), |error| error.message().to_owned()),
    };
    let connect = SqliteConnectOptions::new()
        .filename(copy)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Delete)
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(connect).await.map_err(damaged)?;
    let checked = check(&pool, backup, damaged).await;
    let marked = match checked {
        Ok(()) => mark(&pool, restore, former).await,
        Err(error) => Err(error),
    };
    pool.close().await;
    marked
}

async fn check(
    pool: &SqlitePool,
    backup: &Path,
    damaged: impl Fn(sqlx::Error) -> RestoreError + Copy,
) -> Result<(), RestoreError> {
    const OURS: &str = "SELECT count(*) FROM sqlite_master WHERE type = 'table' \
         AND name IN ('payments', 'jobs', 'history', '_sqlx_migrations')";
    let whole: String =
        sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(pool).await.map_err(damaged)?;
    if whole != "ok" {
        return Err(RestoreError::Damaged { path: backup.to_owned(), reason: whole });
    }
    let ours: i64 = sqlx::query_scalar(OURS).fetch_one(pool).await.map_err(damaged)?;
    if ours != 4 {
        return Err(RestoreError::NotOurs { path: backup.to_owned() });
    }
    Ok(())
}

/// Says how many payments there are.
async fn mark(pool: &SqlitePool, restore: &Restore, former: Option<&Former>) -> Result<i64, RestoreError> {
    // It is a copy, and an older one must be able to say that it was restored.
    schema::prepare(&Db::Sqlite(pool.clone()), true, &Failpoints::default()).await?;
    let mut tx: Tx = Db::Sqlite(pool.begin().await.map_err(StoreError::from)?);
    match former {
        Some(former) => former.carry_over(&mut tx, restore.at).await?,
        None => intake::doubt(&mut tx.line(), restore.at).await?,
    }
    let identity = former.map_or(&identity::Before::None, |former| &former.identity);
    identity.pass_on(&mut tx).await?;
    hold_in(&mut tx.line(), restore).await?;
    tx.commit().await?;
    let payments = sqlx::query_scalar("SELECT count(*) FROM payments").fetch_one(pool).await;
    Ok(payments.map_err(StoreError::from)?)
}

/// What a checked copy is called that is to take the database's place; a moment follows.
const RESTORING: &str = ".restoring-";

/// Carries a restore to its end that has a checked copy. The logs go before the copy comes: one that is replayed over
/// another database destroys it. Says where the database of before is.
fn finish(database: &Path) -> io::Result<Option<PathBuf>> {
    let Some((copy, stamp)) = find_copy(database)? else { return Ok(None) };
    let aside = with(database, &format!(".before-{stamp}"));
    let had_one = database.exists();
    if had_one && !aside.exists() && fs::hard_link(database, &aside).is_err() {
        // Not every file system has links.
        fs::copy(database, &aside)?;
        File::open(&aside)?.sync_all()?;
    }
    for log in LOGS {
        let from = with(database, log);
        if from.exists() {
            fs::rename(&from, with(&aside, log))?;
        }
    }
    sync_folder(database)?;
    fs::rename(&copy, database)?;
    sync_folder(database)?;
    Ok(had_one.then_some(aside))
}

/// The same for a start, which finds nothing to carry on in nearly all cases.
pub fn carry_on(database: &Path) -> io::Result<()> {
    if find_copy(database)?.is_none() {
        return Ok(());
    }
    let beside = direct::beside(database).map_err(io::Error::other)?;
    beside.try_lock().map_err(|_| io::Error::other(RestoreError::InUse))?;
    finish(database).map(drop)
}

/// Whether a restore was cut short, so that the files beside the database may be those of another.
pub fn is_cut_short(database: &Path) -> bool {
    find_copy(database).is_ok_and(|copy| copy.is_some())
}

fn find_copy(database: &Path) -> io::Result<Option<(PathBuf, String)>> {
    let (folder, Some(name)) = (folder(database), database.file_name().and_then(|name| name.to_str())) else {
        return Ok(None);
    };
    let prefix = format!("{name}{RESTORING}");
    let mut copies: Vec<_> = fs::read_dir(folder)?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let stamp = path.file_name()?.to_str()?.strip_prefix(&prefix)?.to_owned();
            Some((path, stamp))
        })
        .collect();
    copies.sort();
    Ok(copies.pop())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

pub(in crate::store) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

pub(in crate::store) fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Removes what an earlier try has left, with what belongs to it.
fn remove(copy: &Path) -> io::Result<()> {
    for path in [copy.to_owned(), with(copy, "-wal"), with(copy, "-shm"), with(copy, "-journal")] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let path = path.to_owned();
    move |source| RestoreError::File { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps of [`finish`], after each of which the power may fail.
    #[test]
    fn a_restore_that_was_cut_short_anywhere_is_carried_to_its_end() {
        for cut in 0..4 {
            let folder = tempfile::tempdir().unwrap();
            let database = folder.path().join("dunlin.db");
            let (copy, aside) = (with(&database, ".restoring-1"), with(&database, ".before-1"));
            for (path, content) in [(&database, "old"), (&with(&database, "-wal"), "log"), (&copy, "new")] {
                fs::write(path, content).unwrap();
            }
            if cut > 0 {
                fs::hard_link(&database, &aside).unwrap();
            }
            if cut > 1 {
                fs::rename(with(&database, "-wal"), with(&aside, "-wal")).unwrap();
            }
            if cut > 2 {
                fs::rename(&copy, &database).unwrap();
            }

            finish(&database).unwrap();
            let again = finish(&database).unwrap();

            let read = |path: &Path| fs::read_to_string(path).unwrap();
            assert_eq!((read(&database).as_str(), read(&aside).as_str()), ("new", "old"), "{cut}");
            assert_eq!(read(&with(&aside, "-wal")), "log", "{cut}");
            assert!(!with(&database, "-wal").exists() && !copy.exists(), "{cut}");
            assert_eq!(again, None, "{cut}");
        }
    }

    #[test]
    fn what_lies_beside_another_database_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("dunlin.db");
        for name in ["dunlin.db", "dunlin.db-wal", "other.db.restoring-1", "dunlin.db.before-1"] {
            fs::write(folder.path().join(name), name).unwrap();
        }

        assert_eq!(finish(&database).unwrap(), None);

        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
        assert_eq!(fs::read_to_string(&database).unwrap(), "dunlin.db");
    }
}

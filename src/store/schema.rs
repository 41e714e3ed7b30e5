//! The schema: brought up to date, or held to what this version needs.

use super::{Db, Pools, open::OpenError};
use crate::failpoint::{Failpoints, Point};
use sqlx::migrate::{MigrateError, Migrator};
use std::time::{Duration, Instant};

static SQLITE: Migrator = sqlx::migrate!("src/store/migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("src/store/migrations/postgres");

/// Brings the schema up to date, or checks that it is.
pub(super) async fn prepare(pools: &Pools, migrate: bool, failpoints: &Failpoints) -> Result<(), OpenError> {
    let last = known(pools).iter().map(|migration| migration.version).max().unwrap_or(0);
    match applied(pools).await {
        Some(version) if version > last => return survive(pools, last).await,
        Some(version) if version == last => return Ok(()),
        Some(_) | None if !migrate => return Err(OpenError::NotMigrated),
        Some(_) | None => {}
    }
    failpoints.at(Point::Migrating).await;
    let done = run(pools).await;
    failpoints.at(Point::Migrated).await;
    match done {
        // Another process, of a newer version, was faster.
        Err(MigrateError::VersionMissing(_)) => survive(pools, last).await,
        done => done.map_err(OpenError::Migrate),
    }
}

/// How long a start waits for another process that migrates.
const OTHERS_MIGRATE_WITHIN: Duration = Duration::from_mins(2);

async fn run(pools: &Pools) -> Result<(), MigrateError> {
    let begun = Instant::now();
    loop {
        let done = match pools {
            Db::Sqlite(pool) => SQLITE.run(pool).await,
            Db::Postgres(pool) => POSTGRES.run(pool).await,
        };
        let waits = done.as_ref().is_err_and(another_migrates);
        if !waits || begun.elapsed() > OTHERS_MIGRATE_WITHIN {
            return done;
        }
    }
}

/// Whether the lock that lets one process migrate at a time was not given within its time-out. What a migration itself
/// could not lock is another error, after which nothing is tried again.
fn another_migrates(error: &MigrateError) -> bool {
    let MigrateError::Execute(error) = error else { return false };
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "55P03")
}

/// How the name of a migration begins that takes away what the version before it needs. All others only add, so that
/// an older version goes on beside the newer one, and may be started again (S5.10).
const TAKES_AWAY: &str = "contract ";

/// Whether this version can work over a schema that is newer than it knows.
async fn survive(pools: &Pools, last: i64) -> Result<(), OpenError> {
    const TEXT: &str =
        "SELECT version, description FROM _sqlx_migrations WHERE success AND version > $1 ORDER BY version";
    let newer: Result<Vec<(i64, String)>, sqlx::Error> = match pools {
        Db::Sqlite(pool) => sqlx::query_as(TEXT).bind(last).fetch_all(pool).await,
        Db::Postgres(pool) => sqlx::query_as(TEXT).bind(last).fetch_all(pool).await,
    };
    let newer = newer.map_err(|error| OpenError::Migrate(error.into()))?;
    if let Some((version, name)) = newer.iter().find(|(_, name)| name.starts_with(TAKES_AWAY)) {
        return Err(OpenError::Newer { version: *version, name: name.clone() });
    }
    let versions: Vec<_> = newer.iter().map(|(version, _)| version.to_string()).collect();
    tracing::info!("the database has newer migrations, which this version survives: {}", versions.join(", "));
    Ok(())
}

/// The migrations that this version knows.
pub(super) fn known(pools: &Pools) -> &'static Migrator {
    match pools {
        Db::Sqlite(_) => &SQLITE,
        Db::Postgres(_) => &POSTGRES,
    }
}

/// The last migration that the database has, if it has any.
async fn applied(pools: &Pools) -> Option<i64> {
    const TEXT: &str = "SELECT max(version) FROM _sqlx_migrations WHERE success";
    let version: Result<Option<i64>, sqlx::Error> = match pools {
        Db::Sqlite(pool) => sqlx::query_scalar(TEXT).fetch_one(pool).await,
        Db::Postgres(pool) => sqlx::query_scalar(TEXT).fetch_one(pool).await,
    };
    version.ok().flatten()
}

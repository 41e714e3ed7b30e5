//! The schema: brought up to date, or held to what this version needs.

use super::{
    Db, Pools,
    direct::Direct,
    open::{OpenError, Options},
};
use crate::failpoint::{Failpoints, Point};
use sqlx::migrate::{MigrateError, Migrator};
use std::time::{Duration, Instant};

static SQLITE: Migrator = sqlx::migrate!("src/store/migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("src/store/migrations/postgres");

/// What is wrong with the migrations of a database, with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaFault {
    /// It is of an earlier version, or empty.
    #[error("the database lacks migration {0}: run `dunlin migrate` with this version")]
    Outdated(i64),
    #[error(
        "the database lacks migration {lacks} although it has {has}: it was put together by hand, or by a build that \
         was never released; restore a backup that is whole"
    )]
    Gap { lacks: i64, has: i64 },
    #[error(
        "migration {0} of the database is not the one of this version: one of the two was changed after its release; \
         run the version that made it, or restore a backup"
    )]
    Changed(i64),
    #[error(
        "the database has migration {0}, which this version does not have among its own: it was made by a build that \
         was never released; run that one, or restore a backup"
    )]
    Unknown(i64),
    #[error("migration {0} was begun and did not come to its end: restore a backup")]
    Broken(i64),
    #[error(
        "the database has migration {version} ({name}), which took away what this version of dunlin needs: run the \
         newer version, or restore an older backup"
    )]
    Newer { version: i64, name: String },
}

/// A migration that a database has.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Applied {
    version: i64,
    description: String,
    success: bool,
    checksum: Vec<u8>,
}

pub(super) const APPLIED: &str =
    "SELECT version, description, success, checksum FROM _sqlx_migrations ORDER BY version";

/// Brings the schema up to date, or checks that it is.
pub(super) async fn prepare(pools: &Pools, migrate: bool, failpoints: &Failpoints) -> Result<(), OpenError> {
    match judge(known(pools), &applied(pools).await?) {
        Err(SchemaFault::Outdated(_)) if !migrate => return Err(OpenError::NotMigrated),
        Err(SchemaFault::Outdated(_)) => {}
        judged => return Ok(judged?),
    }
    failpoints.at(Point::Migrating).await;
    let done = run(pools).await;
    failpoints.at(Point::Migrated).await;
    match done {
        // Another process, of a newer version, was faster.
        Err(MigrateError::VersionMissing(_)) => Ok(judge(known(pools), &applied(pools).await?)?),
        done => done.map_err(OpenError::Migrate),
    }
}

/// Whether this version can work over these migrations: it has all that we know, each as we know it, and what it has
/// beyond takes nothing away.
pub(super) fn judge(known: &Migrator, applied: &[Applied]) -> Result<(), SchemaFault> {
    let ours = || known.iter().filter(|migration| !migration.migration_type.is_down_migration());
    let last = ours().map(|migration| migration.version).max().unwrap_or(0);
    if let Some(broken) = applied.iter().find(|migration| !migration.success) {
        return Err(SchemaFault::Broken(broken.version));
    }
    for migration in applied {
        match ours().find(|own| own.version == migration.version) {
            Some(own) if *own.checksum != *migration.checksum => {
                return Err(SchemaFault::Changed(migration.version));
            }
            None if migration.version < last => return Err(SchemaFault::Unknown(migration.version)),
            Some(_) | None => {}
        }
    }
    let has = applied.last().map_or(0, |migration| migration.version);
    let lacks = ours().map(|own| own.version).find(|own| applied.iter().all(|it| it.version != *own));
    match lacks {
        Some(lacks) if lacks < has => return Err(SchemaFault::Gap { lacks, has }),
        Some(lacks) => return Err(SchemaFault::Outdated(lacks)),
        None => {}
    }
    survive(applied.iter().filter(|migration| migration.version > last))
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
fn survive<'a>(newer: impl Iterator<Item = &'a Applied>) -> Result<(), SchemaFault> {
    let takes_away = |migration: &&Applied| migration.description.starts_with(TAKES_AWAY);
    match { newer }.find(takes_away) {
        Some(Applied { version, description, .. }) => {
            Err(SchemaFault::Newer { version: *version, name: description.clone() })
        }
        None => Ok(()),
    }
}

/// The migrations that this version knows.
pub(super) fn known(pools: &Pools) -> &'static Migrator {
    match pools {
        Db::Sqlite(_) => &SQLITE,
        Db::Postgres(_) => &POSTGRES,
    }
}

/// The migrations that the database has; none where it has no table of them.
async fn applied(pools: &Pools) -> Result<Vec<Applied>, OpenError> {
    let applied = match pools {
        Db::Sqlite(pool) => sqlx::query_as(APPLIED).fetch_all(pool).await,
        Db::Postgres(pool) => sqlx::query_as(APPLIED).fetch_all(pool).await,
    };
    match applied {
        Err(error) if error.as_database_error().is_some() => Ok(Vec::new()),
        applied => applied.map_err(|error| OpenError::Migrate(error.into())),
    }
}

/// What is wrong with the schema of a database that is there, without touching it.
pub async fn inspect(options: &Options) -> Result<(), OpenError> {
    let mut direct = Direct::connect(options).await?;
    let applied = match &mut direct.connection {
        Db::Sqlite(connection) => sqlx::query_as(APPLIED).fetch_all(connection).await,
        Db::Postgres(connection) => sqlx::query_as(APPLIED).fetch_all(connection).await,
    };
    let known = if matches!(direct.connection, Db::Sqlite(_)) { &SQLITE } else { &POSTGRES };
    Ok(judge(known, &applied.unwrap_or_default())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied() -> Vec<Applied> {
        let ours = SQLITE.iter().map(|migration| Applied {
            version: migration.version,
            description: migration.description.to_string(),
            success: true,
            checksum: migration.checksum.to_vec(),
        });
        ours.collect()
    }

    #[test]
    fn a_schema_is_held_to_every_migration_and_not_to_its_last() {
        let all = applied();
        let last = all.last().unwrap().version;
        let beyond = |description: &str| Applied {
            version: last + 1,
            description: description.to_owned(),
            ..all[0].clone()
        };
        let with = |change: &dyn Fn(&mut Vec<Applied>)| {
            let mut changed = all.clone();
            change(&mut changed);
            judge(&SQLITE, &changed)
        };

        assert_eq!(judge(&SQLITE, &all), Ok(()));
        assert_eq!(judge(&SQLITE, &[]), Err(SchemaFault::Outdated(1)));
        assert_eq!(with(&|all| all.truncate(4)), Err(SchemaFault::Outdated(5)));
        assert_eq!(with(&|all| _ = all.remove(4)), Err(SchemaFault::Gap { lacks: 5, has: last }));
        assert_eq!(with(&|all| all[4].checksum[0] ^= 1), Err(SchemaFault::Changed(5)));
        assert_eq!(with(&|all| all[4].success = false), Err(SchemaFault::Broken(5)));
        assert_eq!(
            with(&|all| all.insert(0, Applied { version: 0, ..all[0].clone() })),
            Err(SchemaFault::Unknown(0))
        );
        assert_eq!(with(&|all| all.push(beyond("add more"))), Ok(()));
        let taken = with(&|all| all.push(beyond("contract payments")));
        assert!(matches!(taken, Err(SchemaFault::Newer { .. })), "{taken:?}");
    }
}

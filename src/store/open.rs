//! Opening: connecting, and taking the SQLite file for oneself.

use super::{
    Db, Pools, Store, batch, committer, direct,
    recent::Recent,
    restores,
    schema::{SchemaFault, prepare},
};
use crate::{
    domain::{clock::Clock, payment::Plan},
    failpoint::Failpoints,
};
use sqlx::{
    ConnectOptions, Connection, PgPool, SqlitePool,
    migrate::MigrateError,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

/// How long SQLite waits for a lock that another connection holds.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub struct Options {
    /// `sqlite:PATH` or `postgres://..`.
    pub url: String,
    /// How many connections may be open, for reading on SQLite, for everything on PostgreSQL.
    pub connections: u32,
    /// How many are open at all times, so that nobody waits for one and no one else can take their place.
    pub kept: u32,
    /// How many committers run on PostgreSQL; SQLite has one writer.
    pub committers: usize,
    /// Whether to bring the schema up to date, or only to check that it is.
    pub migrate: bool,
}

/// Why the database cannot be used, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("store.url is {0:?}: it must begin with \"sqlite:\" or \"postgres://\"")]
    Scheme(String),
    #[error("{path} is in use by another dunlin process: stop that one, or give this one another store.url")]
    Locked { path: PathBuf },
    #[error(
        "a restore of {path} was cut short and cannot be carried to its end: look at the rights on its folder and at \
         the files beside it"
    )]
    Restoring { path: PathBuf, source: std::io::Error },
    #[error("a restore of {path} was cut short: the next start of a server carries it to its end")]
    CutShort { path: PathBuf },
    #[error("there is no database at {path}: check store.url and data_dir")]
    NoFile { path: PathBuf },
    #[error("the lock beside the database, {path}, cannot be taken")]
    Lock { path: PathBuf, source: std::io::Error },
    #[error(
        "the database at {target} cannot be opened: check store.url, the server, the name and the password"
    )]
    Connect { target: String, source: sqlx::Error },
    #[error(
        "the database at {target} does not give dunlin the {connections} connections of store.connections: raise \
         max_connections there, or the role's limit, or lower store.connections"
    )]
    Crowded { target: String, connections: u32, source: sqlx::Error },
    #[error(transparent)]
    Schema(#[from] SchemaFault),
    #[error("the database is not up to date: run `dunlin migrate` first")]
    NotMigrated,
    #[error("a migration failed")]
    Migrate(#[source] MigrateError),
}

impl Store {
    /// Opens the database and starts its committers.
    pub async fn open(
        options: &Options,
        clock: Clock,
        plan: Plan,
        failpoints: Failpoints,
    ) -> Result<Self, OpenError> {
        let (db, writer, lock, committers) = match options.url.split_once(':') {
            Some(("sqlite", path)) => {
                let path = Path::new(path.trim_start_matches("//"));
                let lock = take(path)?;
                // A restore that was cut short is carried to its end: the files of two databases must not mix.
                restores::file::carry_on(path)
                    .map_err(|source| OpenError::Restoring { path: path.to_owned(), source })?;
                let (db, writer) = open_sqlite(path, options, &failpoints).await?;
                (db, writer, Some(Arc::new(lock)), 1)
            }
            Some(("postgres" | "postgresql", _)) => {
                let pool = open_postgres(options, &failpoints).await?;
                (Db::Postgres(pool.clone()), Db::Postgres(pool), None, options.committers.max(1))
            }
            // The rest may hold a password.
            Some((scheme, _)) => return Err(OpenError::Scheme(format!("{scheme}:.."))),
            None => return Err(OpenError::Scheme("..".to_owned())),
        };
        let (handle, lines) = committer::lines(committers);
        let context = Arc::new(batch::Context {
            clock: clock.clone(),
            plan,
            failpoints: failpoints.clone(),
            alarms: AtomicU64::new(0),
        });
        let recent =
            if matches!(db, Db::Sqlite(_)) { Recent::of_only_writer() } else { Recent::of_one_of_many() };
        let store = Self {
            db,
            writer,
            committer: handle,
            committers: Arc::from([]),
            context,
            recent,
            clock,
            failpoints,
            unwritable: Arc::default(),
            holds: super::holds::Holds::default(),
            gate: Arc::default(),
            lock,
        };
        let committers =
            lines.into_iter().map(|line| tokio::spawn(committer::run(store.clone_for_committer(), line)));
        let committers = committers.map(|task| task.abort_handle()).collect();
        Ok(Self { committers, ..store })
    }

    /// A store whose handle leads nowhere, so that the committer ends when all others are gone.
    fn clone_for_committer(&self) -> Self {
        let (handle, _) = committer::lines(0);
        Self { committer: handle, ..self.clone() }
    }

    /// Stops as a crash of the process would: what is not committed is gone, and nobody is answered. For tests.
    pub async fn abandon(self) {
        for committer in self.committers.iter() {
            committer.abort();
        }
        self.close().await;
        if let Some(lock) = &self.lock {
            let _ = lock.unlock();
        }
    }

    /// Closes the connections; what is committed stays.
    pub async fn close(&self) {
        super::on!(&self.db, |db, _pick| db.close().await);
        super::on!(&self.writer, |db, _pick| db.close().await);
    }
}

/// One process holds the file; a second is told so at once.
pub(super) fn take(path: &Path) -> Result<File, OpenError> {
    let lock_path = PathBuf::from(format!("{}.lock", path.display()));
    let failed = |source| OpenError::Lock { path: lock_path.clone(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let file = File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

async fn open_sqlite(
    path: &Path,
    options: &Options,
    failpoints: &Failpoints,
) -> Result<(Pools, Pools), OpenError> {
    let failed = |source| OpenError::Connect { target: path.display().to_string(), source };
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT);
    // The writer keeps a busy hour's pages (16 MiB), and checkpoints every 16 MiB of log rather than every 4.
    let writing = connect.clone().pragma("cache_size", "-16384").pragma("wal_autocheckpoint", "4096");
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // Where the disk is full SQLite gives a transaction up by itself, of which its connection never hears: it
        // would refuse every later one.
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .connect_with(writing)
        .await
        .map_err(failed)?;
    let schema = Db::<SqlitePool, PgPool>::Sqlite(writer.clone());
    prepare(&schema, options.migrate, failpoints).await?;
    let reader = SqlitePoolOptions::new()
        .max_connections(options.connections.max(1))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(connect.read_only(true).create_if_missing(false))
        .await
        .map_err(failed)?;
    Ok((Db::Sqlite(reader), schema))
}

/// The committers, claims, and those who read.
const LEAST_CONNECTIONS: u32 = 4;

async fn open_postgres(options: &Options, failpoints: &Failpoints) -> Result<PgPool, OpenError> {
    let connect = PgConnectOptions::from_str(&options.url)
        .map_err(|source| OpenError::Connect { target: "store.url".to_owned(), source })?;
    let connect = direct::named(connect);
    let target = format!("{}:{}", connect.get_host(), connect.get_port());
    // Every statement here knows its index. Without statistics, and bulk statements have none, the planner
    // would read whole tables instead.
    let connect = connect.options([
        ("lock_timeout", "2s"),
        ("statement_timeout", "30s"),
        ("enable_seqscan", "off"),
        ("enable_bitmapscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("plan_cache_mode", "force_generic_plan"),
        // What has no index is made to look endlessly dear by the above; compiling it would take longer than running it.
        ("jit", "off"),
    ]);
    let connections = options.connections.max(LEAST_CONNECTIONS);
    let opened = PgPoolOptions::new()
        .max_connections(connections)
        .min_connections(options.kept.min(connections))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(connect.clone())
        .await;
    let pool = match opened {
        Ok(pool) => pool,
        Err(error) => {
            let source = reason(&connect, error).await;
            let is_crowded = source
                .as_database_error()
                .and_then(sqlx::error::DatabaseError::code)
                .is_some_and(|code| code == "53300");
            return Err(if is_crowded {
                OpenError::Crowded { target, connections, source }
            } else {
                OpenError::Connect { target, source }
            });
        }
    };
    prepare(&Db::Postgres(pool.clone()), options.migrate, failpoints).await?;
    Ok(pool)
}

/// Why no connection could be had: a pool tries again and again, and then says only that it took too long.
async fn reason(connect: &PgConnectOptions, error: sqlx::Error) -> sqlx::Error {
    if !matches!(error, sqlx::Error::PoolTimedOut) {
        return error;
    }
    match tokio::time::timeout(ACQUIRE_TIMEOUT, connect.connect()).await {
        Ok(Err(reason)) => reason,
        Ok(Ok(_)) | Err(_) => error,
    }
}

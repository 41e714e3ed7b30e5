//! Direct connections: for commands that look at a database, or write one row, beside the process that has it.

use super::{
    Db,
    open::{BUSY_TIMEOUT, OpenError, Options},
    restores::file::is_cut_short,
};
use sqlx::{
    ConnectOptions, PgConnection, SqliteConnection, postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};
use std::{
    fs::File,
    path::{Path, PathBuf},
    str::FromStr,
};

/// One connection, which neither makes a database nor brings its schema up to date.
#[derive(Debug)]
pub(super) struct Direct {
    pub(super) connection: Db<SqliteConnection, PgConnection>,
    /// Held while it is open: a file must not be exchanged under it.
    _beside: Option<File>,
}

impl Direct {
    pub(super) async fn connect(options: &Options) -> Result<Self, OpenError> {
        match options.url.split_once(':') {
            Some(("sqlite", _)) => {
                let path = file_of(options).unwrap_or_default();
                let failed = |source| OpenError::Connect { target: path.display().to_string(), source };
                if !path.is_file() {
                    return Err(OpenError::NoFile { path });
                }
                let beside = beside(&path)?;
                beside.lock_shared().map_err(|source| OpenError::Lock { path: path.clone(), source })?;
                if is_cut_short(&path) {
                    return Err(OpenError::CutShort { path });
                }
                let connect = SqliteConnectOptions::new().filename(&path).create_if_missing(false);
                let connection = connect.busy_timeout(BUSY_TIMEOUT).connect().await.map_err(failed)?;
                Ok(Self { connection: Db::Sqlite(connection), _beside: Some(beside) })
            }
            Some(("postgres" | "postgresql", _)) => {
                let connect = PgConnectOptions::from_str(&options.url)
                    .map_err(|source| OpenError::Connect { target: "store.url".to_owned(), source })?;
                let target = format!("{}:{}", connect.get_host(), connect.get_port());
                let connect = connect.application_name("dunlin, a command");
                let connection =
                    connect.connect().await.map_err(|source| OpenError::Connect { target, source })?;
                Ok(Self { connection: Db::Postgres(connection), _beside: None })
            }
            Some((scheme, _)) => Err(OpenError::Scheme(format!("{scheme}:.."))),
            None => Err(OpenError::Scheme("..".to_owned())),
        }
    }
}

/// The file of a SQLite database.
pub fn file_of(options: &Options) -> Option<PathBuf> {
    let (scheme, path) = options.url.split_once(':')?;
    (scheme == "sqlite").then(|| PathBuf::from(path.trim_start_matches("//")))
}

/// What those share who look into the file beside its server, and a restore has to itself.
pub(super) fn beside(path: &Path) -> Result<File, OpenError> {
    let lock = PathBuf::from(format!("{}.beside.lock", path.display()));
    let failed = |source| OpenError::Lock { path: lock.clone(), source };
    File::options().create(true).truncate(false).write(true).open(&lock).map_err(failed)
}

/// Servers bear our name, by which a restore sees that they run.
pub(super) fn named(connect: PgConnectOptions) -> PgConnectOptions {
    match connect.get_application_name() {
        Some(name) if name.starts_with("dunlin") => connect,
        Some(name) => {
            let name = format!("dunlin {name}");
            connect.application_name(&name)
        }
        None => connect.application_name("dunlin"),
    }
}

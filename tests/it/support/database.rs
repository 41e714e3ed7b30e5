//! Databases: a fresh one for each test, gone when the test is over.

use dunlin::{
    config::Config,
    domain::{clock::Clock, payment::Plan},
    failpoint::Failpoints,
    store::{Options, Store},
};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) url: String,
    folder: Option<TempDir>,
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self::infolder(tempfile::tempdir().unwrap())
    }

    pub(crate) fn sqlite_in(folder: &str) -> Self {
        Self::infolder(tempfile::tempdir_in(folder).unwrap())
    }

    fn infolder(folder: TempDir) -> Self {
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        Self { url, folder: Some(folder) }
    }

    /// Another one, in memory, as this one is now that nobody has it open; none on a server.
    pub(crate) fn copied(&self) -> Option<Self> {
        let from = self.folder.as_ref()?.path().join("test.db");
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        for suffix in ["", "-wal"] {
            let name = format!("test.db{suffix}");
            let file = from.with_file_name(&name);
            if file.exists() {
                std::fs::copy(file, folder.path().join(name)).unwrap();
            }
        }
        Some(Self::infolder(folder))
    }

    /// A database of its own on the server that `scripts/test` has started.
    pub(crate) async fn postgres() -> Self {
        let server = server();
        let name = format!("t_{}", hex::encode(rand::random::<[u8; 8]>()));
        let mut connection = PgConnection::connect(&server).await.expect("the test server answers");
        let create = format!("CREATE DATABASE {name}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
        let (base, _) = server.rsplit_once('/').expect("the URL names a database");
        Self { url: format!("{base}/{name}"), folder: None }
    }

    /// One that is there already.
    pub(crate) fn at(url: String) -> Self {
        Self { url, folder: None }
    }

    /// A fresh one of the same kind.
    pub(crate) async fn another(&self) -> Self {
        if self.is_sqlite() { Self::sqlite() } else { Self::postgres().await }
    }

    /// Commits are not forced to the disk: for tests that simulate crashes of the process only.
    pub(crate) fn without_fsync(self) -> Self {
        let url = format!("{}?options=-c%20synchronous_commit=off", self.url);
        Self { url, ..self }
    }

    pub(crate) async fn open_with_one_committer(&self, clock: Clock, failpoints: Failpoints) -> Store {
        let options = Options { committers: 1, ..self.options() };
        Store::open(&options, clock, plan(), failpoints).await.unwrap()
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite")
    }

    pub(crate) async fn open(&self, clock: Clock, failpoints: Failpoints) -> Store {
        Store::open(&self.options(), clock, plan(), failpoints).await.unwrap()
    }

    pub(crate) fn options(&self) -> Options {
        Options { url: self.url.clone(), connections: 6, kept: 0, committers: 2, migrate: true }
    }
}

/// Where PostgreSQL is; without it the suite fails rather than passing on half of what it should test.
pub(crate) fn server() -> String {
    #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
    std::env::var("DUNLIN_TEST_POSTGRES_URL")
        .expect("DUNLIN_TEST_POSTGRES_URL names a PostgreSQL server: run scripts/test, which starts one")
}

/// The shipped policy.
pub(crate) fn plan() -> Plan {
    let declines = Config::load(None).unwrap().declines.unwrap();
    let first_poll = chrono::TimeDelta::seconds(5);
    Plan { declines, first_poll, payable: chrono::TimeDelta::days(30) }
}

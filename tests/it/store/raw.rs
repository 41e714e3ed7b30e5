//! Raw SQL, past the store: to break what it keeps, and to look at the catalogs.

use crate::support::database::Database;
use sqlx::{Connection, FromRow, PgConnection, SqliteConnection, postgres::PgRow, sqlite::SqliteRow};

/// Runs a statement; says how many rows it touched.
pub(crate) async fn execute(database: &Database, sql: &str) -> Result<u64, sqlx::Error> {
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    if database.is_sqlite() {
        let mut connection = SqliteConnection::connect(&database.url).await?;
        Ok(sqlx::query(sql).execute(&mut connection).await?.rows_affected())
    } else {
        let mut connection = PgConnection::connect(&database.url).await?;
        Ok(sqlx::query(sql).execute(&mut connection).await?.rows_affected())
    }
}

pub(super) async fn rows<T>(database: &Database, sql: &str) -> Vec<T>
where
    T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    if database.is_sqlite() { sqlite_rows(database, sql).await } else { postgres_rows(database, sql).await }
}

pub(super) async fn sqlite_rows<T>(database: &Database, sql: &str) -> Vec<T>
where
    T: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    let mut connection = SqliteConnection::connect(&database.url).await.unwrap();
    sqlx::query_as(sqlx::AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.unwrap()
}

pub(super) async fn postgres_rows<T>(database: &Database, sql: &str) -> Vec<T>
where
    T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    sqlx::query_as(sqlx::AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.unwrap()
}

pub(super) async fn count(database: &Database, table: &str) -> i64 {
    let found: Vec<(i64,)> = rows(database, &format!("SELECT count(*) FROM {table}")).await;
    found[0].0
}

/// How many locks that keep everybody out somebody holds on a table of PostgreSQL.
pub(crate) async fn count_locks(database: &Database, table: &str) -> i64 {
    let sql = format!(
        "SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass AND granted \
         AND mode = 'AccessExclusiveLock'"
    );
    let found: Vec<(i64,)> = postgres_rows(database, &sql).await;
    found[0].0
}

//! Failover: a standby that lags takes over, and the last commits are gone. Where there is one process, a backup is
//! restored instead.

use crate::support::database::Database;
use dunlin::{domain::clock::Time, store::Owner};
use sqlx::{Connection, PgConnection, SqliteConnection};
use std::fmt::Write;

/// The rows of a tenant's payments as they were.
#[derive(Debug)]
pub(super) struct Standby {
    /// Each table of payments' rows, and its column that holds the payment's id.
    tables: Vec<(String, &'static str)>,
    tenant: String,
    taken_at: Option<Time>,
}

const TABLES_SQLITE: &str = "SELECT m.name FROM sqlite_master m, pragma_table_info(m.name) c \
    WHERE m.type = 'table' AND c.name = 'payment_id' AND m.name NOT LIKE 'standby_%' ORDER BY m.name";
const TABLES_POSTGRES: &str = "SELECT table_name::text FROM information_schema.columns \
    WHERE table_schema = 'public' AND column_name = 'payment_id' AND table_name NOT LIKE 'standby_%' \
    ORDER BY table_name";

impl Standby {
    pub(super) async fn of(database: &Database, owner: Owner) -> Self {
        let found: Vec<String> = if database.is_sqlite() {
            let mut connection = SqliteConnection::connect(&database.url).await.unwrap();
            sqlx::query_scalar(TABLES_SQLITE).fetch_all(&mut connection).await.unwrap()
        } else {
            let mut connection = PgConnection::connect(&database.url).await.unwrap();
            sqlx::query_scalar(TABLES_POSTGRES).fetch_all(&mut connection).await.unwrap()
        };
        assert!(found.len() > 5, "{found:?}");
        let of_payments = found.into_iter().map(|table| (table, "payment_id"));
        let tables = of_payments.chain([("payments".to_owned(), "id")]).collect();
        Self { tables, tenant: owner.tenant.to_string(), taken_at: None }
    }

    /// It has caught up.
    pub(super) async fn catch_up(&mut self, database: &Database, now: Time) {
        let mut sql = String::new();
        for (table, column) in &self.tables {
            let its = self.its(column);
            let _ = write!(
                sql,
                "CREATE TABLE IF NOT EXISTS standby_{table} AS SELECT * FROM {table} WHERE 1 = 0; \
                 DELETE FROM standby_{table}; \
                 INSERT INTO standby_{table} SELECT * FROM {table} WHERE {its}; "
            );
        }
        run(database, &sql).await;
        self.taken_at = Some(now);
    }

    /// It takes over: what was committed since then is gone.
    pub(super) async fn take_over(&mut self, database: &Database) -> Time {
        let mut sql = "BEGIN; ".to_owned();
        for (table, column) in &self.tables {
            let _ = write!(sql, "DELETE FROM {table} WHERE {}; ", self.its(column));
        }
        for (table, _) in &self.tables {
            let _ = write!(sql, "INSERT INTO {table} SELECT * FROM standby_{table}; ");
        }
        sql.push_str("COMMIT");
        run(database, &sql).await;
        self.taken_at.take().expect("it has caught up")
    }

    fn its(&self, column: &str) -> String {
        format!("{column} IN (SELECT id FROM payments WHERE tenant_id = '{}')", self.tenant)
    }
}

async fn run(database: &Database, sql: &str) {
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    if database.is_sqlite() {
        let mut connection = SqliteConnection::connect(&database.url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    } else {
        let mut connection = PgConnection::connect(&database.url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    }
}

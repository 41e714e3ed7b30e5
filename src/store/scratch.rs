//! Scratch rooms: schemas of their own in a PostgreSQL database, made for one test and dropped after it.

use super::OpenError;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use std::str::FromStr;

const MAKE: &str =
    "DO $$ BEGIN EXECUTE format('CREATE SCHEMA %I', current_setting('dunlin.scratch')); END $$";

const DROP: &str = "DO $$ DECLARE name text; BEGIN \
     FOR name IN SELECT nspname FROM pg_namespace \
         WHERE starts_with(nspname::text, current_setting('dunlin.scratch')) \
     LOOP EXECUTE format('DROP SCHEMA %I CASCADE', name); END LOOP; END $$";

/// Makes a schema and answers with the `store.url` that leads into it.
pub async fn make(server: &str, name: &str) -> Result<String, OpenError> {
    run(server, name, MAKE).await?;
    let more = if server.contains('?') { '&' } else { '?' };
    Ok(format!("{server}{more}options=-c%20search_path={name}"))
}

/// Drops every schema whose name begins so, with all that is in it.
pub async fn clear(server: &str, prefix: &str) -> Result<(), OpenError> {
    run(server, prefix, DROP).await
}

async fn run(server: &str, name: &str, text: &'static str) -> Result<(), OpenError> {
    let options = PgConnectOptions::from_str(server)
        .map_err(|source| OpenError::Connect { target: "the server".to_owned(), source })?;
    let target = format!("{}:{}", options.get_host(), options.get_port());
    let failed = |source| OpenError::Connect { target: target.clone(), source };
    let mut connection = PgConnection::connect_with(&options).await.map_err(failed)?;
    sqlx::query(
        "SELECT set_config('dunlin.scratch', $1, false), set_config('client_min_messages', 'warning', false)",
    )
    .bind(name)
    .execute(&mut connection)
    .await
    .map_err(failed)?;
    sqlx::raw_sql(text).execute(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)
}

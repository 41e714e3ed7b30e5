//! A dump of PostgreSQL's, put in the place of a schema: what goes before it and after it in the same transaction.

use super::{END_LEASES, Restore, RestoreError};
use crate::store::{Db, StoreError, direct::Direct, open::Options};

/// The schema that a database's URL leads to, if it is there, and how many servers are connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub schema: Option<String>,
    pub servers: i64,
}

/// The SQL around a dump's own. Without the end nothing takes effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Around {
    pub before: String,
    pub after: String,
    /// Where the schema of before is.
    pub aside: Option<String>,
}

/// Looks at the database into which a dump is to go; none on SQLite, which has none.
pub async fn look(options: &Options) -> Result<Option<Place>, RestoreError> {
    const TEXT: &str = "SELECT current_schema()::text, (SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'dunlin%')";
    let Direct { connection: Db::Postgres(mut connection), .. } = Direct::connect(options).await? else {
        return Ok(None);
    };
    let found: Result<(Option<String>, i64), _> = sqlx::query_as(TEXT).fetch_one(&mut connection).await;
    let (schema, servers) = found.map_err(StoreError::from)?;
    Ok(Some(Place { schema, servers }))
}

/// What is run before and after the dump of a schema. Afterwards nothing is sent until it is released.
pub fn around(schema: &str, place: &Place, stamp: &str, restore: &Restore) -> Around {
    let aside = place.schema.as_deref().map(|_| format!("{schema}_before_{stamp}"));
    let rename =
        aside.as_ref().map(|aside| format!("ALTER SCHEMA {} RENAME TO {};\n", name(schema), name(aside)));
    let Restore { at, by, source } = restore;
    let hold = format!(
        "INSERT INTO restores (restored_at, restored_by, source) VALUES ({}, {}, {});\n",
        text(&at.to_rfc3339()),
        text(by),
        text(source)
    );
    Around {
        before: format!("\\set ON_ERROR_STOP on\nBEGIN;\n{}", rename.unwrap_or_default()),
        after: format!("SET LOCAL search_path = {};\n{END_LEASES};\n{hold}COMMIT;\n", name(schema)),
        aside,
    }
}

fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A literal, with what a backslash would otherwise mean.
fn text(text: &str) -> String {
    format!("'{}'", text.replace(['\\', '\0'], "/").replace('\'', "''"))
}

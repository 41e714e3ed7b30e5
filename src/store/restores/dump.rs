//! A dump of PostgreSQL's, put in the place of a schema: what goes before it and after it in the same transaction.

use super::{END_LEASES, Restore, RestoreError, identity, intake};
use crate::{
    domain::letter::why_restored,
    store::{Db, StoreError, direct::Direct, open::Options},
};

/// The schema that a database's URL leads to, if it is there, and how many servers are connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub schema: Option<String>,
    pub servers: i64,
    /// Whether producers may have left something there.
    pub has_intake: bool,
    pub has_identity: bool,
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
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'dunlin%'), \
         EXISTS (SELECT FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'intake'), \
         EXISTS (SELECT FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'identity')";
    let Direct { connection: Db::Postgres(mut connection), .. } = Direct::connect(options).await? else {
        return Ok(None);
    };
    let found: Result<(Option<String>, i64, bool, bool), _> =
        sqlx::query_as(TEXT).fetch_one(&mut connection).await;
    let (schema, servers, has_intake, has_identity) = found.map_err(StoreError::from)?;
    Ok(Some(Place { schema, servers, has_intake, has_identity }))
}

/// What is run before and after the dump of a schema. Afterwards nothing is sent until it is released.
pub fn around(schema: &str, place: &Place, stamp: &str, restore: &Restore) -> Around {
    let aside = place.schema.as_deref().map(|_| format!("{schema}_before_{stamp}"));
    let rename =
        aside.as_ref().map(|aside| format!("ALTER SCHEMA {} RENAME TO {};\n", name(schema), name(aside)));
    let Restore { at, by, source } = restore;
    let (moment, former) = (text(&at.to_rfc3339()), aside.as_deref().filter(|_| place.has_intake).map(name));
    let intake = intake::carry_over(former.as_deref(), &moment, &text(&why_restored(*at)));
    let identity = identity::pass_on(former.as_deref(), place.has_identity);
    let hold = format!(
        "INSERT INTO restores (restored_at, restored_by, source) VALUES ({moment}, {}, {});\n",
        text(by),
        text(source)
    );
    Around {
        before: format!(
            "\\set ON_ERROR_STOP on\nBEGIN ISOLATION LEVEL READ COMMITTED;\n{}",
            rename.unwrap_or_default()
        ),
        after: format!(
            "SET LOCAL search_path = {};\n{END_LEASES};\n{intake}{identity}{hold}COMMIT;\n",
            name(schema)
        ),
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

//! Whose place it is after a restore: that of the database that is set aside, as its processes and its Redis go on. Where
//! there was none, it is nobody's yet: a copy in a second place must not pass for the first.

use crate::store::{StoreError, Tx, identity, text::on};
use sqlx::SqliteConnection;

/// What is known of the database that is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Before {
    /// There was none.
    None,
    /// It is older than identities.
    Older,
    Known(String),
}

pub(super) async fn read(connection: &mut SqliteConnection) -> Result<Before, sqlx::Error> {
    const IS_THERE: &str = "SELECT count(*) FROM sqlite_master WHERE name = 'identity'";
    let tables: i64 = sqlx::query_scalar(IS_THERE).fetch_one(&mut *connection).await?;
    if tables == 0 {
        return Ok(Before::Older);
    }
    let found: Option<String> = sqlx::query_scalar(identity::FIND).fetch_optional(connection).await?;
    Ok(found.map_or(Before::None, Before::Known))
}

impl Before {
    /// Gives a backup of SQLite's the identity that it is to have.
    pub(super) async fn pass_on(&self, tx: &mut Tx) -> Result<(), StoreError> {
        const KEEP: &str = "UPDATE identity SET id = $1";
        const ANEW: &str = "UPDATE identity SET id = lower(hex(randomblob(16)))";
        on!(tx, |tx, _pick| {
            match self {
                Self::Older => {}
                Self::None => _ = sqlx::query(ANEW).execute(&mut **tx).await?,
                Self::Known(id) => _ = sqlx::query(KEEP).bind(id).execute(&mut **tx).await?,
            }
        });
        Ok(())
    }
}

/// The same for a dump of PostgreSQL's, in the transaction in which it is put in the schema's place.
pub(super) fn pass_on(aside: Option<&str>, has_identity: bool) -> String {
    const MAKE: &str = "CREATE TABLE IF NOT EXISTS identity (id TEXT NOT NULL PRIMARY KEY);\n";
    let from = match aside {
        Some(aside) if has_identity => format!("SELECT id FROM {aside}.identity"),
        // It is older than identities.
        Some(_) => return MAKE.to_owned(),
        None => "SELECT replace(gen_random_uuid()::text, '-', '')".to_owned(),
    };
    format!("{MAKE}DELETE FROM identity;\nINSERT INTO identity (id) {from};\n")
}

//! SQL texts: the same statement for two databases, and the two macros that write it.

/// One statement in the words of each database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

/// Expands one body for both drivers. `$name` is bound to what the variant holds; `text` in the body is a
/// function that picks the words of the driver at hand.
macro_rules! on {
    ($db:expr, |$name:ident, $pick:ident| $body:expr) => {
        match $db {
            $crate::store::Db::Sqlite($name) => {
                let $pick = |text: $crate::store::text::Text| text.sqlite;
                $body
            }
            $crate::store::Db::Postgres($name) => {
                let $pick = |text: $crate::store::text::Text| text.postgres;
                $body
            }
        }
    };
}

/// The rows of a bulk statement, read from one bound JSON array: `$1`.
///
/// On SQLite each mention of `json_each`'s `value` writes the row's text anew, so it is taken once, by a
/// subquery that its LIMIT and the WHERE outside keep from being flattened.
macro_rules! rows {
    (sqlite $first:ident $first_type:ident $(, $column:ident $type:ident)*) => {
        concat!(
            "(SELECT v ->> '", stringify!($first), "' AS ", stringify!($first),
            $(", v ->> '", stringify!($column), "' AS ", stringify!($column),)*
            " FROM (SELECT value AS v FROM json_each($1) LIMIT -1) WHERE v IS NOT NULL) AS r"
        )
    };
    (postgres $first:ident $first_type:ident $(, $column:ident $type:ident)*) => {
        concat!(
            "json_to_recordset($1::json) AS r(", stringify!($first), " ", stringify!($first_type),
            $(", ", stringify!($column), " ", stringify!($type),)*
            ")"
        )
    };
}

/// `bulk!("UPDATE .. FROM " rows(id text, n bigint) " WHERE ..")`: a statement over many rows at once.
macro_rules! bulk {
    ($before:literal rows($($column:ident $type:ident),+) $after:literal) => {
        $crate::store::text::Text {
            sqlite: concat!($before, $crate::store::text::rows!(sqlite $($column $type),+), $after),
            postgres: concat!($before, $crate::store::text::rows!(postgres $($column $type),+), $after),
        }
    };
}

/// `insert!("table" (id text, n bigint) "ON CONFLICT ..")`: inserts many rows at once.
macro_rules! insert {
    ($table:literal ($first:ident $first_type:ident $(, $column:ident $type:ident)*) $after:literal) => {
        $crate::store::text::Text {
            sqlite: $crate::store::text::insert!(
                @text sqlite $table ($first $first_type $(, $column $type)*) $after
            ),
            postgres: $crate::store::text::insert!(
                @text postgres $table ($first $first_type $(, $column $type)*) $after
            ),
        }
    };
    (@text $driver:ident $table:literal ($first:ident $first_type:ident $(, $column:ident $type:ident)*)
        $after:literal) => {
        // SQLite needs the WHERE to tell an upsert's ON from a join's.
        concat!(
            "INSERT INTO ", $table, " (", stringify!($first), $(", ", stringify!($column),)* ") SELECT r.",
            stringify!($first), $(", r.", stringify!($column),)* " FROM ",
            $crate::store::text::rows!($driver $first $first_type $(, $column $type)*), " WHERE true ", $after
        )
    };
}

pub(super) use {bulk, insert, on, rows};

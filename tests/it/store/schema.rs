//! The schema: the same on both databases, column by column, index by index, check by check.

use super::*;
use sqlx::{Connection, PgConnection, migrate::Migrate};
use std::{collections::BTreeSet, fs, path::Path};

async fn databases() -> (Bench, Bench) {
    (Bench::new(Database::sqlite()).await, Bench::new(Database::postgres().await).await)
}

#[test]
fn migrations_have_the_same_names_on_both_sides() {
    let names = |side: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations").join(side);
        let entries =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        entries.collect::<BTreeSet<_>>()
    };

    assert_eq!(names("sqlite"), names("postgres"));
    assert!(!names("sqlite").is_empty());
}

#[tokio::test]
async fn who_finds_another_process_migrating_waits_for_it() {
    let database = Database::postgres().await;
    let mut other = PgConnection::connect(&database.url).await.unwrap();
    other.lock().await.unwrap();

    let mut start = Box::pin(database.open(Clock::system(), Failpoints::default()));
    // Longer than a statement waits for a lock.
    let early = tokio::time::timeout(Duration::from_secs(3), &mut start).await;
    assert!(early.is_err(), "it did not wait");
    other.unlock().await.unwrap();

    start.await.close().await;
}

/// Table, column, type, whether it must be filled.
type Column = (String, String, String, bool);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_have_the_same_columns_on_both_sides() {
    let (sqlite, postgres) = databases().await;
    let ours: Vec<Column> = raw::sqlite_rows(
        &sqlite.database,
        "SELECT m.name, c.name, lower(c.type), c.\"notnull\" OR c.pk > 0 FROM sqlite_master m \
         JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' \
         AND m.name <> '_sqlx_migrations'",
    )
    .await;
    let theirs: Vec<Column> = raw::postgres_rows(
        &postgres.database,
        "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'NO' \
         FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'",
    )
    .await;

    // SQLite has no type for moments: there they are texts of fixed width.
    let plain = |(table, column, kind, filled): Column| {
        let kind = if kind == "timestamp with time zone" { "text".to_owned() } else { kind };
        (table, column, kind, filled)
    };
    let moments: Vec<_> = theirs.iter().filter(|column| column.2.starts_with("timestamp")).collect();
    assert!(moments.iter().all(|(_, column, ..)| column.ends_with("at") || column.ends_with("until")));
    let ours: BTreeSet<_> = ours.into_iter().collect();
    assert_eq!(ours, theirs.into_iter().map(plain).collect());
    assert!(ours.len() > 80);
}

/// Table, name, columns, the words of the predicate.
type Index = (String, Option<String>, bool, String, BTreeSet<String>);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_have_the_same_indexes_on_both_sides() {
    let (sqlite, postgres) = databases().await;
    let ours: Vec<(String, String, bool, String, String)> = raw::sqlite_rows(
        &sqlite.database,
        "SELECT m.name, l.name, l.\"unique\", (SELECT group_concat(name, ',') FROM \
         (SELECT i.name AS name FROM pragma_index_info(l.name) i ORDER BY i.seqno)), \
         coalesce((SELECT sql FROM sqlite_master s WHERE s.type = 'index' AND s.name = l.name), '') \
         FROM sqlite_master m JOIN pragma_index_list(m.name) l WHERE m.type = 'table' AND m.name <> '_sqlx_migrations'",
    )
    .await;
    let theirs: Vec<(String, String, bool, String, String)> = raw::postgres_rows(
        &postgres.database,
        "SELECT t.relname::text, i.relname::text, x.indisunique, (SELECT string_agg(a.attname::text, ',' \
         ORDER BY k.place) FROM unnest(x.indkey::int2[]) WITH ORDINALITY k(number, place) JOIN pg_attribute a \
         ON a.attrelid = t.oid AND a.attnum = k.number), coalesce(pg_get_indexdef(x.indexrelid), '') \
         FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid \
         JOIN pg_namespace n ON n.oid = t.relnamespace WHERE n.nspname = 'public' AND t.relname <> '_sqlx_migrations'",
    )
    .await;

    // What a constraint makes has a name of the database's own choice.
    let index = |(table, name, unique, columns, sql): (String, String, bool, String, String)| {
        let name = Some(name).filter(|name| name.ends_with("_idx"));
        (table, name, unique, columns, predicate(&sql))
    };
    let ours: BTreeSet<Index> = ours.into_iter().map(index).collect();
    assert_eq!(ours, theirs.into_iter().map(index).collect());
    assert!(
        ours.iter()
            .any(|index| index.1.as_deref() == Some("attempts_open_idx") && index.4.contains("planned"))
    );
}

/// The words after WHERE, without those that each database adds for itself.
fn predicate(sql: &str) -> BTreeSet<String> {
    let (_, words) = sql.split_once("WHERE").unwrap_or_default();
    let words = words.split(|character: char| !character.is_alphanumeric() && character != '_');
    words
        .map(str::to_lowercase)
        .filter(|word| !matches!(word.as_str(), "" | "any" | "array" | "text" | "in"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_have_as_many_checks_on_both_sides() {
    let (sqlite, postgres) = databases().await;
    let ours: Vec<(String, String)> = raw::sqlite_rows(
        &sqlite.database,
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql LIKE '%CHECK (%' AND name <> '_sqlx_migrations'",
    )
    .await;
    let theirs: Vec<(String, i64)> = raw::postgres_rows(
        &postgres.database,
        "SELECT c.conrelid::regclass::text, count(*) FROM pg_constraint c JOIN pg_namespace n \
         ON n.oid = c.connamespace WHERE c.contype = 'c' AND n.nspname = 'public' GROUP BY 1",
    )
    .await;

    let ours: BTreeSet<_> = ours
        .into_iter()
        .map(|(table, sql)| (table, i64::try_from(sql.matches("CHECK (").count()).unwrap()))
        .collect();
    assert_eq!(ours, theirs.into_iter().collect());
    assert!(ours.contains(&("payments".to_owned(), 13)), "{ours:?}");
}

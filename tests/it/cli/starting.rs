//! Starting and stopping `dunlin serve`.

use super::run;
use crate::support::{
    both,
    database::Database,
    process::{Serve, captures, folder},
};
use serde_json::{Value, json};
use std::{net::TcpListener, process::Command};

#[test]
fn a_database_that_cannot_be_used_is_told_with_what_to_do() {
    let (_folder, path) = folder();
    let serve = |url: &str| run(&path, &["serve", "--listen", "127.0.0.1:0"], &[("DUNLIN_STORE__URL", url)]);

    let scheme = serve("mysql://me:hidden@host/name");
    scheme.assert_failed(&["store.url", "mysql", "postgres://"]);
    assert!(!scheme.err.contains("hidden"), "{}", scheme.err);
    serve("nothing").assert_failed(&["store.url", "sqlite:"]);
    let gone = serve("postgres://me:hidden@127.0.0.1:1/name");
    gone.assert_failed(&["127.0.0.1:1", "store.url"]);
    assert!(!gone.err.contains("hidden"), "{}", gone.err);
    let folder = format!("sqlite:{}", path.display());
    serve(&folder).assert_failed(&["store.url"]);
}

#[test]
fn a_schema_that_is_not_there_is_not_made_unasked() {
    let (_folder, path) = folder();
    let never = [("DUNLIN_STORE__MIGRATE_ON_START", "false")];

    run(&path, &["serve", "--listen", "127.0.0.1:0"], &never).assert_failed(&["dunlin migrate"]);

    let migrated = run(&path, &["migrate"], &never);
    assert_eq!((migrated.code, migrated.out.trim()), (Some(0), "the database is up to date"));
    let database = Database::sqlite();
    let url = format!("sqlite:{}", path.join("dunlin.db").display());
    drop(Serve::start(&database, &path, &[never[0], ("DUNLIN_STORE__URL", &url)]));
}

#[test]
fn one_process_has_a_file_and_one_has_a_port() {
    let database = Database::sqlite();
    let (_folder, path) = folder();
    let (_other, other) = folder();
    let serve = Serve::start(&database, &path, &[]);
    let address = serve.url.strip_prefix("http://").unwrap();

    let second = run(&other, &["serve", "--listen", "127.0.0.1:0"], &[("DUNLIN_STORE__URL", &database.url)]);
    let third = run(&other, &["serve", "--listen", address], &[]);

    second.assert_failed(&["in use by another dunlin process", "store.url"]);
    third.assert_failed(&[address, "port", "http.listen"]);
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    run(&other, &["serve", "--listen", &address], &[]).assert_failed(&[&address]);
    run(&other, &["serve", "--listen", "here"], &[]).assert_failed(&["http.listen"]);
}

both! { a_database_of_a_newer_version_is_left_alone }

async fn a_database_of_a_newer_version_is_left_alone(database: Database) {
    const INSERT: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'contract what is to come', TRUE, $1, 0)";
    const COUNT: &str = "SELECT count(*) FROM _sqlx_migrations";
    let (_folder, path) = folder();
    assert_eq!(run(&path, &["migrate"], &[("DUNLIN_STORE__URL", &database.url)]).code, Some(0));
    let count: i64 = if database.is_sqlite() {
        use sqlx::{Connection, SqliteConnection};
        let mut connection = SqliteConnection::connect(&database.url).await.unwrap();
        sqlx::query(INSERT).bind(vec![0_u8; 4]).execute(&mut connection).await.unwrap();
        let count = sqlx::query_scalar(COUNT).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        count
    } else {
        use sqlx::{Connection, PgConnection};
        let mut connection = PgConnection::connect(&database.url).await.unwrap();
        sqlx::query(INSERT).bind(vec![0_u8; 4]).execute(&mut connection).await.unwrap();
        sqlx::query_scalar(COUNT).fetch_one(&mut connection).await.unwrap()
    };
    assert!(count > 1);
    let before = database.is_sqlite().then(|| bytes(&database));

    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"]] {
        let ended = run(&path, arguments, &[("DUNLIN_STORE__URL", &database.url)]);
        ended.assert_failed(&["9999", "newer version"]);
    }

    assert_eq!(before, database.is_sqlite().then(|| bytes(&database)));
}

fn bytes(database: &Database) -> Vec<u8> {
    std::fs::read(database.url.strip_prefix("sqlite:").unwrap()).unwrap()
}

#[tokio::test]
async fn the_suggested_command_makes_a_charge() {
    let database = Database::sqlite();
    let (_folder, path) = folder();
    let serve = Serve::start(&database, &path, &[]);

    let output = Command::new("bash").args(["-c", &serve.curl]).output().unwrap();

    let payment: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(payment["status"], "succeeded", "{payment}");
    assert_eq!(captures(&serve.sandbox).await.len(), 1);
}

#[tokio::test]
async fn a_stop_finishes_what_runs() {
    let database = Database::sqlite();
    let (_folder, path) = folder();
    let serve = Serve::start(&database, &path, &[]);
    let caller = serve.client();
    let mut ids = Vec::new();
    for n in 0..20 {
        let body = json!({ "amount": 1250, "currency": "EUR",
            "method": { "type": "card", "payment_method": "pm_sandbox_slow_200" } });
        let made = caller.post("/v1/payments", Some(&n.to_string()), &body).await.body;
        ids.push(made["id"].as_str().unwrap().to_owned());
    }

    assert!(serve.terminate(), "it ends with 0");

    let serve = Serve::start(&database, &path, &[]);
    for id in &ids {
        serve.client().wait_for(id, "succeeded").await;
    }
    let captured = captures(&serve.sandbox).await;
    assert_eq!(captured.len(), ids.len());
    assert!(captured.into_values().all(|count| count == 1));
}

//! The examples by which producers of other languages leave envelopes, run as they stand.

use crate::{
    clients::installed,
    support::{
        database::Database,
        process::{Serve, captures, folder},
        redis::Redis,
    },
};
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use std::{
    collections::BTreeSet,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

fn example(name: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/enqueue").join(name);
    let is_python = path.extension().is_some_and(|extension| extension == "py");
    let mut command =
        if is_python { Command::new(installed().join("python/bin/python")) } else { Command::new("node") };
    command
        .env("NODE_PATH", installed().join("node/node_modules"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(path);
    command
}

/// Runs it; whether it ended well, and what it said.
fn run(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (output.status.success(), said.concat())
}

/// Waits until payments with just these references have succeeded, each charged once.
async fn wait_for(serve: &Serve, references: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(15);
    let paid = |payments: &[Value]| -> BTreeSet<String> {
        let paid = payments.iter().filter(|payment| payment["status"] == "succeeded");
        paid.map(|payment| payment["reference"].as_str().unwrap().to_owned()).collect()
    };
    let wanted = references.iter().map(|reference| (*reference).to_owned()).collect();
    loop {
        let page = serve.client().get("/v1/payments").await.body;
        if paid(page["data"].as_array().unwrap()) == wanted {
            break;
        }
        assert!(Instant::now() < deadline, "{page}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let charged = captures(&serve.sandbox).await;
    assert_eq!(charged.into_values().collect::<Vec<_>>(), vec![1; references.len()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_is_committed_with_the_producers_own_row_from_python_and_from_node() {
    let database = Database::postgres().await;
    let (_folder, path) = folder();
    let serve = Serve::start(&database, &path, &[]);
    let make = "CREATE TABLE invoices (number text PRIMARY KEY, amount bigint NOT NULL)";
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    sqlx::raw_sql(make).execute(&mut connection).await.unwrap();
    let invoice = |name: &str, number: &str, amount: &str| {
        run(example(name).args([number, amount]).env("DATABASE_URL", &database.url))
    };

    let written = [invoice("table.py", "p-1", "1250"), invoice("table.js", "n-1", "700")];
    let again = [invoice("table.py", "p-1", "9"), invoice("table.js", "n-1", "9")];

    for (is_done, said) in written {
        assert!(is_done && said.contains("is written, and its charge with it"), "{said}");
    }
    for (is_done, said) in again {
        assert!(!is_done && said.contains("duplicate key"), "{said}");
    }
    wait_for(&serve, &["p-1", "n-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_takes_charges_from_python_and_from_node() {
    let redis = Redis::start();
    let (_folder, path) = folder();
    let database = Database::sqlite();
    let serve = Serve::start(&database, &path, &[("DUNLIN_REDIS__URL", &redis.url())]);
    let leave = |name: &str, orders: &[&str]| run(example(name).args(orders).env("REDIS_URL", redis.url()));

    let python = leave("stream.py", &["a", "1250", "b", "700"]);
    let node = leave("stream.js", &["a", "1250", "c", "500"]);

    for (is_done, said) in [python, node] {
        assert!(is_done && said.contains("2 charges are left in dunlin:intake"), "{said}");
    }
    wait_for(&serve, &["a", "b", "c"]).await;
}

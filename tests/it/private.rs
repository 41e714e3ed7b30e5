//! Private servers: what they keep through which end, and that they leave nothing behind.

use crate::support::process::dunlin;
use dunlin::private::{Postgres, Redis, Shutdown};
use sqlx::{Connection, PgConnection};
use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

const FOLDERS: &str = "/var/tmp";

#[tokio::test]
async fn postgres_keeps_what_was_committed_through_a_failure_of_its_power() {
    let mut postgres = Postgres::start().await.unwrap();
    let mut connection = PgConnection::connect(&postgres.url()).await.unwrap();
    sqlx::raw_sql("CREATE TABLE kept AS SELECT 7 AS number").execute(&mut connection).await.unwrap();

    postgres.stop(Shutdown::Immediate).await.unwrap();
    postgres.start_again().await.unwrap();

    let mut connection = PgConnection::connect(&postgres.url()).await.unwrap();
    let number: i32 = sqlx::query_scalar("SELECT number FROM kept").fetch_one(&mut connection).await.unwrap();
    assert_eq!(number, 7);
}

#[tokio::test]
async fn two_servers_at_once_are_two_servers() {
    let (one, other) = (Redis::start().await.unwrap(), Redis::start().await.unwrap());

    assert_ne!(one.url(), other.url());
    assert!(one.flush_all().await.is_ok() && other.flush_all().await.is_ok());
}

#[tokio::test]
async fn redis_comes_back_where_it_was() {
    let mut redis = Redis::start().await.unwrap();
    let url = redis.url();

    redis.stop().await.unwrap();
    assert!(redis.flush_all().await.is_err());
    redis.start_again().await.unwrap();

    assert_eq!(redis.url(), url);
    redis.flush_all().await.unwrap();
}

#[tokio::test]
async fn servers_are_gone_with_their_values() {
    let (postgres, redis) = (Postgres::start().await.unwrap(), Redis::start().await.unwrap());
    let pids = [postgres.pid().unwrap(), redis.pid().unwrap()];
    // Tests that run beside this one may have servers too.
    let is_one_of = |name: &String| pids.contains(&pid_in(name));
    let folders: Vec<_> = folders_of(std::process::id()).into_iter().filter(is_one_of).collect();

    drop((postgres, redis));

    assert_eq!(folders.len(), 2);
    assert!(folders.iter().all(|name| !Path::new(FOLDERS).join(name).exists()));
    assert!(pids.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists()));
}

#[test]
fn a_command_that_is_killed_leaves_no_server_behind() {
    let mut run = dunlin()
        .args(["torture", "--store", "postgres", "--cells", "100000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(|| has_started(run.id()));

    run.kill().unwrap();
    run.wait().unwrap();

    wait_for(|| folders_of(run.id()).is_empty());
}

/// The folders that a process has made for its servers.
pub(crate) fn folders_of(process: u32) -> Vec<String> {
    let all = fs::read_dir(FOLDERS).unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_its = |name: &String| {
        ["postgres", "redis"].iter().any(|server| name.starts_with(&format!("dunlin-{server}-{process}-")))
    };
    all.filter(is_its).collect()
}

fn has_started(process: u32) -> bool {
    folders_of(process).iter().any(|name| pid_in(name) > 0)
}

/// The process that runs in a folder, or 0 where none was started yet.
fn pid_in(name: &str) -> u32 {
    let text = fs::read_to_string(Path::new(FOLDERS).join(name).join("pid")).unwrap_or_default();
    text.parse().unwrap_or(0)
}

fn wait_for(reached: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !reached() {
        assert!(Instant::now() < deadline, "it takes too long");
        std::thread::yield_now();
    }
}

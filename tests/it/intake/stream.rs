//! The stream: what producers leave in Redis is charged once, and what Redis loses is only what nobody had read.

use super::{envelope, json_of, with};
use crate::support::{
    both,
    database::Database,
    process::{Serve, captures, dunlin, folder},
    redis::Redis,
    world::World,
};
use ::redis::{Client, aio::MultiplexedConnection};
use dunlin_jobs::{Envelope, redis::Producer};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use tempfile::TempDir;

both! {
    what_is_left_in_the_stream_is_charged_once_and_removed
    what_cannot_be_taken_is_kept_and_removed
}

/// A Redis, a dunlin that reads it, and a producer.
struct Shop {
    redis: Redis,
    serve: Serve,
    producer: Producer<MultiplexedConnection>,
    database: Database,
    path: PathBuf,
    _folder: TempDir,
}

fn of_development(id: &str) -> Envelope {
    Envelope { tenant: "development".to_owned(), ..envelope(id) }
}

fn settings(redis: &Redis) -> Vec<(&'static str, String)> {
    vec![("DUNLIN_REDIS__URL", redis.url()), ("DUNLIN_INTAKE__REDELIVER_AFTER_S", "1".to_owned())]
}

fn serve(database: &Database, path: &std::path::Path, redis: &Redis, more: &[(&str, &str)]) -> Serve {
    let settings = settings(redis);
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Serve::start(database, path, &[&settings, more].concat())
}

/// A process takes in what waits, and is killed before it acknowledges it.
fn take_in_and_die(database: &Database, path: &std::path::Path, redis: &Redis) {
    // It only reads: a charge in its hands would wait for its lease.
    let hold = [
        ("DUNLIN_FAILPOINT__POINT", "http.accepted"),
        ("DUNLIN_FAILPOINT__DEED", "hold"),
        ("DUNLIN_WORKER__LANES__PAYMENTS", "0"),
    ];
    let mut reader = serve(database, path, redis, &hold);
    reader.wait_for_failpoint();
    reader.kill();
}

async fn producer(redis: &Redis) -> Producer<MultiplexedConnection> {
    let client = Client::open(redis.url()).unwrap();
    Producer::new(client.get_multiplexed_async_connection().await.unwrap())
}

impl Shop {
    async fn open(database: Database) -> Self {
        let redis = Redis::start();
        let (folder, path) = folder();
        let serve = serve(&database, &path, &redis, &[]);
        let producer = producer(&redis).await;
        Self { redis, serve, producer, database, path, _folder: folder }
    }

    async fn leave(&mut self, id: &str) {
        self.producer.enqueue(&of_development(id)).await.unwrap();
    }

    async fn payments(&self) -> Vec<Value> {
        let page = self.serve.client().get("/v1/payments?limit=200").await.body;
        page["data"].as_array().unwrap().clone()
    }

    /// Waits until so many payments have succeeded, and nothing is left in the stream.
    async fn wait_for(&self, count: usize) {
        let is_done = async || {
            let payments = self.payments().await;
            payments.len() == count && payments.iter().all(|payment| payment["status"] == "succeeded")
        };
        until(async || is_done().await && self.redis.say("XLEN dunlin:intake") == ":0").await;
        let charged = captures(&self.serve.sandbox).await;
        assert_eq!(charged.into_values().collect::<Vec<_>>(), vec![1; count]);
    }
}

/// Asks until it is so, at most for fifteen seconds.
async fn until(is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !is_so().await {
        assert!(Instant::now() < deadline, "it is not so");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn what_is_left_in_the_stream_is_charged_once_and_removed(database: Database) {
    let mut shop = Shop::open(database).await;
    let many: Vec<_> = (0..40).map(|n| of_development(&format!("order-{n}"))).collect();

    shop.leave("order-7").await;
    shop.producer.enqueue_all(&many).await.unwrap();
    shop.producer.enqueue_all(&[]).await.unwrap();
    shop.wait_for(40).await;
    shop.leave("order-7").await;

    shop.wait_for(40).await;
    assert_eq!(shop.redis.say("XPENDING dunlin:intake dunlin"), "*4");
    assert_eq!(shop.redis.say("XPENDING dunlin:intake dunlin - + 10"), "*0");
}

async fn what_cannot_be_taken_is_kept_and_removed(database: Database) {
    let mut shop = Shop::open(database).await;
    let zero = with("zero", &[("tenant", json!("development")), ("payment.amount", json!(0))]);
    let mut line = Client::open(shop.redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let entries: [&[&[u8]]; 5] = [
        &[b"envelope", zero.as_bytes()],
        &[b"envelope", b"no JSON"],
        &[b"envelope", b"a\xff\0"],
        &[b"letter", b"7"],
        &[b"envelope", b"{}", b"more", b"\xff"],
    ];

    for entry in entries {
        ::redis::cmd("XADD").arg("dunlin:intake").arg("*").arg(entry).exec_async(&mut line).await.unwrap();
    }
    shop.leave("good").await;
    shop.wait_for(1).await;
    let Shop { redis, serve, database, .. } = shop;
    assert!(serve.terminate());

    let world = World::new(database).await;
    let letters = world.letters().await;
    let told = |code: &str| {
        let mut found = letters.iter().filter(|letter| letter.code == code);
        found.next().unwrap_or_else(|| panic!("{code}: {letters:?}")).clone()
    };
    assert_eq!(letters.len(), 5);
    assert_eq!(
        (told("invalid_field").envelope, told("invalid_field").field.as_deref()),
        (zero, Some("payment.amount"))
    );
    assert!(letters.iter().any(|letter| letter.envelope == "61ff00" && letter.form.name() == "hex"));
    assert!(letters.iter().any(|letter| json_of(&letter.envelope) == json!([["letter", "7"]])));
    assert!(letters.iter().all(|letter| letter.source.name() == "stream" && letter.entry.is_some()));
    assert_eq!(redis.say("XLEN dunlin:intake"), ":0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lay_there_before_anybody_read_is_read() {
    let redis = Redis::start();
    producer(&redis).await.enqueue(&of_development("early")).await.unwrap();
    let (folder, path) = folder();
    let database = Database::sqlite();

    let serve = serve(&database, &path, &redis, &[]);
    let producer = producer(&redis).await;

    Shop { redis, serve, producer, database, path, _folder: folder }.wait_for(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_reader_has_taken_goes_to_another() {
    let redis = Redis::start();
    let mut producer = producer(&redis).await;
    for id in ["a", "b"] {
        producer.enqueue(&of_development(id)).await.unwrap();
    }
    redis.say("XGROUP CREATE dunlin:intake dunlin 0");
    redis.say("XREADGROUP GROUP dunlin reader COUNT 10 STREAMS dunlin:intake >");
    let (folder, path) = folder();
    let database = Database::sqlite();

    let serve = serve(&database, &path, &redis, &[]);

    Shop { redis, serve, producer, database, path, _folder: folder }.wait_for(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_killed_between_commit_and_acknowledgement_leaves_nothing_to_charge_twice() {
    let redis = Redis::start();
    let mut producer = producer(&redis).await;
    producer.enqueue(&of_development("a")).await.unwrap();
    let (folder, path) = folder();
    let database = Database::postgres().await;

    take_in_and_die(&database, &path, &redis);
    assert_eq!(redis.say("XLEN dunlin:intake"), ":1", "it is not acknowledged");
    let second = serve(&database, &path, &redis, &[]);

    Shop { redis, serve: second, producer, database, path, _folder: folder }.wait_for(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_dunlins_share_a_stream() {
    let mut shop = Shop::open(Database::postgres().await).await;
    let beside = settings(&shop.redis);
    let beside: Vec<_> = beside.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let other = shop.serve.start_beside(&shop.database, &shop.path, &beside);
    let many: Vec<_> = (0..100).map(|n| of_development(&format!("order-{n}"))).collect();

    for part in many.chunks(10) {
        shop.producer.enqueue_all(part).await.unwrap();
    }

    shop.wait_for(100).await;
    drop(other);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_redis_and_a_lost_group_are_got_over() {
    let mut shop = Shop::open(Database::sqlite()).await;
    shop.leave("a").await;
    shop.wait_for(1).await;

    assert_eq!(shop.redis.say("FLUSHALL"), "+OK");
    shop.leave("b").await;
    shop.wait_for(2).await;
    assert_eq!(shop.redis.say("XGROUP DESTROY dunlin:intake dunlin"), ":1");
    shop.leave("c").await;

    shop.wait_for(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_goes_away_and_comes_back_is_read_on() {
    let mut shop = Shop::open(Database::sqlite()).await;
    shop.leave("a").await;
    shop.wait_for(1).await;

    shop.redis.kill();
    shop.producer.enqueue(&of_development("b")).await.expect_err("nobody is there");
    shop.redis.start_again();
    shop.producer = producer(&shop.redis).await;
    shop.leave("b").await;

    shop.wait_for(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_told_not_to_read_leaves_the_mail() {
    let redis = Redis::start();
    let (folder, path) = folder();
    let database = Database::sqlite();
    let off = serve(&database, &path, &redis, &[("DUNLIN_INTAKE__ENABLED", "false")]);
    let mut producer = producer(&redis).await;
    producer.enqueue(&of_development("a")).await.unwrap();

    assert!(off.terminate());
    assert_eq!(redis.say("XLEN dunlin:intake"), ":1");

    let serve = serve(&database, &path, &redis, &[]);
    Shop { redis, serve, producer, database, path, _folder: folder }.wait_for(1).await;
}

// S2.15
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_in_before_a_restore_and_not_acknowledged_is_for_a_person() {
    let redis = Redis::start();
    let (folder, path) = folder();
    let database = Database::sqlite();
    let (data, url) = (path.clone(), database.url.clone());
    let run = |arguments: &[&str]| {
        let mut command = dunlin();
        command.args(arguments).current_dir(&data).env("DUNLIN_DATA_DIR", &data);
        let ended = command.env("DUNLIN_STORE__URL", &url).output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    };
    assert!(serve(&database, &path, &redis, &[]).terminate());
    run(&["backup", "backup"]);
    let mut producer = producer(&redis).await;
    producer.enqueue(&of_development("a")).await.unwrap();
    take_in_and_die(&database, &path, &redis);

    run(&["restore", "backup"]);
    producer.enqueue(&of_development("b")).await.unwrap();
    let serve = serve(&database, &path, &redis, &[]);
    let before =
        (serve.client().get("/v1/payments").await.body["data"].clone(), redis.say("XLEN dunlin:intake"));
    run(&["restore", "--release", "--reason", "compared"]);
    let shop = Shop { redis, serve, producer, database, path, _folder: folder };
    shop.wait_for(1).await;

    assert_eq!(before, (json!([]), ":2".to_owned()), "nothing is read before the release");
    let Shop { serve, database, .. } = shop;
    assert!(serve.terminate());
    let letters = World::new(database).await.letters().await;
    let [letter] = &letters[..] else { panic!("one letter: {letters:?}") };
    assert_eq!((letter.code.as_str(), &json_of(&letter.envelope)["id"]), ("restored", &json!("a")));
}

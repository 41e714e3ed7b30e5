//! Two dunlins that share a Redis under one prefix by mistake: what is left for one is not taken by the other.

use crate::support::{
    both,
    database::Database,
    process::{Caller, Serve, dunlin, folder},
    redis::Redis,
};
use ::redis::{Client, aio::MultiplexedConnection};
use dunlin::{domain::clock::Clock, failpoint::Failpoints};
use dunlin_jobs::{Envelope, Method, Money, NewPayment, Order, redis::Producer};
use serde_json::Value;
use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, Instant},
};

both! {
    what_is_left_for_one_environment_is_not_taken_by_another_on_the_same_redis
    a_place_keeps_its_identity_through_a_restore_and_a_second_one_gets_its_own
}

struct Environment {
    serve: Serve,
    caller: Caller,
    log: std::path::PathBuf,
    database: Database,
    _folder: tempfile::TempDir,
}

impl Environment {
    fn start(database: Database, redis: &Redis) -> Self {
        let (folder, path) = folder();
        let log = path.join("log");
        let settings = [("DUNLIN_REDIS__URL", &*redis.url()), ("DUNLIN_INTAKE__REDELIVER_AFTER_S", "1")];
        let serve = Serve::start_saying(&database, &path, &settings, File::create(&log).unwrap().into());
        let caller = serve.client();
        Self { serve, caller, log, database, _folder: folder }
    }

    async fn degraded(&self) -> Value {
        self.caller.get("/readyz").await.body["degraded"][0].clone()
    }

    async fn payments(&self) -> usize {
        self.caller.get("/v1/payments?limit=200").await.body["data"].as_array().unwrap().len()
    }
}

/// Leaves orders for the tenant that every development has.
struct Shop(Producer<MultiplexedConnection>);

impl Shop {
    async fn open(redis: &Redis) -> Self {
        let client = Client::open(redis.url()).unwrap();
        Self(Producer::new(client.get_multiplexed_async_connection().await.unwrap()))
    }

    async fn leave(&mut self, ids: std::ops::Range<usize>) {
        for id in ids {
            let payment = NewPayment {
                method: Some(Method::card("pm_card_visa")),
                ..NewPayment::of(Money::new(1250, "EUR".parse().unwrap()).unwrap())
            };
            let envelope = Envelope::new(format!("order-{id}"), "development", false, Order::Charge(payment));
            self.0.enqueue(&envelope).await.unwrap();
        }
    }
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so().await {
        assert!(Instant::now() < deadline, "not so: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

// S5.11
async fn what_is_left_for_one_environment_is_not_taken_by_another_on_the_same_redis(database: Database) {
    let redis = Redis::start();
    let production = Environment::start(database, &redis);
    until("production is up", async || production.degraded().await == Value::Null).await;
    let staging = Environment::start(Database::sqlite(), &redis);
    let is_foreign = async || staging.degraded().await["code"] == "redis_foreign";
    until("staging is told", is_foreign).await;
    let mut shop = Shop::open(&redis).await;

    shop.leave(0..30).await;
    until("production has taken them", async || production.payments().await == 30).await;
    redis.say("FLUSHALL");
    until("production is its owner again", async || redis.say("EXISTS dunlin:owner") == ":1").await;
    shop.leave(30..60).await;
    until("production has taken these too", async || production.payments().await == 60).await;
    let told = staging.degraded().await["detail"].as_str().unwrap().to_owned();
    assert!(is_foreign().await && production.degraded().await == Value::Null);
    assert_eq!(staging.payments().await, 0);
    assert!(production.serve.terminate());
    redis.say("DEL dunlin:owner");
    until("staging has what is nobody's", async || staging.degraded().await == Value::Null).await;
    shop.leave(60..61).await;
    until("staging takes what is left now", async || staging.payments().await == 1).await;

    assert!(staging.serve.terminate());
    let log = fs::read_to_string(&staging.log).unwrap();
    for said in [&told, &log] {
        assert!(said.contains("redis.prefix") && said.contains("delete the key dunlin:owner"), "{said}");
    }
    assert_eq!(log.matches("another database's").count(), 1, "{log}");
    for database in [&production.database, &staging.database] {
        let store = database.open(Clock::system(), Failpoints::default()).await;
        assert_eq!(store.list_letters(None, 10).await.unwrap(), []);
        store.close().await;
    }
}

async fn identity(database: &Database) -> String {
    let store = database.open(Clock::system(), Failpoints::default()).await;
    let identity = store.identity().await.unwrap();
    store.close().await;
    identity
}

fn run(database: &Database, folder: &Path, command: &str) {
    let mut dunlin = dunlin();
    dunlin.arg(command).arg(folder.join("backup")).current_dir(folder);
    let ended =
        dunlin.env("DUNLIN_DATA_DIR", folder).env("DUNLIN_STORE__URL", &database.url).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

async fn a_place_keeps_its_identity_through_a_restore_and_a_second_one_gets_its_own(database: Database) {
    let (_folder, path) = folder();
    let (second, empty) = (database.another().await, database.another().await);
    let [first, other] = [identity(&database).await, identity(&second).await];

    run(&database, &path, "backup");
    for place in [&database, &second, &empty] {
        run(place, &path, "restore");
    }

    assert_ne!(first, other);
    assert_eq!(identity(&database).await, first);
    assert_eq!(identity(&second).await, other, "a copy of production is not production");
    assert_ne!(identity(&empty).await, first);
}

//! Whether work should be sent to a process, and what it says when not.

use super::{Api, assert_problem, payment};
use crate::{
    store::raw,
    support::{
        both,
        database::{self, Database},
        process::{Answer, Caller, dunlin},
        world::World,
    },
};
use dunlin::{
    config::Config,
    http::{Server, Settings},
};
use serde_json::json;
use std::time::{Duration, Instant};

both! {
    a_schema_that_has_become_too_old_is_named_with_the_remedy
    a_schema_that_lacks_a_migration_in_the_middle_is_named_and_nothing_starts_over_it
}

impl Api {
    async fn ready(&self) -> Answer {
        self.caller.get("/readyz").await
    }

    /// Asks until it is answered so, at most for ten seconds.
    async fn ready_answers(&self, status: u16) -> Answer {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let answer = self.ready().await;
            if answer.status == status {
                return answer;
            }
            assert!(Instant::now() < deadline, "not {status}: {}", answer.body);
        }
    }
}

#[track_caller]
fn assert_unready(answer: &Answer, codes: &[&str], remedy: &str) {
    assert_problem(answer, 503, codes[0], None);
    let checks = answer.body["checks"].as_array().unwrap();
    let named: Vec<_> = checks.iter().map(|check| check["code"].as_str().unwrap()).collect();
    assert_eq!(named, codes, "{}", answer.body);
    assert!(answer.body["detail"].as_str().unwrap().contains(remedy), "{}", answer.body);
}

async fn a_schema_that_has_become_too_old_is_named_with_the_remedy(database: Database) {
    let api = Api::start(database, &[]);
    assert_eq!(api.ready().await.body, json!({ "status": "ready" }));

    raw::execute(&api.database, "DELETE FROM _sqlx_migrations WHERE version > 2").await.unwrap();
    let old = api.ready().await;
    raw::execute(&api.database, "DROP TABLE _sqlx_migrations").await.unwrap();
    let none = api.ready().await;

    assert_unready(&old, &["schema_outdated"], "lacks migration 3: run `dunlin migrate`");
    assert_unready(&none, &["schema_outdated"], "lacks migration 1");
    assert_eq!(api.caller.get("/livez").await.status, 200);
}

async fn a_schema_that_lacks_a_migration_in_the_middle_is_named_and_nothing_starts_over_it(
    database: Database,
) {
    let mut api = Api::start(database, &[]);
    let (url, path) = (api.database.url.clone(), api.path.clone());
    let command = |name: &str| {
        let mut command = dunlin();
        command.arg(name).env("DUNLIN_STORE__URL", &url).env("DUNLIN_DATA_DIR", &path);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(command("check-config").0, Some(0));

    raw::execute(&api.database, "DELETE FROM _sqlx_migrations WHERE version = 5").await.unwrap();
    let ready = api.ready().await;
    let checked = command("check-config");
    api.serve.kill();

    assert_unready(&ready, &["schema_unknown"], "lacks migration 5 although it has");
    for (code, said) in [checked, command("migrate"), command("serve")] {
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("lacks migration 5 although it has"), "{said}");
    }
}

#[tokio::test]
async fn a_newer_schema_is_no_reason_to_stop() {
    let api = Api::sqlite();
    let insert = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                  VALUES (9999, 'of the next version', TRUE, x'00', 0)";

    raw::execute(&api.database, insert).await.unwrap();

    assert_eq!(api.ready().await.status, 200, "the next version's processes come one by one");
}

#[tokio::test]
async fn a_database_that_is_away_is_named_until_it_is_back() {
    let api = Api::start(Database::postgres().await, &[]);
    let name = api.database.url.rsplit('/').next().unwrap().to_owned();
    let server = Database::at(database::server());
    let admit = async |admitted: bool| {
        let alter = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {admitted}");
        raw::execute(&server, &alter).await.unwrap();
    };
    assert_eq!(api.ready().await.status, 200);

    admit(false).await;
    let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    raw::execute(&server, &end).await.unwrap();
    let away = api.ready().await;
    admit(true).await;

    assert_unready(&away, &["database_unavailable"], "store.url");
    api.ready_answers(200).await;
}

#[tokio::test]
async fn a_process_that_stops_says_so_before_it_takes_no_more() {
    let api = Api::start(Database::sqlite(), &[("DUNLIN_HTTP__DRAIN_NOTICE_S", "2")]);

    api.serve.signal("TERM");
    let stopping = api.ready_answers(503).await;
    let taken = api.create("late", &payment("pm_card_visa")).await;

    assert_unready(&stopping, &["draining"], "another");
    assert_eq!(taken.status, 201, "{}", taken.body);
    assert!(api.serve.terminate(), "it ends with 0");
}

#[tokio::test]
async fn a_clock_that_differs_from_the_databases_is_named() {
    let database = Database::postgres().await;
    let same = Database::at(database.url.clone());
    let world = World::new(database).await; // Its clock is held, far from the present.
    let settings = Settings { listen: "127.0.0.1:0".parse().unwrap(), ..Config::load(None).unwrap().http };
    let server = Server::start(world.flows.clone(), settings).await.unwrap();
    let caller = Caller::new(&format!("http://{}", server.address), "");

    let skewed = caller.get("/readyz").await;
    raw::execute(&same, "DELETE FROM _sqlx_migrations WHERE version > 1").await.unwrap();
    let both = caller.get("/readyz").await;

    assert_unready(&skewed, &["clock_skewed"], "NTP");
    assert_unready(&both, &["schema_outdated", "clock_skewed"], "dunlin migrate");
}

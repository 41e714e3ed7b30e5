//! `dunlin keys`: the first key made in the database, the others by a running server.

use super::{Ended, run};
use crate::support::{
    both,
    database::Database,
    process::{Caller, Serve, folder},
};
use serde_json::{Value, json};
use std::path::Path;

both! { a_key_made_in_the_database_lets_in_once_a_server_runs }

fn read(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {}", ended.out))
}

/// Runs `dunlin keys` with what follows.
fn keys(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Ended {
    run(folder, &[&["keys"], arguments].concat(), settings)
}

async fn a_key_made_in_the_database_lets_in_once_a_server_runs(database: Database) {
    let (_folder, path) = folder();
    let place = [("DUNLIN_STORE__URL", database.url.as_str())];

    let made = keys(&path, &["create", "--name", "shop"], &place);
    let limited =
        read(&keys(&path, &["create", "--name", "reports", "--scope", "payments:read", "--json"], &place));
    let revoked = keys(&path, &["revoke", limited["id"].as_str().unwrap()], &place);
    let listed = keys(&path, &["list"], &place);

    assert_eq!(made.code, Some(0), "{}", made.err);
    let secret = made.out.trim();
    assert!(secret.starts_with("dk_test_") && secret.len() == 72, "the secret alone: {}", made.out);
    assert!(made.err.contains("shop") && !made.err.contains(secret), "{}", made.err);
    assert_eq!(limited["scopes"], json!(["payments:read"]));
    assert!(revoked.out.contains("lets nobody in"), "{}{}", revoked.out, revoked.err);
    let line = |name: &str| listed.out.lines().find(|line| line.ends_with(name)).unwrap().to_owned();
    assert!(listed.out.starts_with("ID "), "{}", listed.out);
    assert!(line("shop").contains("  test  active "), "{}", listed.out);
    assert!(line("shop").contains("payments:read,payments:write,refunds:write"), "{}", listed.out);
    assert!(line("reports").contains("  test  revoked "), "{}", listed.out);
    assert!(!listed.out.contains(secret) && listed.out.contains(&secret[..12]), "{}", listed.out);
    let serve = Serve::start(&database, &path, &[]);
    let shop = Caller::new(&serve.url, secret);
    assert_eq!(shop.get("/v1/payments").await.status, 200);
    assert_eq!(shop.get("/v1/api_keys").await.status, 403);
    let reports = Caller::new(&serve.url, limited["secret"].as_str().unwrap());
    assert_eq!(reports.get("/v1/payments").await.status, 401);
}

#[tokio::test]
async fn a_running_server_makes_shows_and_revokes_keys() {
    let database = Database::sqlite();
    let (_folder, path) = folder();
    let serve = Serve::start(&database, &path, &[]);
    let url = ["--url", &serve.url];
    let ask = |arguments: &[&str]| keys(&path, &[arguments, &url].concat(), &[]);

    let made = read(&ask(&["create", "--name", "ops", "--scope", "admin", "--expires-in", "90d", "--json"]));
    let by_it = [("DUNLIN_URL", serve.url.as_str()), ("DUNLIN_API_KEY", made["secret"].as_str().unwrap())];
    let plain =
        keys(&path, &["create", "--name", "shop", "--scope", "jobs:read", "--scope", "jobs:operate"], &by_it);
    let listed = read(&keys(&path, &["list", "--json"], &by_it));
    let table = ask(&["list"]);

    let days = made["expires_at"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap()
        - made["created_at"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert!((days - chrono::TimeDelta::days(90)).abs() < chrono::TimeDelta::minutes(5), "{made}");
    let shop = plain.out.trim().to_owned();
    assert_eq!(Caller::new(&serve.url, &shop).get("/v1/test_clock").await.status, 200);
    let names: Vec<_> = listed["data"].as_array().unwrap().iter().map(|key| key["name"].clone()).collect();
    assert_eq!(names, ["shop", "ops", "development"]);
    assert_eq!(listed["data"][0]["scopes"], json!(["jobs:read", "jobs:operate"]));
    assert_eq!(table.out.lines().count(), 4, "{}", table.out);
    for secret in [&shop, &serve.key] {
        assert!(!table.out.contains(secret) && !listed.to_string().contains(secret));
    }
    let id = made["id"].as_str().unwrap();
    assert_eq!(read(&ask(&["revoke", id, "--json"]))["status"], "revoked");
    keys(&path, &["list"], &by_it).assert_failed(&["HTTP 401", "revoked"]);
    let approve = ["create", "--name", "x", "--scope", "approve_unknown"];
    let second = read(&ask(&["create", "--name", "ops", "--scope", "admin", "--json"]));
    let by_it = [by_it[0], ("DUNLIN_API_KEY", second["secret"].as_str().unwrap())];
    keys(&path, &approve, &by_it).assert_failed(&["HTTP 403", "scopes", "approve_unknown"]);
}

#[test]
fn a_file_that_a_server_holds_is_told_with_the_way_to_the_server() {
    let database = Database::sqlite();
    let (_folder, path) = folder();
    let _serve = Serve::start(&database, &path, &[]);
    let place = [("DUNLIN_STORE__URL", database.url.as_str())];

    keys(&path, &["list"], &place).assert_failed(&["in use", "--url", "--api-key"]);
    keys(&path, &["create", "--name", "x"], &place).assert_failed(&["in use", "--url"]);
}

#[test]
fn the_first_live_key_of_production_is_made_in_its_database() {
    let database = Database::sqlite();
    let (_folder, path) = folder();
    let place = [
        ("DUNLIN_ENVIRONMENT", "production"),
        ("DUNLIN_STORE__URL", database.url.as_str()),
        ("DUNLIN_SEALING__KEY", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
    ];
    let create = ["create", "--name", "ops", "--live", "--scope", "admin", "--json"];

    keys(&path, &create, &place).assert_failed(&["dunlin migrate"]);
    assert_eq!(run(&path, &["migrate"], &place).code, Some(0));
    let made = read(&keys(&path, &create, &place));
    let elsewhere = keys(&path, &["list", "--tenant", "another"], &place);

    assert!(made["secret"].as_str().unwrap().starts_with("dk_live_"));
    assert_eq!((&made["livemode"], &made["scopes"]), (&json!(true), &json!(["admin"])));
    assert_eq!(elsewhere.out.lines().count(), 1, "{}", elsewhere.out);
    let id = made["id"].as_str().unwrap();
    keys(&path, &["revoke", id, "--tenant", "another"], &place).assert_failed(&["another has no key", id]);
    assert_eq!(read(&keys(&path, &["list", "--json"], &place))["data"][0]["id"], *id);
}

#[test]
fn what_is_wrong_with_a_command_is_told() {
    let database = Database::sqlite();
    let (_folder, path) = folder();
    let place = [("DUNLIN_STORE__URL", database.url.as_str())];
    let create = |more: &[&str]| keys(&path, &[&["create", "--name", "x"], more].concat(), &place);

    for (more, word) in [
        (&["--scope", "everything"][..], "payments:read"),
        (&["--expires-in", "90"], "90d"),
        (&["--expires-at", "tomorrow"], "--expires-at"),
        (&["--expires-in", "1d", "--expires-at", "2100-01-01T00:00:00Z"], "cannot be used with"),
    ] {
        let ended = create(more);
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(ended.err.contains(word), "{}", ended.err);
    }
    assert_eq!(keys(&path, &["create"], &place).code, Some(2));
    assert_eq!(keys(&path, &["revoke", "dk_test_0000"], &place).code, Some(2));
    create(&["--expires-at", "2020-01-01T00:00:00Z"]).assert_failed(&["expires_at", "to come"]);
    keys(&path, &["create", "--name", ""], &place).assert_failed(&["name", "empty"]);
    let unknown = "key_0190000000007000800000000000000a";
    keys(&path, &["revoke", unknown], &place).assert_failed(&[unknown, "keys list"]);
    let test_key = ["--url", "http://127.0.0.1:1", "--api-key", "dk_test_0"];
    create(&[&test_key[..], &["--live"]].concat()).assert_failed(&["--live", "live key"]);
    create(&[&test_key[..], &["--tenant", "a"]].concat()).assert_failed(&["--tenant"]);
    create(&test_key).assert_failed(&["http://127.0.0.1:1", "does not answer", "--url"]);
    create(&["--url", "http://127.0.0.1:1"]).assert_failed(&["no API key", "DUNLIN_API_KEY"]);
    assert_eq!(read(&keys(&path, &["list", "--json"], &place))["data"], json!([]), "nothing was made");
}

#[tokio::test]
async fn the_audit_trail_is_shown_and_checked() {
    let (_folder, path) = folder();
    let database = Database::sqlite();
    let serve = Serve::start(&database, &path, &[]);
    let place = [("DUNLIN_URL", serve.url.as_str()), ("DUNLIN_API_KEY", serve.key.as_str())];
    keys(&path, &["create", "--name", "shop"], &place);

    let told = run(&path, &["audit"], &place);
    let data = read(&run(&path, &["audit", "--json", "--limit", "1"], &place));

    assert_eq!(told.code, Some(0), "{}{}", told.out, told.err);
    assert_eq!(told.out.lines().count(), 3, "{}", told.out);
    assert!(told.out.lines().nth(1).unwrap().contains("api_key.create"), "{}", told.out);
    assert!(told.out.contains("shop: "), "{}", told.out);
    assert_eq!((&data["sound"], &data["has_more"]), (&json!(true), &json!(true)));
}

//! `dunlin backup` and `dunlin restore`, with a kill between them.

use super::{Ended, run};
use crate::support::{
    both,
    database::Database,
    process::{Caller, Serve, captures, folder},
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

both! {
    what_the_backup_had_is_there_again_and_nothing_is_charged_until_it_is_released
    what_is_no_backup_changes_nothing
}

/// A service's database, and the folder of its data and backups.
struct Site {
    database: Database,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Site {
    fn new(database: Database) -> Self {
        let (folder, path) = folder();
        Self { database, path, _folder: folder }
    }

    fn serve(&self) -> Serve {
        Serve::start(&self.database, &self.path, &[])
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        run(&self.path, arguments, &[("DUNLIN_STORE__URL", &self.database.url)])
    }

    fn file(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }
}

#[track_caller]
fn succeeded(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
}

async fn pay(caller: &Caller, key: &str, more: &Value) -> String {
    let mut body = json!({
        "amount": 1250, "currency": "EUR", "method": { "type": "card", "payment_method": "pm_card_visa" },
    });
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    let made = caller.post("/v1/payments", Some(key), &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.body["id"].as_str().unwrap().to_owned()
}

async fn pay_all(caller: &Caller, name: &str, count: usize) {
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(pay(caller, &format!("{name}-{n}"), &json!({})).await);
    }
    for id in ids {
        caller.wait_for(&id, "succeeded").await;
    }
}

async fn count(caller: &Caller) -> usize {
    let page = caller.get("/v1/payments?limit=200").await.body;
    page["data"].as_array().unwrap().len()
}

// S2.15
async fn what_the_backup_had_is_there_again_and_nothing_is_charged_until_it_is_released(database: Database) {
    let site = Site::new(database);
    let mut serve = site.serve();
    let caller = serve.client();
    pay_all(&caller, "kept", 9).await;
    let deferred = pay(&caller, "deferred", &json!({ "capture": "deferred" })).await;
    let backup = site.file("backup");

    let made = site.run(&["backup", &backup]);
    let twice = site.run(&["backup", &backup]);
    let begin = format!("/v1/payments/{deferred}/process");
    caller.post(&begin, Some("begin"), &json!({})).await;
    caller.wait_for(&deferred, "succeeded").await;
    pay_all(&caller, "lost", 40).await;
    let beside = site.run(&["restore", &backup]);
    serve.kill();
    let restored = site.run(&["restore", &backup]);
    let serve = site.serve();
    let caller = serve.client();
    let found = count(&caller).await;
    let held = pay(&caller, "held", &json!({})).await;
    caller.post(&begin, Some("begin"), &json!({})).await;
    let ready = caller.get("/readyz").await;
    let listed = site.run(&["jobs", "list", "--url", &serve.url]);
    let before = captures(&serve.sandbox).await;
    let moved = caller.post("/v1/test_clock/advance", None, &json!({ "by_s": 60 })).await;
    let waiting = [&held, &deferred].map(|id| format!("/v1/payments/{id}"));
    for path in &waiting {
        assert_eq!(caller.get(path).await.body["status"], "pending");
    }
    let released = site.run(&["restore", "--release", "--reason", "the test has compared them"]);
    caller.wait_for(&held, "succeeded").await;
    caller.wait_for(&deferred, "succeeded").await;
    let again = site.run(&["restore", "--release", "--reason", "once more"]);

    succeeded(&made);
    twice.assert_failed(&["is there already"]);
    beside.assert_failed(&[if site.database.is_sqlite() { "in use" } else { "stop every server" }]);
    succeeded(&restored);
    assert!(restored.out.contains("dunlin restore --release"), "{}", restored.out);
    assert_eq!(found, 10);
    assert_eq!(ready.status, 200);
    assert_eq!(ready.body["degraded"][0]["code"], "restored");
    assert!(listed.err.contains("dunlin restore --release"), "{}", listed.err);
    assert_eq!((moved.status, &moved.body["code"]), (409, &json!("clock_not_advanceable")), "{}", moved.body);
    assert_eq!(before.len(), 50, "nothing was sent before it was released");
    succeeded(&released);
    again.assert_failed(&["nothing is on hold"]);
    assert_eq!(caller.get("/readyz").await.body, json!({ "status": "ready" }));
    let captures = captures(&serve.sandbox).await;
    assert_eq!(captures.len(), 51);
    assert!(captures.values().all(|times| *times == 1), "{captures:?}");
}

async fn what_is_no_backup_changes_nothing(database: Database) {
    let site = Site::new(database);
    let is_sqlite = site.database.is_sqlite();
    let mut serve = site.serve();
    pay_all(&serve.client(), "kept", 3).await;
    let good = site.file("good");
    succeeded(&site.run(&["backup", &good]));
    let bytes = fs::read(&good).unwrap();
    serve.kill();
    let write = |name: &str, bytes: &[u8]| {
        fs::write(site.path.join(name), bytes).unwrap();
        site.file(name)
    };

    let missing = site.file("missing");
    let (text, empty) = (write("text", b"no backup"), write("empty", b""));
    // So that what is damaged is not its very first page.
    let half = write("half", &bytes[..bytes.len() / 2]);
    for file in [&missing, &text, &empty, &half] {
        let refused = site.run(&["restore", file]);
        assert_eq!(refused.code, Some(1), "{file}: {}", refused.out);
        assert!(!refused.err.contains("panicked"), "{}", refused.err);
    }
    if is_sqlite {
        let database = site.database.url.trim_start_matches("sqlite:").to_owned();
        site.run(&["restore", &database]).assert_failed(&["the database itself"]);
        write("good-wal", b"a log");
        site.run(&["restore", &good]).assert_failed(&["copy of a database in use"]);
    }

    let serve = site.serve();
    assert_eq!(count(&serve.client()).await, 3);
    assert_eq!(serve.client().get("/readyz").await.body, json!({ "status": "ready" }));
}

#[test]
fn what_was_there_before_a_restore_is_kept() {
    let site = Site::new(Database::sqlite());
    let (backup, name) = (site.file("backup"), ["keys", "create", "--name"]);
    succeeded(&site.run(&[name.as_slice(), &["first"]].concat()));
    succeeded(&site.run(&["backup", &backup]));
    succeeded(&site.run(&[name.as_slice(), &["second"]].concat()));

    let restored = site.run(&["restore", &backup]);
    let after = site.run(&["keys", "list"]);
    let aside = restored.err.split_whitespace().find(|word| word.contains(".before-")).unwrap().to_owned();
    let before = run(
        &site.path,
        &["keys", "list"],
        &[("DUNLIN_STORE__URL", &format!("sqlite:{}", aside.trim_end_matches(':')))],
    );

    succeeded(&restored);
    assert!(Path::new(aside.trim_end_matches(':')).is_file(), "{aside}");
    assert!(after.out.contains("first") && !after.out.contains("second"), "{}", after.out);
    assert!(before.out.contains("first") && before.out.contains("second"), "{}", before.out);
    assert!(Path::new(&backup).is_file());
}

#[test]
fn a_restore_that_was_cut_short_is_carried_on_by_the_next_start_and_looked_into_by_nobody() {
    let site = Site::new(Database::sqlite());
    let (backup, name) = (site.file("backup"), ["keys", "create", "--name"]);
    succeeded(&site.run(&[name.as_slice(), &["first"]].concat()));
    succeeded(&site.run(&["backup", &backup]));
    succeeded(&site.run(&[name.as_slice(), &["second"]].concat()));
    let database = site.database.url.trim_start_matches("sqlite:").to_owned();
    fs::copy(&backup, format!("{database}.restoring-20270101T000000Z")).unwrap();

    let looked = site.run(&["backup", &site.file("other")]);
    let after = site.run(&["keys", "list"]);

    looked.assert_failed(&["was cut short"]);
    assert!(after.out.contains("first") && !after.out.contains("second"), "{}", after.out);
    assert!(Path::new(&format!("{database}.before-20270101T000000Z")).is_file());
}

#[test]
fn a_restore_is_released_with_a_reason_or_not_at_all() {
    let site = Site::new(Database::sqlite());

    assert_eq!(site.run(&["restore"]).code, Some(2));
    assert_eq!(site.run(&["restore", "--release"]).code, Some(2));
    assert_eq!(site.run(&["restore", "--hold", "file"]).code, Some(2));
    site.run(&["restore", "--release", "--reason", "none"]).assert_failed(&["there is no database"]);
}

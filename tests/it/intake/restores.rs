//! The intake after a restore: what waits is neither lost with the database that is set aside, nor taken in twice.

use super::{MAX_BYTES, envelope, world};
use crate::support::{
    both,
    database::Database,
    process::{dunlin, folder},
    world::World,
};
use dunlin::{
    domain::letter::Source,
    flow::intake::{Delivery, Fate, Refusal},
    store::restores::{self, Restore},
};
use dunlin_jobs::{LetterId, postgres::enqueue_in};
use sqlx::{Connection, PgConnection};
use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
};

both! {
    what_was_left_since_the_backup_is_taken_in_and_what_only_the_backup_had_waiting_is_not
    what_waits_in_a_backup_is_for_a_person_where_the_database_of_before_is_lost
    what_waits_after_a_restore_by_other_means_is_for_a_person
}

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

    async fn world(&self) -> World {
        world(Database::at(self.database.url.clone())).await
    }

    fn begin(&self, command: &str) -> Child {
        let mut dunlin = dunlin();
        dunlin.arg(command).arg(self.path.join("backup")).current_dir(&self.path);
        dunlin.env("DUNLIN_DATA_DIR", &self.path).env("DUNLIN_STORE__URL", &self.database.url);
        dunlin.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn run(&self, command: &str) {
        succeeded(self.begin(command));
    }

    async fn release(&self) {
        let at = "2027-01-01T00:00:00Z".parse().unwrap();
        assert!(restores::release(&self.database.options(), at, "the test", "compared").await.unwrap());
    }

    /// As a disk that is gone.
    async fn lose(&self) {
        if let Some(file) = self.database.url.strip_prefix("sqlite:") {
            for end in ["", "-wal", "-shm"] {
                let _ = fs::remove_file(format!("{file}{end}"));
            }
            return;
        }
        let mut connection = PgConnection::connect(&self.database.url).await.unwrap();
        sqlx::raw_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            .execute(&mut connection)
            .await
            .unwrap();
    }
}

#[track_caller]
fn succeeded(command: Child) {
    let ended = command.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

impl World {
    async fn close(self) {
        self.flows.store.clone().abandon().await;
    }

    async fn leave_order(&self, id: &str) {
        self.leave(&envelope(id).to_json()).await;
    }

    /// Takes in the first of what waits, and leaves the rest.
    async fn read_first(&self) {
        let bag = self.flows.store.take_mail(0, 1).await.unwrap();
        let first = bag.waiting[0].clone();
        let delivery = Delivery { bytes: first.envelope.as_bytes(), restored_at: None };
        let fates = self.flows.take_in_mail(&[delivery], MAX_BYTES).await;
        assert!(matches!(fates[..], [Fate::Taken(_)]), "{fates:?}");
        self.flows.store.empty_bag(bag, &[first.seq], &[]).await.unwrap();
    }

    /// Keeps a letter, which could not be taken for a reason.
    async fn keep_letter(&self, text: &str) -> LetterId {
        let refusal = Refusal { code: "invalid_json", field: None, reason: "no JSON".to_owned() };
        let letter = self.flows.letter(Source::Table, None, text.as_bytes(), &refusal);
        self.flows.store.keep_letters(std::slice::from_ref(&letter)).await.unwrap();
        letter.id
    }

    /// The code of each letter and which order it is, sorted.
    async fn letters_by_order(&self) -> Vec<(String, String)> {
        let letters = self.letters().await;
        let order = |text: &str| super::json_of(text)["id"].as_str().unwrap_or(text).to_owned();
        let mut told: Vec<_> =
            letters.iter().map(|letter| (letter.code.clone(), order(&letter.envelope))).collect();
        told.sort();
        told
    }
}

fn told(letters: &[(&str, &str)]) -> Vec<(String, String)> {
    letters.iter().map(|(code, order)| ((*code).to_owned(), (*order).to_owned())).collect()
}

// S2.15
async fn what_was_left_since_the_backup_is_taken_in_and_what_only_the_backup_had_waiting_is_not(
    database: Database,
) {
    let site = Site::new(database);
    let world = site.world().await;
    world.leave_order("kept").await;
    world.read().await;
    world.leave_order("since").await;
    world.leave_order("waits").await;
    let dropped = world.keep_letter("dropped").await;
    world.keep_letter("stays").await;
    world.close().await;
    site.run("backup");
    let world = site.world().await;
    world.read_first().await;
    for id in ["new", "since", "kept"] {
        world.leave_order(id).await;
    }
    world.leave("no order").await;
    world.flows.store.drop_letter(dropped).await.unwrap();
    world.keep_letter("later").await;
    world.close().await;

    site.run("restore");
    let world = site.world().await;
    world.read().await;
    let held = (world.payments().await.len(), world.letters_by_order().await);
    site.release().await;
    world.read().await;

    let doubted = [
        ("invalid_json", "later"),
        ("invalid_json", "stays"),
        ("restored", "dropped"),
        ("restored", "since"),
    ];
    let [later, stays, dropped, since] = doubted;
    assert_eq!(
        held,
        (1, told(&[later, stays, dropped, since, since])),
        "nothing else is read before the release"
    );
    assert_eq!(
        world.letters_by_order().await,
        told(&[later, ("invalid_json", "no order"), stays, dropped, since, since])
    );
    assert_eq!(world.payments().await.len(), 3, "kept, waits, new");
    assert_eq!(world.waiting().await, 0);
    let letters = world.letters().await;
    let doubted = letters.iter().filter(|letter| letter.code == "restored");
    for letter in doubted.clone() {
        for word in ["restored at", "gateway", "dead-letters drop", "dead-letters retry"] {
            assert!(letter.reason.contains(word), "{word}: {}", letter.reason);
        }
    }
    let again = doubted.clone().find(|letter| letter.envelope.contains("since")).unwrap();
    world.flows.store.put_back(again.id, None).await.unwrap();
    world.read().await;
    assert_eq!(world.payments().await.len(), 4, "a person has found that it was not charged");
}

async fn what_waits_in_a_backup_is_for_a_person_where_the_database_of_before_is_lost(database: Database) {
    let site = Site::new(database);
    let world = site.world().await;
    world.leave_order("kept").await;
    world.read().await;
    for id in ["a", "kept"] {
        world.leave_order(id).await;
    }
    world.keep_letter("letter").await;
    world.close().await;
    site.run("backup");
    site.lose().await;

    site.run("restore");
    site.release().await;
    let world = site.world().await;
    world.read().await;

    assert_eq!(world.letters_by_order().await, told(&[("restored", "a"), ("restored", "letter")]));
    assert_eq!((world.payments().await.len(), world.waiting().await), (1, 0));
}

async fn what_waits_after_a_restore_by_other_means_is_for_a_person(database: Database) {
    let options = database.options();
    let world = world(database).await;
    world.leave_order("a").await;
    let at = "2027-01-01T00:00:00Z".parse().unwrap();
    let restore = Restore { at, by: "the test".to_owned(), source: "by other means".to_owned() };

    restores::hold(&options, &restore).await.unwrap();
    world.leave_order("b").await;
    world.read().await;
    let held = (world.payments().await.len(), world.letters_by_order().await);
    restores::release(&options, at, "the test", "compared").await.unwrap();
    world.read().await;

    assert_eq!(held, (0, told(&[("restored", "a")])));
    assert_eq!(world.letters_by_order().await, held.1);
    assert_eq!(world.charged().await, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_producer_commits_while_the_schema_is_exchanged_is_there_afterwards() {
    const WAITS: &str = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = $1 \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let site = Site::new(Database::postgres().await);
    let connect = async || PgConnection::connect(&site.database.url).await.unwrap();
    let (mut first, mut second, mut watcher) = (connect().await, connect().await, connect().await);
    let mut wait_for = async |mode: &str| {
        while sqlx::query_scalar::<_, i64>(WAITS).bind(mode).fetch_one(&mut watcher).await.unwrap() == 0 {}
    };
    site.world().await.close().await;
    site.run("backup");
    // The plan that this connection keeps is of the table of before.
    let mut tx = second.begin().await.unwrap();
    enqueue_in(&mut tx, &envelope("early")).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = first.begin().await.unwrap();
    enqueue_in(&mut tx, &envelope("open")).await.unwrap();
    let restore = site.begin("restore");
    wait_for("ShareLock").await;
    let late = tokio::spawn(async move {
        let mut tx = second.begin().await.unwrap();
        enqueue_in(&mut tx, &envelope("late")).await.unwrap();
        tx.commit().await.unwrap();
    });
    wait_for("RowExclusiveLock").await;
    tx.commit().await.unwrap();
    succeeded(restore);
    late.await.unwrap();

    site.release().await;
    let world = site.world().await;
    world.read().await;
    assert_eq!(world.charged().await, [1, 1, 1]);
    assert_eq!(world.letters().await, Vec::new());
}

//! Bad days: a disk that is full, a database that is locked, full, or closed to us. Whoever calls is told to come back,
//! readiness tells the truth, and nothing is lost.

use crate::{
    store::raw,
    support::{
        both,
        database::{self, Database},
        process::{Answer, Caller, Serve, captures, dunlin, folder},
        world::World,
    },
};
use chrono::TimeDelta;
use dunlin::{domain::payment::Status, worker};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

both! {
    a_clock_that_jumps_ahead_begins_nothing_by_a_lease_from_before
    a_clock_that_jumps_back_charges_once
}

// S1.7
async fn a_clock_that_jumps_ahead_begins_nothing_by_a_lease_from_before(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await;
    let claimed = world.claim_one().await;

    world.flows.clock().travel(TimeDelta::hours(1));
    worker::work(&world.flows, &claimed).await;

    assert_eq!(world.captures(payment.id), 0, "the machine may have slept: nothing is begun");
    world.run_due_jobs().await;
    assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
    assert_eq!(world.captures(payment.id), 1);
}

async fn a_clock_that_jumps_back_charges_once(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await;
    let claimed = world.claim_one().await;

    world.flows.clock().travel(TimeDelta::hours(-1));

    worker::work(&world.flows, &claimed).await;
    assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
    assert_eq!(world.captures(payment.id), 1);
}

fn charge() -> Value {
    json!({
        "amount": 1250, "currency": "EUR", "customer": "cus_1",
        "method": { "type": "card", "payment_method": "pm_card_visa" },
    })
}

/// What was answered is a request to come back, and nothing else.
#[track_caller]
fn assert_later(answer: &Answer) {
    assert_eq!((answer.status, answer.body["code"].as_str()), (503, Some("unavailable")), "{}", answer.body);
    assert!(answer.headers.contains_key("retry-after"));
}

/// Sends each charge again under its key until it is taken, and gives the ids.
async fn take_all(caller: &Caller, keys: impl Iterator<Item = String>) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut ids = Vec::new();
    for key in keys {
        let taken = loop {
            let answer = caller.post("/v1/payments", Some(&key), &charge()).await;
            if answer.status == 201 {
                break answer.body["id"].as_str().unwrap().to_owned();
            }
            assert_later(&answer);
            assert!(Instant::now() < deadline, "{}", answer.body);
        };
        ids.push(taken);
    }
    ids
}

/// All are paid, once each, and nothing else is.
async fn assert_paid_once(serve: &Serve, caller: &Caller, ids: &[String]) {
    for id in ids {
        caller.wait_for(id, "succeeded").await;
    }
    let expected: BTreeMap<_, _> = ids.iter().map(|id| (id.clone(), 1)).collect();
    assert_eq!(captures(&serve.sandbox).await, expected);
}

/// A process of ours on a disk of its own, four megabytes of it, half of them taken by a file.
struct SmallDisk {
    process: std::process::Child,
    ballast: PathBuf,
}

impl SmallDisk {
    /// `folder` becomes the disk, for that process alone: its mounts are its own.
    fn start(folder: &Path, data: &Path, sandbox: &str) -> (Self, String) {
        let script =
            "mount -t tmpfs -o size=4m tmpfs \"$0\" && head -c 2M /dev/zero >\"$0/ballast\" && exec \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--mount", "sh", "-c", script])
            .arg(folder)
            .arg(dunlin().get_program())
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("DUNLIN_STORE__URL", format!("sqlite:{}", folder.join("full.db").display()))
            .env("DUNLIN_DATA_DIR", data)
            .env("DUNLIN_LOG__LEVEL", "off")
            .env("DUNLIN_SANDBOX__START", "false")
            .env("DUNLIN_GATEWAYS__SANDBOX__BASE_URL", sandbox)
            .envs(SHORT_LEASES)
            .stdout(Stdio::piped());
        let mut process = command.spawn().expect("unshare is part of util-linux");
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(process.stdout.take().unwrap()));
        let line = lines.next().expect("it starts on its disk").unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let url = line.strip_prefix("dunlin listening on ").unwrap().to_owned();
        // Its disk can be seen through the process only.
        let root = PathBuf::from(format!("/proc/{}/root", process.id()));
        let ballast = root.join(folder.strip_prefix("/").unwrap()).join("ballast");
        (Self { process, ballast }, url)
    }

    fn make_room(&self) {
        std::fs::remove_file(&self.ballast).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a worker has in hand when it cannot write is free again soon.
const SHORT_LEASES: [(&str, &str); 4] = [
    ("DUNLIN_CLIENT__TIMEOUT_MS", "1000"),
    ("DUNLIN_PAYMENTS__LEASE_MARGIN_MS", "300"),
    ("DUNLIN_WORKER__LEASE_S", "2"),
    ("DUNLIN_PAYMENTS__UNKNOWN_POLLS_S", "[1]"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_and_nothing_is_lost() {
    let (_disk, disk) = folder();
    let (_data, data) = folder();
    let (_other, other) = folder();
    // Its sandbox is the gateway, and lives on a disk that has room.
    let gateway = Serve::start(&Database::sqlite(), &other, &[]);
    let (small, url) = SmallDisk::start(&disk, &data, &gateway.sandbox);
    let key = std::fs::read_to_string(data.join("development-key")).unwrap();
    let caller = Caller::new(&url, key.trim());

    let mut sent = 0;
    let unready = loop {
        sent += 1;
        assert!(sent < 5_000, "four megabytes hold all of it");
        let answer = caller.post("/v1/payments", Some(&format!("full-{sent}")), &charge()).await;
        if answer.status != 201 {
            assert_later(&answer);
            // A small commit may still have found room since.
            let ready = caller.get("/readyz").await;
            if ready.status != 200 {
                break ready;
            }
        }
    };
    assert_eq!((unready.status, unready.body["code"].as_str()), (503, Some("database_unwritable")));
    assert!(unready.body["detail"].as_str().unwrap().contains("free space"));
    small.make_room();

    let ids = take_all(&caller, (1..=sent).map(|n| format!("full-{n}"))).await;
    assert_eq!(caller.get("/readyz").await.status, 200);
    assert_paid_once(&gateway, &caller, &ids).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_somebody_has_locked_costs_time_only() {
    let database = Database::postgres().await;
    let (_folder, path) = folder();
    let same = Database::at(database.url.clone());
    let serve = Serve::start(&database, &path, &[]);
    let caller = serve.client();
    let locked = tokio::spawn(async move {
        raw::execute(&same, "DO $$ BEGIN LOCK TABLE payments; PERFORM pg_sleep(4); END $$").await.unwrap();
    });
    let waiting = Database::at(database.url.clone());
    while raw::count_locks(&waiting, "payments").await == 0 {}

    let refused = caller.post("/v1/payments", Some("locked"), &charge()).await;

    assert_later(&refused);
    let ids = take_all(&caller, ["locked".to_owned()].into_iter()).await;
    locked.await.unwrap();
    assert_paid_once(&serve, &caller, &ids).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_has_its_connections_from_the_start_or_does_not_start() {
    let database = Database::postgres().await;
    let role = format!("few_{}", hex::encode(rand::random::<[u8; 4]>()));
    let name = database.url.rsplit('/').next().unwrap();
    let own = format!("ALTER DATABASE {name} OWNER TO {role}");
    for statement in [&format!("CREATE ROLE {role} LOGIN"), &own] {
        raw::execute(&database, statement).await.unwrap();
    }
    let few = Database::at(database.url.replace("postgres@", &format!("{role}@")));
    let (_folder, path) = folder();
    let serve = Serve::start(&few, &path, &[]);
    let caller = serve.client();
    // No more than it has open by now.
    raw::execute(&database, &format!("ALTER ROLE {role} CONNECTION LIMIT 1")).await.unwrap();

    let storm = (0..50).map(|n| {
        let caller = caller.clone();
        tokio::spawn(async move { take_all(&caller, [format!("few-{n}")].into_iter()).await })
    });
    let mut ids = Vec::new();
    for taken in storm.collect::<Vec<_>>() {
        ids.extend(taken.await.unwrap());
    }

    assert_paid_once(&serve, &caller, &ids).await;
    let (_other, other) = folder();
    let refused = refused_over(&few.url, &other);
    assert!(refused.contains("store.connections") && refused.contains("max_connections"), "{refused}");
}

/// What `dunlin serve` says that does not start over this database.
fn refused_over(url: &str, folder: &Path) -> String {
    let mut command = dunlin();
    command.args(["serve", "--listen", "127.0.0.1:0"]).env("DUNLIN_DATA_DIR", folder);
    let output = command.env("DUNLIN_STORE__URL", url).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn a_wrong_password_and_a_wrong_name_are_told_without_secrets() {
    let server = Database::at(database::server());
    let role = "CREATE ROLE with_password LOGIN PASSWORD 'right'";
    // Another test run on the same server may have made it.
    let _ = raw::execute(&server, role).await;
    let (_folder, path) = folder();

    let wrong = refused_over(&server.url.replace("postgres@", "with_password:wrong-one@"), &path);
    let (base, _) = server.url.rsplit_once('/').unwrap();
    let nowhere = refused_over(&format!("{base}/no_such_database"), &path);

    assert!(wrong.contains("the password") && wrong.contains("store.url"), "{wrong}");
    assert!(!wrong.contains("wrong-one"), "{wrong}");
    assert!(nowhere.contains("no_such_database") && nowhere.contains("store.url"), "{nowhere}");
}

//! `dunlin gateways`: secrets that lie in the database sealed, and accounts that stay who they were.

use super::{Ended, run};
use crate::support::{
    database::Database,
    process::{dunlin, folder},
};
use dunlin::{
    accounts,
    config::Config,
    domain::clock::Clock,
    failpoint::Failpoints,
    sealing::{Keyring, Secrets},
    store::accounts::KeptAccount,
};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
    process::Stdio,
};

const KEY: (&str, &str) =
    ("DUNLIN_SEALING__KEY", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
const NEW_KEY: (&str, &str) =
    ("DUNLIN_SEALING__KEY", "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100");
const SECRET: (&str, &str) = ("DUNLIN_GATEWAY_SECRET_KEY", "sk_test_canary_one");
const WEBHOOK: (&str, &str) = ("DUNLIN_GATEWAY_WEBHOOK_SECRET", "whsec_canary_two");

/// A gateway that tells whose key it was asked with: `acct_` and the key's last word. A revoked one it refuses.
fn gateway() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let key = head.iter().find(|line| line.starts_with("authorization")).unwrap();
            let body = format!("{{\"id\":\"acct_{}\"}}", key.rsplit('_').next().unwrap());
            let status = if body.contains("revoked") { "401 Unauthorized" } else { "200 OK" };
            let refused = r#"{"error":{"type":"invalid_request_error","message":"revoked"}}"#;
            let body = if status == "200 OK" { body } else { refused.to_owned() };
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = write!(&stream, "{head}{body}");
        }
    });
    url
}

fn add(folder: &Path, url: &str, settings: &[(&str, &str)]) -> Ended {
    run(folder, &["gateways", "add", "main", "--gateway", "stripe", "--base-url", url], settings)
}

fn list(folder: &Path) -> String {
    run(folder, &["gateways", "list"], &[]).out
}

/// Every byte of the data folder, the database and its log among them.
fn bytes(folder: &Path) -> Vec<u8> {
    fs::read_dir(folder).unwrap().flat_map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_leaked_database_without_the_key_reveals_no_secret() {
    let (_folder, path) = folder();

    let added = add(&path, &gateway(), &[KEY, SECRET, WEBHOOK]);

    assert_eq!(added.code, Some(0), "{}", added.err);
    assert!(added.out.contains("main is acct_one"), "{}", added.out);
    let left = bytes(&path);
    assert!(has(&left, "acct_one"));
    for secret in ["canary", KEY.1, &hex::encode("canary")] {
        assert!(!has(&left, secret), "{secret}");
    }
    let listed = list(&path);
    assert!(listed.contains("main  stripe  test  acct_one  sealed with"), "{listed}");
    assert!(!listed.contains("canary"), "{listed}");
}

#[test]
fn the_secret_may_come_over_standard_input() {
    let (_folder, path) = folder();
    let url = gateway();
    let mut child = dunlin()
        .args(["gateways", "add", "main", "--gateway", "stripe", "--base-url", &url])
        .env("DUNLIN_DATA_DIR", &path)
        .env(KEY.0, KEY.1)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();

    child.stdin.take().unwrap().write_all(b"sk_test_canary_one\nwhsec_canary_two\n").unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap());

    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.out.contains("main is acct_one"), "{}", ended.out);
}

#[test]
fn a_missing_or_wrong_key_is_named_with_its_remedy() {
    let (_folder, path) = folder();
    let url = gateway();

    add(&path, &url, &[SECRET]).assert_failed(&[
        "sealing.key",
        "DUNLIN_SEALING__KEY",
        "openssl rand -hex 32",
    ]);
    add(&path, &url, &[KEY]).assert_failed(&["DUNLIN_GATEWAY_SECRET_KEY", "standard input"]);
    add(&path, &url, &[("DUNLIN_SEALING__KEY", "short"), SECRET]).assert_failed(&["64 hexadecimal digits"]);
    let live = [KEY, ("DUNLIN_GATEWAY_SECRET_KEY", "sk_live_x")];
    add(&path, &url, &live).assert_failed(&["live key"]);
    assert_eq!(add(&path, &url, &[KEY, SECRET]).code, Some(0));
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    run(&path, &serve, &[]).assert_failed(&["account main", "sealing.key"]);
    run(&path, &serve, &[NEW_KEY]).assert_failed(&["account main", "sealing.old_keys"]);
}

// S1.15
#[test]
fn another_accounts_key_is_refused_under_a_name_that_is_taken() {
    let (_folder, path) = folder();
    let url = gateway();
    assert_eq!(add(&path, &url, &[KEY, SECRET]).code, Some(0));

    let other = [KEY, ("DUNLIN_GATEWAY_SECRET_KEY", "sk_test_other")];
    add(&path, &url, &other).assert_failed(&["acct_other", "main has always been acct_one"]);
    // Not by the configuration either.
    assert_eq!(run(&path, &["gateways", "remove", "main"], &[]).code, Some(0));
    let started = start(&path, &configured(&url, "false", "sk_test_other"));

    started.assert_failed(&["acct_other", "main has always been acct_one"]);
    // A new key of the same account is welcome.
    let rolled = [KEY, ("DUNLIN_GATEWAY_SECRET_KEY", "sk_test_rolled_one")];
    assert_eq!(add(&path, &url, &rolled).code, Some(0));
}

/// The account `main` as the configuration has it.
fn configured<'a>(url: &'a str, livemode: &'a str, key: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("DUNLIN_GATEWAYS__MAIN__GATEWAY", "stripe"),
        ("DUNLIN_GATEWAYS__MAIN__LIVEMODE", livemode),
        ("DUNLIN_GATEWAYS__MAIN__BASE_URL", url),
        ("DUNLIN_GATEWAYS__MAIN__SECRET_KEY", key),
    ]
}

/// A start that ends in any case, because its port is taken.
fn start(folder: &Path, settings: &[(&str, &str)]) -> Ended {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    run(folder, &["serve", "--listen", &address], settings)
}

#[test]
fn a_key_that_is_refused_for_an_account_that_was_known_stops_the_start() {
    let (_folder, path) = folder();
    let url = gateway();
    assert_eq!(add(&path, &url, &[KEY, SECRET]).code, Some(0));
    assert_eq!(run(&path, &["gateways", "remove", "main"], &[]).code, Some(0));

    let revoked = start(&path, &configured(&url, "false", "sk_test_revoked"));
    let gone = start(&path, &configured("http://127.0.0.1:1", "false", SECRET.1));

    revoked.assert_failed(&["account main", "HTTP 401"]);
    // A gateway that is not there is no reason to be away as well.
    gone.assert_failed(&["is the port taken?"]);
}

#[test]
fn a_name_of_one_environment_is_refused_for_the_other() {
    let (_folder, path) = folder();
    assert_eq!(add(&path, &gateway(), &[KEY, SECRET]).code, Some(0));
    assert_eq!(run(&path, &["gateways", "remove", "main"], &[]).code, Some(0));

    let started = start(&path, &configured("https://127.0.0.1:1", "true", "sk_live_one"));

    started.assert_failed(&["main is configured as a live account", "always been a test account"]);
}

#[tokio::test]
async fn a_live_account_that_is_kept_is_held_to_what_a_configured_one_is() {
    let store = Database::sqlite().open(Clock::system(), Failpoints::default()).await;
    let key = ("sealing.key", KEY.1.to_owned());
    let config = Config::load_over(None, std::slice::from_ref(&key)).unwrap();
    let point = ("failpoint.point", "charge.before_send".to_owned());
    let broken = Config::load_over(None, &[key, point]).unwrap();
    let secrets = Secrets { secret_key: "sk_live_one".to_owned(), webhook_secret: None };
    let kept = |url: &str| {
        let kept = KeptAccount {
            name: "main".to_owned(),
            gateway: "stripe".to_owned(),
            livemode: true,
            base_url: url.to_owned(),
            sealed: String::new(),
            sealed_at: store.clock().now(true),
            sealed_by: "the test".to_owned(),
        };
        let sealed = Keyring::new(&config.sealing).unwrap().seal(accounts::place(&kept), &secrets).unwrap();
        KeptAccount { sealed, ..kept }
    };

    let first = kept("http://127.0.0.1:1");
    store.keep_account(&first, None).await.unwrap();
    let plain = accounts::load(&config, &store).await.unwrap_err().to_string();
    store.keep_account(&kept("https://127.0.0.1:1"), Some(&first)).await.unwrap();
    let broken = accounts::load(&broken, &store).await.unwrap_err().to_string();
    let good = accounts::load(&config, &store).await;

    assert!(plain.contains("gateways.main.base_url must begin with https://"), "{plain}");
    assert!(broken.contains("failpoint.point must be empty"), "{broken}");
    assert!(good.is_ok());
}

#[test]
fn rotation_seals_anew_and_the_old_key_can_go() {
    let (_folder, path) = folder();
    assert_eq!(add(&path, &gateway(), &[KEY, SECRET, WEBHOOK]).code, Some(0));
    let before = list(&path);
    let old = format!("[\"{}\"]", KEY.1);

    run(&path, &["gateways", "rotate"], &[NEW_KEY]).assert_failed(&["sealing.old_keys"]);
    let rotated = run(&path, &["gateways", "rotate"], &[NEW_KEY, ("DUNLIN_SEALING__OLD_KEYS", &old)]);
    let again = run(&path, &["gateways", "rotate"], &[NEW_KEY]);

    assert_eq!((rotated.code, again.code), (Some(0), Some(0)), "{}{}", rotated.err, again.err);
    assert_ne!(list(&path), before);
}

// Whoever adds is asked for the secrets, and somebody else is faster meanwhile.
#[tokio::test]
async fn who_was_slower_is_told_who_was_faster_and_when() {
    let database = Database::postgres().await;
    let (_folder, path) = folder();
    let url = gateway();
    let place = ("DUNLIN_STORE__URL", database.url.as_str());
    assert_eq!(add(&path, &url, &[KEY, place, SECRET]).code, Some(0));
    let mut slow = dunlin()
        .args(["gateways", "add", "main", "--gateway", "stripe", "--base-url", &url])
        .env("DUNLIN_DATA_DIR", &path)
        .envs([KEY, place])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut asks = String::new();
    BufReader::new(slow.stderr.as_mut().unwrap()).read_line(&mut asks).unwrap();

    let fast = add(&path, &url, &[KEY, place, ("DUNLIN_GATEWAY_SECRET_KEY", "sk_test_fast_one")]);
    slow.stdin.take().unwrap().write_all(b"sk_test_slow_one\n").unwrap();
    let slow = Ended::from(slow.wait_with_output().unwrap());

    assert!(asks.contains("secret key"), "{asks}");
    assert_eq!(fast.code, Some(0), "{}", fast.err);
    slow.assert_failed(&["main were changed meanwhile, by ", " UTC", "run it again"]);
}

#[test]
fn a_removed_account_leaves_no_secrets() {
    let (_folder, path) = folder();
    assert_eq!(add(&path, &gateway(), &[KEY, SECRET]).code, Some(0));

    let removed = run(&path, &["gateways", "remove", "main"], &[]);
    let again = run(&path, &["gateways", "remove", "main"], &[]);

    assert_eq!(removed.code, Some(0), "{}", removed.err);
    assert!(!list(&path).contains("main"));
    again.assert_failed(&["keeps no secrets of an account main"]);
}

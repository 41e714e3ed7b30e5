//! `dunlin gateways status`, `hold` and `release`: what a gateway refuses, as its operator sees it.

use super::payments::Room;
use crate::support::{
    database::Database,
    process::{Caller, Serve, folder},
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Asks until the first account has the status, at most for ten seconds.
async fn wait_for(caller: &Caller, status: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let account = caller.get("/v1/gateways").await.body["data"][0].clone();
        if account["status"] == status {
            return account;
        }
        assert!(Instant::now() < deadline, "{account}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

// S1.22
#[tokio::test]
async fn an_account_that_is_refused_is_shown_with_its_remedy_and_released() {
    let room = Room::new();
    room.break_gateway(&[json!({ "fault": "version_refused", "method": "any" })]).await;
    let mut ids = Vec::new();
    for reference in ["INV-1", "INV-2", "INV-3", "INV-4"] {
        ids.push(room.pay(reference, "pm_card_visa").await);
    }

    let account = wait_for(&room.caller, "on_hold").await;
    let status = room.done(&["gateways", "status"]);
    let waiting: Vec<_> = room.read(&["payments", "list"])["data"].as_array().unwrap().clone();
    room.break_gateway(&[]).await;
    room.done(&["gateways", "release", "sandbox", "--reason", "the version is mended"]);
    room.done(&["clock", "advance", "2m"]);

    assert_eq!(account["hold"]["reason"], "requests");
    for words in [
        "on_hold",
        "requests: invalid_request: HTTP 400: Invalid Stripe API version",
        "sandbox: mend at the gateway",
    ] {
        assert!(status.contains(words), "{words}: {status}");
    }
    assert_eq!(waiting.iter().filter(|payment| payment["status"] == "pending").count(), ids.len());
    for id in ids {
        room.caller.wait_for(&id, "succeeded").await;
    }
}

#[tokio::test]
async fn a_person_who_holds_an_account_is_told_what_follows() {
    let room = Room::new();

    let held = room.done(&["gateways", "hold", "sandbox", "--reason", "they work on it"]);
    let status = room.done(&["gateways", "status"]);
    let released = room.done(&["gateways", "release", "sandbox"]);
    let unknown = room.ask(&["gateways", "hold", "nobody"]);

    assert!(held.starts_with("sandbox is on_hold"), "{held}");
    assert!(status.contains("person: they work on it") && status.contains("ask whoever put it"), "{status}");
    assert!(released.starts_with("sandbox is active"), "{released}");
    unknown.assert_failed(&["HTTP 404"]);
}

/// A gateway that does not say whose account a key is of until it may, and how often something was posted to it.
fn silent_gateway(may_say: Arc<AtomicBool>, posts: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let first = head.first().map_or("", String::as_str);
            posts.fetch_add(usize::from(first.starts_with("POST /v1/")), Ordering::SeqCst);
            let is_told = first.starts_with("GET /v1/account ") && may_say.load(Ordering::SeqCst);
            let (status, body) =
                if is_told { ("200 OK", r#"{"id":"acct_one"}"#) } else { ("503 Service Unavailable", "") };
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = write!(&stream, "{head}{body}");
        }
    });
    url
}

#[tokio::test]
async fn an_identity_that_failed_at_the_start_is_asked_again_and_nothing_is_charged_before() {
    let (may_say, posts) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let url = silent_gateway(Arc::clone(&may_say), Arc::clone(&posts));
    let (_folder, path) = folder();
    let database = Database::sqlite();
    let settings = [
        ("DUNLIN_GATEWAYS__ACME__GATEWAY", "stripe"),
        ("DUNLIN_GATEWAYS__ACME__LIVEMODE", "false"),
        ("DUNLIN_GATEWAYS__ACME__BASE_URL", &url),
        ("DUNLIN_GATEWAYS__ACME__SECRET_KEY", "sk_test_one"),
    ];
    let serve = Serve::start(&database, &path, &settings);
    let caller = serve.client();
    let body = json!({
        "amount": 1250, "currency": "EUR", "customer": "cus_1",
        "method": { "type": "card", "payment_method": "pm_card_visa" },
    });
    let taken = caller.post("/v1/payments", Some("a"), &body).await;
    let path = format!("/v1/payments/{}", taken.body["id"].as_str().unwrap());

    let account = wait_for(&caller, "on_hold").await;
    let waits = caller.get(&path).await.body;
    let before = posts.load(Ordering::SeqCst);
    may_say.store(true, Ordering::SeqCst);
    wait_for(&caller, "active").await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while posts.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < deadline, "it is charged once the account is told");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    assert_eq!(account["hold"]["reason"], "identity", "{account}");
    assert_eq!((waits["status"].as_str(), before), (Some("pending"), 0));
}

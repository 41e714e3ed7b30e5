//! Events, the endpoints that are told of them, and how the telling is signed.

use crate::caller::{Answer, Caller, START, bank, caller, charge, other_caller};
use dunlin_sandbox::{Bank, Options, serve};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

fn names(answer: &Answer) -> Vec<&str> {
    answer.body["data"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn endpoint(caller: &Caller<'_>, events: &str) -> Value {
    caller
        .post("/v1/webhook_endpoints", &format!("url=http://127.0.0.1:9/hook&enabled_events[]={events}"))
        .body
}

#[test]
fn a_charge_is_told_in_its_order_with_the_object_as_it_was() {
    let bank = bank();
    let caller = caller(&bank);
    let id = caller.create(&charge("pm_card_visa")).id();

    let page = caller.get("/v1/events");

    assert_eq!(names(&page), ["payment_intent.succeeded", "charge.succeeded", "payment_intent.created"]);
    let created = &page.body["data"][2];
    assert_eq!((&created["object"], &created["created"]), (&"event".into(), &START.into()));
    assert_eq!(created["data"]["object"]["id"], *id);
    assert_eq!(created["data"]["object"]["status"], "requires_payment_method");
    assert_eq!(page.body["data"][0]["data"]["object"]["status"], "succeeded");
}

#[test]
fn every_way_of_an_intent_has_its_event() {
    let bank = bank();
    let caller = caller(&bank);
    let newest =
        |caller: &Caller<'_>| caller.get("/v1/events?limit=1&type=payment_intent.*").body["data"][0].clone();

    caller.create(&charge("pm_card_chargeDeclined"));
    let failed = newest(&caller);
    let asked = caller.create(&charge("pm_card_authenticationRequired")).id();
    let action = newest(&caller);
    caller.post(&format!("/v1/payment_intents/{asked}/cancel"), "");
    let canceled = newest(&caller);

    assert_eq!(failed["type"], "payment_intent.payment_failed");
    assert_eq!(failed["data"]["object"]["last_payment_error"]["decline_code"], "generic_decline");
    assert_eq!(
        (&action["type"], &canceled["type"]),
        (&"payment_intent.requires_action".into(), &"payment_intent.canceled".into(),)
    );
}

#[test]
fn an_event_of_a_change_tells_the_old_values() {
    let bank = bank();
    let caller = caller(&bank);
    let intent = caller.create(&charge("pm_card_pendingRefund")).id();
    caller.post("/v1/refunds", &format!("payment_intent={intent}"));
    caller.travel(60);

    let of = |name: &str| caller.get(&format!("/v1/events?type={name}")).body["data"][0]["data"].clone();

    assert_eq!(of("refund.updated")["previous_attributes"], json!({ "status": "pending" }));
    let refunded = of("charge.refunded");
    assert_eq!(refunded["previous_attributes"], json!({ "amount_refunded": 0, "refunded": false }));
    assert_eq!(refunded["object"]["amount_refunded"], 1000);
}

#[test]
fn an_update_that_changes_nothing_is_not_told() {
    let bank = bank();
    let caller = caller(&bank);
    let id = caller.post("/v1/customers", "name=Ann").id();

    caller.post(&format!("/v1/customers/{id}"), "name=Ann");
    caller.post(&format!("/v1/customers/{id}"), "name=Bea");

    assert_eq!(names(&caller.get("/v1/events")), ["customer.updated", "customer.created"]);
}

#[test]
fn events_are_retrieved_paged_and_an_accounts_own() {
    let bank = bank();
    let caller = caller(&bank);
    caller.create(&charge("pm_card_visa"));
    let all = caller.get("/v1/events").body["data"].clone();
    let id = |row: usize| all[row]["id"].as_str().unwrap().to_owned();

    let rest = caller.get(&format!("/v1/events?limit=1&starting_after={}", id(0)));
    let one = caller.get(&format!("/v1/events/{}", id(1)));

    assert_eq!((names(&rest), &rest.body["has_more"]), (vec!["charge.succeeded"], &true.into()));
    assert_eq!(one.body, all[1]);
    assert_eq!(other_caller(&bank).get(&format!("/v1/events/{}", id(1))).status, 404);
    assert_eq!(caller.get("/v1/events/evt_0000000001forged").status, 404);
}

#[test]
fn an_endpoint_tells_its_secret_once() {
    let bank = bank();
    let caller = caller(&bank);

    let made = endpoint(&caller, "*");
    let path = format!("/v1/webhook_endpoints/{}", made["id"].as_str().unwrap());
    let seen = caller.get(&path).body;
    let deleted = caller.delete(&path).body;

    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!((seen.get("secret"), &seen["url"]), (None, &"http://127.0.0.1:9/hook".into()));
    assert_eq!(deleted["deleted"], true);
    assert_eq!((caller.get(&path).status, caller.delete(&path).status), (404, 404));
}

#[test]
fn an_endpoint_elsewhere_or_for_unknown_events_is_refused() {
    let bank = bank();
    let caller = caller(&bank);
    let cases = [
        "enabled_events[]=*",
        "url=http://127.0.0.1:9/",
        "url=http://example.com/&enabled_events[]=*",
        "url=https://127.0.0.1:9/&enabled_events[]=*",
        "url=http://169.254.169.254/&enabled_events[]=*",
        "url=http://127.0.0.1:9/&enabled_events[]=invoice.paid",
    ];

    for body in cases {
        assert_eq!(caller.post("/v1/webhook_endpoints", body).status, 400, "{body}");
    }
}

#[test]
fn an_endpoint_is_told_what_it_asked_for_and_nothing_after_its_end() {
    let bank = bank();
    let caller = caller(&bank);
    let made = endpoint(&caller, "charge.succeeded");
    endpoint(&other_caller(&bank), "*");
    caller.create(&charge("pm_card_visa"));
    caller.create(&charge("pm_card_visa"));

    let deliveries = bank.deliveries();
    let first = bank.post(deliveries[0]).unwrap();
    bank.close_delivery(deliveries[0]);
    let pending = caller.get("/v1/events?type=charge.succeeded").body["data"].clone();
    caller.delete(&format!("/v1/webhook_endpoints/{}", made["id"].as_str().unwrap()));

    let event: Value = serde_json::from_slice(&first.body).unwrap();
    assert_eq!((deliveries.len(), &event["type"]), (2, &"charge.succeeded".into()));
    assert_eq!((first.address.to_string(), first.path.as_str()), ("127.0.0.1:9".to_owned(), "/hook"));
    assert!(first.signature.starts_with(&format!("t={START},v1=")), "{}", first.signature);
    assert_eq!((&pending[1]["pending_webhooks"], &pending[0]["pending_webhooks"]), (&0.into(), &1.into()));
    assert_eq!((bank.post(deliveries[0]), bank.post(deliveries[1])), (None, None));
    assert!(bank.deliveries().is_empty());
}

#[test]
fn the_judge_signs_an_event_for_whoever_asks() {
    let bank = bank();
    let caller = caller(&bank);
    let made = endpoint(&caller, "*");
    caller.create("amount=100&currency=usd");
    let event = caller.get("/v1/events").body["data"][0]["id"].as_str().unwrap().to_owned();
    let target = |endpoint: &str| format!("/_sandbox/events/{event}/signed?endpoint={endpoint}&timestamp=7");

    let signed = caller.get(&target(made["id"].as_str().unwrap())).body;

    let payload: Value = serde_json::from_str(signed["payload"].as_str().unwrap()).unwrap();
    assert_eq!(payload["id"], *event);
    assert!(signed["signature"].as_str().unwrap().starts_with("t=7,v1="));
    assert_eq!(caller.get(&target("we_none")).status, 404);
    assert_eq!(caller.get("/_sandbox/events/evt_none/signed").status, 400);
}

#[test]
fn deliveries_that_were_not_closed_come_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bank.journal");
    let bank = Bank::open(&path).unwrap();
    endpoint(&caller(&bank), "*");
    caller(&bank).create("amount=100&currency=usd");
    caller(&bank).create("amount=100&currency=usd");
    let first = bank.deliveries();
    bank.close_delivery(first[0]);
    let left = bank.post(first[1]).unwrap().body;
    drop(bank);

    let bank = Bank::open(&path).unwrap();

    let again = bank.deliveries();
    assert_eq!(again, [first[1]]);
    assert_eq!(bank.post(again[0]).unwrap().body, left);
}

async fn exchange(stream: &mut TcpStream, request: &str) {
    stream.write_all(request.as_bytes()).await.unwrap();
}

/// Takes one post and answers it; returns what was posted.
async fn take(listener: &TcpListener, status: &str) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut text = String::new();
    loop {
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).await.unwrap();
        text.push_str(&String::from_utf8_lossy(&chunk[..length]));
        let head = text.split_once("\r\n\r\n");
        let wanted = head.and_then(|(head, body)| {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            Some(body.len() >= length.parse::<usize>().unwrap())
        });
        if wanted == Some(true) {
            break;
        }
    }
    exchange(&mut stream, &format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")).await;
    text
}

#[tokio::test]
async fn a_post_that_is_not_taken_comes_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let listen = "127.0.0.1:0".parse().unwrap();
    let running = serve(Options { listen, journal: None, latency: Duration::ZERO }).await.unwrap();
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let post = |path: &str, body: &str| {
        let head = "HTTP/1.1\r\nhost: sandbox\r\nauthorization: Bearer sk_test_http\r\n";
        format!("POST {path} {head}content-length: {}\r\n\r\n{body}", body.len())
    };

    let body = format!("url={url}&enabled_events[]=payment_intent.created");
    exchange(&mut stream, &post("/v1/webhook_endpoints", &body)).await;
    exchange(&mut stream, &post("/v1/payment_intents", "amount=100&currency=usd")).await;
    let first = take(&listener, "503 Later").await;
    let second = take(&listener, "204 No Content").await;

    assert!(first.starts_with("POST /hook HTTP/1.1\r\n"), "{first}");
    assert!(first.contains("stripe-signature: t="), "{first}");
    assert_eq!(first.split_once("\r\n\r\n").unwrap().1, second.split_once("\r\n\r\n").unwrap().1);
}

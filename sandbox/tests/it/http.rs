//! The server over a real socket: what a cut line, a kept connection and a stopped server look like.

use crate::caller::charge;
use dunlin_sandbox::{Options, Running, serve};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) async fn running(latency: Duration) -> Running {
    let listen = "127.0.0.1:0".parse().unwrap();
    serve(Options { listen, journal: None, latency }).await.unwrap()
}

pub(crate) async fn connect(running: &Running) -> TcpStream {
    TcpStream::connect(running.address).await.unwrap()
}

pub(crate) async fn post(stream: &mut TcpStream, key: &str, body: &str) {
    post_to(stream, "/v1/payment_intents", key, body).await;
}

pub(crate) async fn post_to(stream: &mut TcpStream, path: &str, key: &str, body: &str) {
    let head = format!("POST {path} HTTP/1.1\r\nhost: sandbox\r\nauthorization: Bearer sk_test_http\r\n");
    let request = format!("{head}idempotency-key: {key}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
}

/// One answer, head and body, without closing the connection.
pub(crate) async fn answer(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8(read.clone()).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                return text;
            }
        }
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).await.unwrap();
        assert_ne!(length, 0, "closed after {text:?}");
        read.extend_from_slice(&chunk[..length]);
    }
}

/// All that comes before the connection ends.
pub(crate) async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    // A reset is an end too.
    let _ended = stream.read_to_end(&mut read).await;
    read
}

#[tokio::test]
async fn a_connection_carries_many_exchanges() {
    let running = running(Duration::ZERO).await;
    let mut stream = connect(&running).await;

    for key in ["k1", "k1", "k2"] {
        post(&mut stream, key, &charge("pm_card_visa")).await;
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    stream.write_all(b"GET /_sandbox/ledger HTTP/1.1\r\nhost: sandbox\r\n\r\n").await.unwrap();

    let told = answer(&mut stream).await;
    let ledger: serde_json::Value = serde_json::from_str(told.split("\r\n\r\n").last().unwrap()).unwrap();
    assert_eq!((&ledger["captures"], &ledger["intents"]), (&2.into(), &2.into()));
}

#[tokio::test]
async fn a_cut_line_is_closed_without_a_byte_of_answer() {
    let running = running(Duration::ZERO).await;

    for card in ["pm_sandbox_lost_before", "pm_sandbox_lost_after", "pm_sandbox_lost_after_decline"] {
        let mut stream = connect(&running).await;
        post(&mut stream, card, &charge(card)).await;

        assert!(rest(&mut stream).await.is_empty(), "{card}");
    }
}

#[tokio::test]
async fn a_caller_learns_on_a_new_line_what_the_cut_one_did() {
    let running = running(Duration::ZERO).await;
    let mut first = connect(&running).await;
    post(&mut first, "k1", &charge("pm_sandbox_lost_after")).await;
    rest(&mut first).await;

    let mut second = connect(&running).await;
    post(&mut second, "k1", &charge("pm_sandbox_lost_after")).await;

    let answer = answer(&mut second).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(answer.contains("idempotent-replayed: true\r\n"));
}

#[tokio::test]
async fn a_slow_card_and_a_slow_server_take_their_time() {
    let running = running(Duration::from_millis(30)).await;
    let mut stream = connect(&running).await;
    let started = Instant::now();

    post(&mut stream, "k1", &charge("pm_sandbox_slow_50")).await;
    answer(&mut stream).await;

    assert!(started.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let running = running(Duration::ZERO).await;
    let mut stream = connect(&running).await;

    stream
        .write_all(b"POST /v1/payment_intents HTTP/1.1\r\nhost: x\r\ncontent-length: 1048577\r\n\r\n")
        .await
        .unwrap();

    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn a_stopped_server_lets_go_of_its_port_and_its_connections() {
    let running = running(Duration::ZERO).await;
    let mut idle = connect(&running).await;
    post(&mut idle, "k1", &charge("pm_card_visa")).await;
    answer(&mut idle).await;
    let address = running.address;

    running.stop();
    running.stopped().await;

    assert!(rest(&mut idle).await.is_empty());
    assert!(TcpStream::connect(address).await.is_err());
}

//! Faults over a real socket: resets, torn bodies, drops, and a server that takes no connections.

use crate::{
    caller::charge,
    http::{answer, connect, post, post_to, rest, running},
};
use dunlin_sandbox::Running;
use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How many captures the ledger counts.
async fn captures(running: &Running) -> u64 {
    let mut stream = connect(running).await;
    stream.write_all(b"GET /_sandbox/ledger HTTP/1.1\r\nhost: sandbox\r\n\r\n").await.unwrap();
    let answer = answer(&mut stream).await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str::<serde_json::Value>(body).unwrap()["captures"].as_u64().unwrap()
}

async fn order(running: &Running, order: &str) {
    let mut stream = connect(running).await;
    post_to(&mut stream, "/_sandbox/faults", "order", order).await;
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"), "{order}");
}

/// Asks for a charge and reads until the line ends.
async fn charged(running: &Running, fault: &str) -> (Vec<u8>, Option<ErrorKind>) {
    let mut stream = connect(running).await;
    post(&mut stream, fault, &charge(&format!("pm_sandbox_{fault}"))).await;
    let mut read = Vec::new();
    let ended = stream.read_to_end(&mut read).await;
    (read, ended.err().map(|error| error.kind()))
}

#[tokio::test]
async fn a_reset_is_told_apart_from_an_end() {
    let running = running(Duration::ZERO).await;

    for (fault, expected, taken) in [
        ("cut_before", None, 0),
        ("reset_before", Some(ErrorKind::ConnectionReset), 0),
        ("cut_after", None, 1),
        ("reset_after", Some(ErrorKind::ConnectionReset), 2),
    ] {
        let (read, end) = charged(&running, fault).await;

        assert!(read.is_empty(), "{fault}");
        assert_eq!(end, expected, "{fault}");
        assert_eq!(captures(&running).await, taken, "{fault}");
    }
}

#[tokio::test]
async fn a_torn_body_ends_before_its_length() {
    let running = running(Duration::ZERO).await;

    let (read, _) = charged(&running, "torn").await;

    let text = String::from_utf8(read).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(!body.is_empty() && body.len() < length.parse().unwrap(), "{} of {length}", body.len());
    assert_eq!(captures(&running).await, 1);
}

#[tokio::test]
async fn a_body_drips_and_arrives_whole() {
    let running = running(Duration::ZERO).await;
    let mut stream = connect(&running).await;
    let started = Instant::now();

    post(&mut stream, "k1", &charge("pm_sandbox_drip_1")).await;
    let answer = answer(&mut stream).await;

    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let intent: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(intent["status"], "succeeded");
    assert!(started.elapsed() >= Duration::from_millis(u64::try_from(body.len()).unwrap()));
}

#[tokio::test]
async fn a_deaf_server_refuses_connections_and_listens_again() {
    let running = running(Duration::ZERO).await;
    let mut idle = connect(&running).await;
    post(&mut idle, "k1", &charge("pm_card_visa")).await;
    answer(&mut idle).await;

    order(&running, r#"{"fault": "refuse_connect_300"}"#).await;
    let ended = rest(&mut idle).await;
    let refused = TcpStream::connect(running.address).await;
    let mut again = reconnect(&running).await;
    post(&mut again, "k2", &charge("pm_card_visa")).await;

    assert!(ended.is_empty());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert!(answer(&mut again).await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(captures(&running).await, 2);
}

async fn reconnect(running: &Running) -> TcpStream {
    loop {
        match TcpStream::connect(running.address).await {
            Ok(stream) => return stream,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn a_resetting_server_accepts_and_reads_nothing() {
    let running = running(Duration::ZERO).await;

    order(&running, r#"{"fault": "reset_on_accept_300"}"#).await;
    let mut stream = connect(&running).await;
    let mut byte = [0];
    let end = stream.read(&mut byte).await;
    let mut again = connect(&running).await;
    while !is_well(&mut again).await {
        again = connect(&running).await;
    }
    post(&mut again, "k1", &charge("pm_card_visa")).await;

    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(answer(&mut again).await.starts_with("HTTP/1.1 200 OK\r\n"));
}

/// Whether the server answers on this line.
async fn is_well(stream: &mut TcpStream) -> bool {
    let asked = stream.write_all(b"GET /_sandbox/health HTTP/1.1\r\nhost: sandbox\r\n\r\n").await;
    let mut read = Vec::new();
    while asked.is_ok() && !read.ends_with(b"}") {
        if !matches!(stream.read_buf(&mut read).await, Ok(1..)) {
            break;
        }
    }
    read.starts_with(b"HTTP/1.1 200 ")
}

#[tokio::test]
async fn a_server_that_is_deaf_can_be_stopped() {
    let running = running(Duration::ZERO).await;
    order(&running, r#"{"fault": "refuse_connect_600000"}"#).await;

    running.stop();

    running.stopped().await;
}

#[tokio::test]
async fn two_requests_of_one_key_do_not_run_at_once() {
    let running = running(Duration::from_millis(300)).await;
    let (mut first, mut second) = (connect(&running).await, connect(&running).await);

    let body = charge("pm_card_visa");
    let answers = tokio::join!(
        async {
            post(&mut first, "k1", &body).await;
            answer(&mut first).await
        },
        async {
            post(&mut second, "k1", &body).await;
            answer(&mut second).await
        },
    );

    let mut statuses = [&answers.0[..12], &answers.1[..12]];
    statuses.sort_unstable();
    assert_eq!(statuses, ["HTTP/1.1 200", "HTTP/1.1 409"]);
    post(&mut second, "k1", &body).await;
    assert!(answer(&mut second).await.contains("idempotent-replayed: true"));
    assert_eq!(captures(&running).await, 1);
}

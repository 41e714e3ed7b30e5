//! The client for gateways against servers that misbehave: what is proven not to have left, and what is not.

use dunlin::{
    domain::attempt::ExchangeKind,
    gateway::{
        Account, AccountConfig, Call, GatewayName, Registry, Reply,
        client::{Client, ClientConfig, SendError},
    },
};
use std::{
    collections::BTreeMap,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\nX-Request: r1\r\nContent-Length: 2\r\n\r\n{}";

/// A server that reads a request and does one thing with its connection, each time.
struct Server {
    url: String,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::doing(move |mut stream, _| {
            let answer = answer.clone();
            async move {
                // A caller that has had enough closes first.
                let _ = stream.write_all(&answer).await;
            }
        })
        .await
    }

    async fn doing<F>(act: impl Fn(TcpStream, String) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let request = read_request(&mut stream).await;
                act(stream, request).await;
            }
        });
        Self { url, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&request).ends_with("amount=1250") {
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        if read == 0 {
            break;
        }
        request.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&request).into_owned()
}

async fn send(url: &str) -> Result<Reply, SendError> {
    let config = ClientConfig { connect_timeout_ms: 2000, timeout_ms: 2000 };
    send_within(url, &config).await
}

async fn send_within(url: &str, config: &ClientConfig) -> Result<Reply, SendError> {
    let client = Client::new(config).unwrap();
    let call = Call {
        kind: ExchangeKind::Create,
        method: "POST",
        path: "/v1/charges?x=1".to_owned(),
        idempotency_key: Some("dunlin:test:1".to_owned()),
        body: "amount=1250".to_owned(),
    };
    client.send(&account(url), &call, "2026-01-01").await
}

fn account(url: &str) -> Account {
    let config = AccountConfig {
        gateway: GatewayName::Stripe,
        livemode: false,
        base_url: url.to_owned(),
        secret_key: "sk_test_secret".to_owned().into(),
        webhook_secret: None,
        follows_test_clock: false,
    };
    Registry::new(&BTreeMap::from([("main".to_owned(), config)])).find("main").unwrap().clone()
}

fn assert_not_sent(result: &Result<Reply, SendError>) {
    assert!(matches!(result, Err(SendError::NotSent(_))), "{result:?}");
}

fn assert_lost(result: &Result<Reply, SendError>) {
    assert!(matches!(result, Err(SendError::Lost(_))), "{result:?}");
}

#[tokio::test]
async fn a_whole_answer_is_read_and_the_request_was_sent_as_it_was_given() {
    let (seen, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::doing(move |mut stream, request| {
        seen.send(request).unwrap();
        async move { stream.write_all(WHOLE).await.unwrap() }
    })
    .await;

    let reply = send(&server.url).await.unwrap();

    assert_eq!((reply.status, reply.body.as_slice()), (200, b"{}".as_slice()));
    assert_eq!(reply.headers.get("x-request").map(String::as_str), Some("r1"));
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("POST /v1/charges?x=1 HTTP/1.1\r\n"), "{request}");
    for header in [
        "idempotency-key: dunlin:test:1",
        "authorization: Bearer sk_test_secret",
        "content-type: application/x-www-form-urlencoded",
    ] {
        assert!(request.lines().any(|line| line == header), "{header}: {request}");
    }
    assert!(request.ends_with("\r\n\r\namount=1250"), "{request}");
}

#[tokio::test]
async fn a_refused_connection_proves_that_nothing_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);

    assert_not_sent(&send(&format!("http://{address}")).await);
}

#[tokio::test]
async fn a_name_without_an_address_proves_that_nothing_left() {
    assert_not_sent(&send("http://gateway.invalid").await);
}

#[tokio::test]
async fn a_failed_tls_handshake_proves_that_nothing_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });

    assert_not_sent(&send(&url).await);
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_proves_nothing() {
    let server = Server::answering(*b"").await;

    assert_lost(&send(&server.url).await);
    assert_eq!(server.connections(), 1, "the client never retries by itself");
}

#[tokio::test]
async fn half_an_answer_proves_nothing() {
    for half in [
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"id\"\r\n",
    ] {
        let server = Server::answering(half).await;

        assert_lost(&send(&server.url).await);
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn what_is_no_http_proves_nothing() {
    let server = Server::answering("\x15\x03\x01 who are you?\r\n\r\n").await;

    assert_lost(&send(&server.url).await);
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_proves_nothing() {
    let config = ClientConfig { connect_timeout_ms: 2000, timeout_ms: 100 };
    let silent = Server::doing(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let stalled = Server::doing(|mut stream, _| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;

    for server in [silent, stalled] {
        let result = send_within(&server.url, &config).await;
        assert_lost(&result);
        let said = result.unwrap_err().to_string();
        assert!(said.contains("timed out"), "{said}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let elsewhere = Server::answering(WHOLE).await;
    for status in [301, 302, 303, 307, 308] {
        let answer =
            format!("HTTP/1.1 {status} Go\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", elsewhere.url);
        let server = Server::answering(answer).await;

        assert_eq!(send(&server.url).await.unwrap().status, status);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n".to_vec();
    answer.resize(2_000_000, b' ');
    let server = Server::answering(answer).await;

    let result = send(&server.url).await;

    assert_lost(&result);
    assert!(result.unwrap_err().to_string().contains("longer than"));
}

#[tokio::test]
async fn no_error_tells_the_key() {
    let server = Server::answering(*b"").await;

    let error = send(&server.url).await.unwrap_err();

    assert!(!format!("{error} {error:?}").contains("sk_test"));
}

// The client reads the environment when it is built, so a process of its own has to be asked.
#[test]
fn proxies_of_the_environment_are_ignored() {
    let nowhere = "http://127.0.0.1:9";
    let name = "client::a_whole_answer_is_read_and_the_request_was_sent_as_it_was_given";

    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .envs(
            ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
                .map(|key| (key, nowhere)),
        )
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();

    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.status.success() && said.contains("1 passed"), "{said}");
}

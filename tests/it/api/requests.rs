//! Requests that are wrong before their content is: routes, methods, headers, bodies.

use super::{Api, assert_problem, id, payment};
use crate::support::{both, database::Database, process::Answer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn unknown_paths_and_methods_are_told() {
    let api = Api::sqlite();

    for path in ["/", "/v1", "/v1/payment", "/v1/payments/", "/v2/payments", "/v1/payments/a/b/c"] {
        assert_problem(&api.caller.get(path).await, 404, "no_such_route", None);
    }
    let delete = api.caller.raw(|http, url| http.delete(format!("{url}/v1/payments"))).await;
    let get = api.caller.get("/v1/payments/batch/").await;
    let post = api.caller.post("/livez", None, &json!({})).await;

    assert_problem(&delete, 405, "no_such_method", None);
    let allowed = delete.headers["allow"].to_str().unwrap();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
    assert_problem(&get, 404, "no_such_route", None);
    assert_problem(&post, 405, "no_such_method", None);
    assert_eq!(api.caller.get("/livez").await.status, 200);
    assert_eq!(api.caller.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_body_must_say_that_it_is_json() {
    let api = Api::sqlite();
    let send = |kind: Option<&'static str>, key: &'static str| {
        let secret = api.serve.key.clone();
        let request = move |http: &reqwest::Client, url: &str| {
            let mut request = http.post(format!("{url}/v1/payments")).bearer_auth(secret);
            if let Some(kind) = kind {
                request = request.header("content-type", kind);
            }
            request.header("idempotency-key", key).body(payment("pm_card_visa").to_string())
        };
        api.caller.raw(request)
    };

    for kind in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonp")]
    {
        assert_problem(&send(kind, "a").await, 415, "unsupported_media_type", Some("Content-Type"));
    }
    assert!(api.list("").await.is_empty());
    assert_eq!(send(Some("Application/JSON; charset=utf-8"), "a").await.status, 201);
}

#[tokio::test]
async fn what_is_not_json_is_refused_and_where_is_told() {
    let api = Api::sqlite();
    let good = payment("pm_card_visa").to_string();

    for (name, bytes) in [
        ("empty", Vec::new()),
        ("broken", good.as_bytes()[..good.len() - 1].to_vec()),
        ("trailing", format!("{good} x").into_bytes()),
        ("two", format!("{good}{good}").into_bytes()),
        (
            "not UTF-8",
            good.replace("cus_1", "\u{1}").bytes().map(|b| if b == 1 { 0xff } else { b }).collect(),
        ),
        ("a raw NUL", good.replace("cus_1", "\0").into_bytes()),
        ("a lone surrogate", good.replace("cus_1", "\\ud800").into_bytes()),
        ("NaN", good.replace("1250", "NaN").into_bytes()),
        ("a leading zero", good.replace("1250", "01250").into_bytes()),
    ] {
        let refused = api.send(bytes).await;
        assert_problem(&refused, 400, "invalid_json", None);
        assert!(refused.body["detail"].as_str().unwrap().contains("line 1"), "{name}: {}", refused.body);
    }
    for deep in ["[".repeat(10_000), format!("{{\"metadata\":{}", "{\"a\":".repeat(10_000))] {
        assert_problem(&api.send(deep).await, 400, "json_too_deep", None);
    }
    for other in [
        "null",
        "5",
        "\"text\"",
        "[]",
        "[1250,\"EUR\",{\"type\":\"card\",\"payment_method\":\"pm_card_visa\"}]",
    ] {
        assert_problem(&api.send(other).await, 422, "invalid_field", None);
    }
    assert!(api.list("").await.is_empty());
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_however_it_is_sent() {
    let api = Api::sqlite();
    let large = format!("{{\"description\":\"{}\"}}", "x".repeat(300_000));

    assert_problem(&api.send(large).await, 413, "body_too_large", None);
    assert_eq!(send_chunks(&api, 40).await, "HTTP/1.1 413 Payload Too Large");
    assert!(api.list("").await.is_empty());
}

/// Sends a body whose length is not said before, and gets the first line of the answer.
async fn send_chunks(api: &Api, count: usize) -> String {
    let address = api.serve.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/payments HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nIdempotency-Key: a\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        api.serve.key
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("2710\r\n{}\r\n", " ".repeat(10_000));
    for _ in 0..count {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn headers_that_are_wrong_are_named() {
    let api = Api::sqlite();
    let body = payment("pm_card_visa");

    for (name, value, param) in [
        ("prefer", "wait=abc", "Prefer"),
        ("prefer", "wait=31", "Prefer"),
        ("prefer", "wait=-1", "Prefer"),
        ("x-allow-duplicate", "1", "X-Allow-Duplicate"),
    ] {
        assert_problem(&api.create_with("a", (name, value), &body).await, 400, "invalid_header", Some(param));
    }
    assert!(api.list("").await.is_empty());
    let unknown = api.create_with("a", ("prefer", "respond-async"), &body).await;
    assert_eq!(unknown.status, 201, "preferences that nobody knows are ignored");
}

both! { a_trace_that_is_none_is_dropped }

async fn a_trace_that_is_none_is_dropped(database: Database) {
    let api = Api::start(database, &[]);
    let body = payment("pm_card_visa");
    let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    let kept = api.create_with("a", ("traceparent", good), &body).await;
    let dropped = api.create_with("b", ("traceparent", "not-a-trace'; --"), &body).await;

    assert_eq!((kept.status, dropped.status), (201, 201));
    for answer in [kept, dropped] {
        api.caller.wait_for(&id(&answer.body), "succeeded").await;
    }
    let left: Vec<Value> = api.list("status=failed").await;
    assert!(left.is_empty());
}

// S7, API4
#[tokio::test]
async fn a_key_that_asks_too_much_is_told_to_wait_and_others_are_not() {
    let api = Api::start(
        Database::sqlite(),
        &[("DUNLIN_HTTP__KEY_REQUESTS_PER_S", "1"), ("DUNLIN_HTTP__KEY_BURST", "5")],
    );
    let made = json!({ "name": "other", "scopes": ["payments:read"] });
    let other =
        api.caller.post("/v1/api_keys", None, &made).await.body["secret"].as_str().unwrap().to_owned();
    let other = crate::support::process::Caller::new(&api.serve.url, &other);

    let mut answers = Vec::new();
    while answers.last().is_none_or(|answer: &Answer| answer.status == 200) {
        answers.push(api.caller.get("/v1/payments").await);
    }
    let refused = answers.pop().unwrap();

    assert!(answers.len() >= 4, "{}", answers.len());
    assert_problem(&refused, 429, "rate_limited", None);
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(other.get("/v1/payments").await.status, 200);
    assert_eq!(api.caller.get("/livez").await.status, 200);
    while api.caller.get("/v1/payments").await.status != 200 {}
}

#[tokio::test]
async fn gateway_accounts_of_the_environment_are_listed() {
    let settings = [
        ("DUNLIN_GATEWAYS__ACME__GATEWAY", "stripe"),
        ("DUNLIN_GATEWAYS__ACME__LIVEMODE", "false"),
        ("DUNLIN_GATEWAYS__ACME__BASE_URL", "http://127.0.0.1:9"),
        ("DUNLIN_GATEWAYS__ACME__SECRET_KEY", "sk_test_secret"),
    ];
    let api = Api::start(Database::sqlite(), &settings);

    let listed = api.caller.get("/v1/gateways").await;

    let account = |name: &str, default: bool, status: &str, hold: &Value| {
        json!({
            "object": "gateway_account", "name": name, "gateway": "stripe", "livemode": false, "default": default,
            "webhooks": format!("/v1/gateways/{name}/webhooks"), "status": status, "hold": hold,
        })
    };
    // Nobody answers there, so it is not known whose account it is.
    let hold = &listed.body["data"][0]["hold"];
    assert_eq!(hold["reason"], "identity", "{hold}");
    let expected =
        json!([account("acme", true, "on_hold", hold), account("sandbox", false, "active", &Value::Null)]);
    assert_eq!(listed.body["data"], expected);
    assert!(!listed.body.to_string().contains("secret"));
}

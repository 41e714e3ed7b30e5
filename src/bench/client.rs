//! Clients: one connection each, kept open, one request at a time. As little as can send a request, since what they
//! take of the processor is taken from the service.

use anyhow::{Context, ensure};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::TcpStream;

#[derive(Debug)]
pub(super) struct Client {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    bearer: String,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr, key: &str) -> anyhow::Result<Self> {
        let stream =
            TcpStream::connect(address).await.with_context(|| format!("{address} does not answer"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, host: address.to_string(), bearer: format!("Bearer {key}") })
    }

    /// Posts a charge under its key, and insists that it is taken.
    pub(super) async fn charge(&mut self, key: &str, body: String) -> anyhow::Result<()> {
        let request = self.request(Method::POST, "/v1/payments").header("idempotency-key", key);
        let request = request.header("content-type", "application/json");
        let (status, answer) = self.send(request.body(Full::from(body))?).await?;
        ensure!(
            status == StatusCode::CREATED,
            "a charge was refused: {status} {}",
            String::from_utf8_lossy(&answer)
        );
        Ok(())
    }

    pub(super) async fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        let request = self.request(Method::GET, path).body(Full::default())?;
        let (status, answer) = self.send(request).await?;
        ensure!(status == StatusCode::OK, "{path}: {status} {}", String::from_utf8_lossy(&answer));
        Ok(serde_json::from_slice(&answer)?)
    }

    fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        let request = Request::builder().method(method).uri(path);
        request.header("host", &self.host).header("authorization", &self.bearer)
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Bytes)> {
        self.sender.ready().await.context("a server closed the connection")?;
        let answer = self.sender.send_request(request).await.context("a request was not answered")?;
        let status = answer.status();
        let body = answer.into_body().collect().await.context("an answer broke off")?.to_bytes();
        Ok((status, body))
    }
}

//! The courier posts events to their endpoints, and tries again for a short while.

use crate::{bank::Bank, post::Post};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use std::{sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
    time::{self, timeout},
};

/// How often the bank is asked for what has become due.
const LOOK: Duration = Duration::from_millis(50);
/// The waits between the tries.
const WAITS: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(10)];
const TRY_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_AT_ONCE: usize = 16;

/// Delivers until it is dropped.
pub(crate) async fn deliver(bank: Arc<Bank>) {
    let places = Arc::new(Semaphore::new(MAX_AT_ONCE));
    let mut rounds = JoinSet::new();
    loop {
        for delivery in bank.deliveries() {
            rounds.spawn(carry(Arc::clone(&bank), Arc::clone(&places), delivery));
        }
        while rounds.try_join_next().is_some() {}
        time::sleep(LOOK).await;
    }
}

/// Tries until the endpoint took it, is gone, or has had its tries.
async fn carry(bank: Arc<Bank>, places: Arc<Semaphore>, delivery: u64) {
    let mut waits = WAITS.into_iter();
    while let Some(post) = bank.post(delivery) {
        let Ok(place) = places.acquire().await else { return };
        let was_taken = timeout(TRY_TIMEOUT, send(post)).await.is_ok_and(|sent| sent.unwrap_or(false));
        drop(place);
        match waits.next() {
            Some(wait) if !was_taken => time::sleep(wait).await,
            Some(_) | None => break,
        }
    }
    bank.close_delivery(delivery);
}

/// Whether the endpoint said that it has it.
async fn send(post: Post) -> anyhow::Result<bool> {
    let stream = TcpStream::connect(post.address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::post(post.path)
        .header(header::HOST, post.host)
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header("stripe-signature", post.signature)
        .body(Full::new(Bytes::from(post.body)))?;
    // The connection is driven here, and gone with the answer's head.
    tokio::select! {
        answer = sender.send_request(request) => Ok(answer?.status().is_success()),
        ended = connection => {
            ended?;
            Ok(false)
        }
    }
}

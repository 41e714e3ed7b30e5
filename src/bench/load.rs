//! Load: charges, one request each, from many clients at a time.

use super::{client::Client, figures::rate};
use anyhow::Context;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// What is sent, and where to.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) doors: Vec<SocketAddr>,
    pub(super) key: String,
    pub(super) clients: usize,
    pub(super) charges: usize,
    /// From one charge to the next; none where each client sends its next as soon as the last is taken.
    pub(super) pace: Option<Duration>,
    pub(super) card: String,
    /// When they are charged; at once if it says nothing.
    pub(super) process_at: Option<String>,
    /// What tells these charges from all others.
    pub(super) name: String,
}

/// How it was taken.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) per_s: Option<u64>,
    /// From the first byte of each request to the last one of its answer.
    pub(super) latencies: Vec<Duration>,
}

impl Load {
    /// Sends everything; a charge that is not taken ends it.
    pub(super) async fn send(self) -> anyhow::Result<Taken> {
        let charges = self.charges;
        let load = Arc::new(self);
        let next = Arc::new(AtomicUsize::new(0));
        let mut clients = Vec::with_capacity(load.clients);
        for client in 0..load.clients {
            let door = load.doors.get(client % load.doors.len().max(1)).context("nobody takes charges")?;
            clients.push(Client::connect(*door, &load.key).await?);
        }
        let started = Instant::now();
        let send = |client| tokio::spawn(send(client, Arc::clone(&load), Arc::clone(&next), started));
        let tasks: Vec<_> = clients.into_iter().map(send).collect();
        let mut latencies = Vec::with_capacity(charges);
        for task in tasks {
            latencies.extend(task.await.context("a client broke")??);
        }
        Ok(Taken { per_s: rate(charges, started.elapsed()), latencies })
    }

    fn body(&self, n: usize) -> String {
        let at = self.process_at.as_ref().map_or_else(String::new, |at| format!(",\"process_at\":\"{at}\""));
        format!(
            "{{\"amount\":1250,\"currency\":\"EUR\",\"customer\":\"cus_{}\",\"reference\":\"{}-{n}\",\
             \"method\":{{\"type\":\"card\",\"payment_method\":\"{}\"}},\
             \"description\":\"Monthly subscription\"{at}}}",
            n % CUSTOMERS,
            self.name,
            self.card
        )
    }
}

/// How many customers are charged, one after the other.
pub(super) const CUSTOMERS: usize = 5000;

/// One client, until all charges are sent.
async fn send(
    mut client: Client,
    load: Arc<Load>,
    next: Arc<AtomicUsize>,
    started: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= load.charges {
            return Ok(latencies);
        }
        if let Some(pace) = load.pace {
            tokio::time::sleep_until(started + pace * u32::try_from(n)?).await;
        }
        let sent = Instant::now();
        client.charge(&format!("{}-{n}", load.name), load.body(n)).await?;
        latencies.push(sent.elapsed());
    }
}

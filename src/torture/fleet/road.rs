//! A way between processes and a server, on which things go wrong when they are told to.

use super::blows::Weather;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// How long the server has to carry out a COMMIT whose answer is then lost.
const CARRIED_OUT: Duration = Duration::from_millis(30);
const COMMIT: &[u8] = b"COMMIT\0";
const CHUNK: usize = 16 * 1024;

/// Ends with this value, and every connection on it too.
#[derive(Debug)]
pub(super) struct Road {
    pub(super) address: SocketAddr,
    weather: watch::Sender<Weather>,
    carrying: JoinHandle<()>,
}

impl Road {
    /// Leads to a server, as `HOST:PORT`.
    pub(super) async fn to(server: String) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (weather, seen) = watch::channel(Weather::Clear);
        let carrying = tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                tokio::spawn(carry(caller, server.clone(), seen.clone()));
            }
        });
        Ok(Self { address, weather, carrying })
    }

    /// How things go from now on.
    pub(super) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

/// One connection, until an end closes it, or the weather does.
async fn carry(caller: TcpStream, server: String, seen: watch::Receiver<Weather>) {
    if *seen.borrow() == Weather::Shut {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    let _ = (caller.set_nodelay(true), server.set_nodelay(true));
    let ((caller_says, caller_hears), (server_says, server_hears)) =
        (caller.into_split(), server.into_split());
    let muted = Arc::new(AtomicBool::new(false));
    let mut breaking = seen.clone();
    // What this connection begins in does not break it.
    breaking.mark_unchanged();
    let broken = async move {
        let breaks = |weather: &Weather| matches!(weather, Weather::Cut | Weather::Shut);
        while breaking.changed().await.is_ok() {
            if breaks(&breaking.borrow_and_update()) {
                return;
            }
        }
    };
    tokio::select! {
        () = there(caller_says, server_hears, seen.clone(), Arc::clone(&muted)) => {}
        () = back(server_says, caller_hears, seen, muted) => {}
        () = broken => {}
    }
}

/// What the caller says, up to a COMMIT whose answer is to be lost.
async fn there(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    seen: watch::Receiver<Weather>,
    muted: Arc<AtomicBool>,
) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        let weather = *seen.borrow();
        delay(weather).await;
        let is_lost = weather == Weather::CommitsLost && has_commit(&chunk[..length]);
        muted.store(is_lost, Ordering::Relaxed);
        if to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
        if is_lost {
            tokio::time::sleep(CARRIED_OUT).await;
            return;
        }
    }
}

async fn back(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    seen: watch::Receiver<Weather>,
    muted: Arc<AtomicBool>,
) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        let weather = *seen.borrow();
        delay(weather).await;
        if muted.load(Ordering::Relaxed) {
            // The other direction ends this connection.
            std::future::pending::<()>().await;
        }
        if to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
    }
}

async fn delay(weather: Weather) {
    if let Weather::Slow(by) = weather {
        tokio::time::sleep(by).await;
    }
}

fn has_commit(chunk: &[u8]) -> bool {
    chunk.windows(COMMIT.len()).any(|window| window == COMMIT)
}

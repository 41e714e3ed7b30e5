//! The server puts a bank on a TCP port, so that a cut line is a closed connection and nothing else.

use crate::{
    bank::Bank,
    courier,
    door::Door,
    line::{self, Fuse, Line},
    message::{Closing, Manner},
};
use anyhow::Context;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time,
};

#[derive(Debug, Clone)]
pub struct Options {
    pub listen: SocketAddr,
    /// Without one the bank forgets everything when it stops.
    pub journal: Option<PathBuf>,
    /// Slept before every answer.
    pub latency: Duration,
}

const HEADER_TIMEOUT: Duration = Duration::from_mins(1);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Out of file descriptors, most likely; asking again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server at work; dropping it stops it.
#[derive(Debug)]
pub struct Running {
    pub address: SocketAddr,
    stopper: Stopper,
    task: JoinHandle<()>,
}

/// Stops a server from elsewhere.
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Running {
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    pub fn stop(&self) {
        self.stopper.stop();
    }

    /// Waits until the server has stopped and let go of its connections.
    pub async fn stopped(mut self) {
        // A task that panicked has stopped too.
        let _ended = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Opens the bank and puts it on its port.
pub async fn serve(options: Options) -> anyhow::Result<Running> {
    let Options { listen, journal, latency } = options;
    let bank = match journal {
        Some(path) => tokio::task::spawn_blocking(move || Bank::open(&path)).await??,
        None => Bank::in_memory(),
    };
    serve_bank(Arc::new(bank), listen, latency).await
}

/// Puts a bank on a port that others hold too.
pub async fn serve_bank(bank: Arc<Bank>, listen: SocketAddr, latency: Duration) -> anyhow::Result<Running> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("listen on {listen}"))?;
    let address = listener.local_addr()?;
    let (sender, stop) = watch::channel(false);
    let courier = JoinSet::from_iter([courier::deliver(Arc::clone(&bank))]);
    let (door, closings) = Door::new(bank, latency);
    let house = House { address, door, connections: JoinSet::new(), _courier: courier, closings, stop };
    let task = tokio::spawn(house.keep(listener));
    Ok(Running { address, stopper: Stopper(sender), task })
}

/// What happened at the port.
enum Visit {
    Stop,
    Caller(io::Result<(TcpStream, SocketAddr)>),
    Closing(Closing),
}

/// The port, and what goes on behind it.
#[derive(Debug)]
struct House {
    address: SocketAddr,
    door: Door,
    connections: JoinSet<()>,
    /// Ends with the house.
    _courier: JoinSet<()>,
    closings: mpsc::UnboundedReceiver<Closing>,
    stop: watch::Receiver<bool>,
}

impl House {
    async fn keep(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        while let Some(open) = listener.take() {
            match self.visit(&open).await {
                Visit::Stop => break,
                Visit::Caller(Ok((stream, peer))) => {
                    let (door, stop) = (self.door.clone(), self.stop.clone());
                    self.connections.spawn(connection(stream, peer.ip(), door, stop));
                    listener = Some(open);
                }
                Visit::Caller(Err(_)) => {
                    time::sleep(ACCEPT_PAUSE).await;
                    listener = Some(open);
                }
                Visit::Closing(closing) => listener = self.close(open, closing).await,
            }
        }
        drop(listener);
        let drained = async { while self.connections.join_next().await.is_some() {} };
        let _in_time = time::timeout(DRAIN_TIMEOUT, drained).await;
    }

    async fn visit(&mut self, listener: &TcpListener) -> Visit {
        loop {
            tokio::select! {
                () = stopped(&mut self.stop) => return Visit::Stop,
                _ = self.connections.join_next(), if !self.connections.is_empty() => {}
                Some(closing) = self.closings.recv() => return Visit::Closing(closing),
                accepted = listener.accept() => return Visit::Caller(accepted),
            }
        }
    }

    /// Takes nobody for a while; returns the open port, or none if the server stops meanwhile.
    async fn close(&mut self, listener: TcpListener, closing: Closing) -> Option<TcpListener> {
        let reopened = match closing.manner {
            Manner::Deaf => {
                drop(listener);
                tokio::select! {
                    () = stopped(&mut self.stop) => return None,
                    () = time::sleep(closing.pause) => listen_again(self.address).await,
                }
            }
            Manner::Resetting => {
                tokio::select! {
                    () = stopped(&mut self.stop) => return None,
                    () = time::sleep(closing.pause) => {}
                    () = reset_all(&listener) => {}
                }
                listener
            }
        };
        Some(reopened)
    }
}

/// The port is ours, but another process may have taken it meanwhile.
async fn listen_again(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn reset_all(listener: &TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => line::reset(&stream),
            Err(_) => time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Returns when the server shall stop; a lost stopper means the same.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _changed = stop.wait_for(|is_stopped| *is_stopped).await;
}

async fn connection(stream: TcpStream, peer: IpAddr, door: Door, mut stop: watch::Receiver<bool>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let fuse = Fuse::default();
    let line = Line::new(stream, fuse.clone());
    let mut closed = door.closed();
    let service = service_fn(move |request| {
        let (door, fuse) = (door.clone(), fuse.clone());
        async move { door.answer(request, peer, &fuse).await }
    });
    let mut builder = http1::Builder::new();
    builder.keep_alive(true).timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(line), service));
    // An error is a caller that left, or a line we cut: either way the connection is gone.
    tokio::select! {
        _ended = serving.as_mut() => return,
        () = stopped(&mut stop) => serving.as_mut().graceful_shutdown(),
        _closed = closed.changed() => serving.as_mut().graceful_shutdown(),
    }
    let _ended = serving.await;
}

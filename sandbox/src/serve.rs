//! The server puts a bank on a TCP port, so that a cut line is a closed connection and nothing else.

use crate::{
    admin,
    bank::Bank,
    message::{Outcome, Reply, Request},
    problem::Problem,
};
use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Response,
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
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
    sync::watch,
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

const MAX_BODY_BYTES: u64 = 1 << 20;
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
    let task = tokio::spawn(accept(listener, Door { bank, latency }, stop));
    Ok(Running { address, stopper: Stopper(sender), task })
}

#[derive(Debug, Clone)]
struct Door {
    bank: Arc<Bank>,
    latency: Duration,
}

async fn accept(listener: TcpListener, door: Door, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => break,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(connection(stream, peer.ip(), door.clone(), stop.clone()));
            }
            Err(_) => time::sleep(ACCEPT_PAUSE).await,
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    let _in_time = time::timeout(DRAIN_TIMEOUT, drained).await;
}

/// Returns when the server shall stop; a lost stopper means the same.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _changed = stop.wait_for(|is_stopped| *is_stopped).await;
}

async fn connection(stream: TcpStream, peer: IpAddr, door: Door, mut stop: watch::Receiver<bool>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| {
        let door = door.clone();
        async move { door.answer(request, peer).await }
    });
    let mut builder = http1::Builder::new();
    builder.keep_alive(true).timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    // An error is a caller that left, or a line we cut: either way the connection is gone.
    tokio::select! {
        _ended = serving.as_mut() => return,
        () = stopped(&mut stop) => serving.as_mut().graceful_shutdown(),
    }
    let _ended = serving.await;
}

impl Door {
    async fn answer(
        &self,
        request: hyper::Request<Incoming>,
        peer: IpAddr,
    ) -> io::Result<Response<Full<Bytes>>> {
        let reply = match read(request).await? {
            Err(problem) => problem.reply(),
            Ok(request) if request.path.starts_with(admin::PREFIX) && !peer.to_canonical().is_loopback() => {
                Problem::forbidden("The sandbox's admin calls are for this machine alone.").reply()
            }
            Ok(request) => match self.bank.handle(&request) {
                Outcome::Reply(reply) | Outcome::Closed(Some(reply), _) | Outcome::Drip(reply, _) => reply,
                Outcome::Late(reply, delay) => {
                    time::sleep(delay).await;
                    reply
                }
                Outcome::Cut | Outcome::Reset | Outcome::Torn(_) | Outcome::Closed(None, _) => {
                    self.sleep().await;
                    return Err(io::Error::from(io::ErrorKind::ConnectionAborted));
                }
            },
        };
        self.sleep().await;
        response(reply)
    }

    async fn sleep(&self) {
        if !self.latency.is_zero() {
            time::sleep(self.latency).await;
        }
    }
}

async fn read(request: hyper::Request<Incoming>) -> io::Result<Result<Request, Problem>> {
    let (parts, body) = request.into_parts();
    if body.size_hint().lower() > MAX_BODY_BYTES {
        return Ok(Err(Problem::too_large(MAX_BODY_BYTES)));
    }
    let body = Limited::new(body, usize::try_from(MAX_BODY_BYTES).unwrap_or(usize::MAX));
    let body = match body.collect().await {
        Ok(body) => body.to_bytes().to_vec(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Ok(Err(Problem::too_large(MAX_BODY_BYTES)));
        }
        Err(error) => return Err(io::Error::other(error)),
    };
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(Ok(Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
        body,
    }))
}

fn response(reply: Reply) -> io::Result<Response<Full<Bytes>>> {
    let mut builder = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        builder = builder.header(name, value);
    }
    builder.body(Full::new(Bytes::from(reply.body))).map_err(io::Error::other)
}

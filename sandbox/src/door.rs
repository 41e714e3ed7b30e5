//! The door is where HTTP ends: requests are read, the bank is asked, and its outcome is carried out.

use crate::{
    admin,
    bank::Bank,
    flight::Flights,
    line::Fuse,
    message::{Closing, Outcome, Reply, Request},
    pace::Pace,
    problem::Problem,
};
use http_body_util::{BodyExt, Limited};
use hyper::{
    Response,
    body::{Body, Incoming},
};
use std::{io, net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time,
};

const MAX_BODY_BYTES: u64 = 1 << 20;

#[derive(Debug, Clone)]
pub(crate) struct Door {
    bank: Arc<Bank>,
    latency: Duration,
    flights: Flights,
    closings: mpsc::UnboundedSender<Closing>,
    /// Changes whenever connections are to end after their exchange.
    closed: Arc<watch::Sender<()>>,
}

impl Door {
    pub(crate) fn new(bank: Arc<Bank>, latency: Duration) -> (Self, mpsc::UnboundedReceiver<Closing>) {
        let (closings, receiver) = mpsc::unbounded_channel();
        let closed = Arc::new(watch::Sender::new(()));
        (Self { bank, latency, flights: Flights::default(), closings, closed }, receiver)
    }

    pub(crate) fn closed(&self) -> watch::Receiver<()> {
        self.closed.subscribe()
    }

    pub(crate) async fn answer(
        &self,
        request: hyper::Request<Incoming>,
        peer: IpAddr,
        fuse: &Fuse,
    ) -> io::Result<Response<Pace>> {
        let outcome = match read(request).await? {
            Err(problem) => Outcome::Reply(problem.reply()),
            Ok(request) if request.path.starts_with(admin::PREFIX) => self.administer(&request, peer),
            Ok(request) => self.ask(&request).await,
        };
        self.carry_out(outcome, fuse).await
    }

    /// The judge need not wait.
    fn administer(&self, request: &Request, peer: IpAddr) -> Outcome {
        if peer.to_canonical().is_loopback() {
            return self.bank.handle(request);
        }
        let message = "The sandbox's admin calls are for this machine alone.";
        Outcome::Reply(Problem::forbidden(message).reply())
    }

    /// Asks the bank and thinks for a while; meanwhile the request's key is in use.
    async fn ask(&self, request: &Request) -> Outcome {
        if self.latency.is_zero() {
            return self.bank.handle(request);
        }
        let Some(_flight) = self.flights.begin(request) else {
            return Outcome::Reply(self.bank.key_in_use(request));
        };
        let outcome = self.bank.handle(request);
        time::sleep(self.latency).await;
        outcome
    }

    async fn carry_out(&self, outcome: Outcome, fuse: &Fuse) -> io::Result<Response<Pace>> {
        let cut = || Err(io::Error::from(io::ErrorKind::ConnectionAborted));
        match outcome {
            Outcome::Reply(reply) => response(reply, Pace::whole),
            Outcome::Late(reply, delay) => {
                time::sleep(delay).await;
                response(reply, Pace::whole)
            }
            Outcome::Drip(reply, pause) => response(reply, |body| Pace::drip(body, pause)),
            Outcome::Torn(reply) => response(reply, Pace::torn),
            Outcome::Cut => cut(),
            Outcome::Reset => {
                fuse.blow();
                cut()
            }
            Outcome::Closed(reply, closing) => {
                // A server that stops needs no closing.
                let _sent = self.closings.send(closing);
                self.closed.send_replace(());
                if let Some(reply) = reply {
                    return response(reply, Pace::whole);
                }
                fuse.blow();
                cut()
            }
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

fn response(reply: Reply, pace: impl FnOnce(Vec<u8>) -> Pace) -> io::Result<Response<Pace>> {
    let mut builder = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        builder = builder.header(name, value);
    }
    builder.body(pace(reply.body)).map_err(io::Error::other)
}

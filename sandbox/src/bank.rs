//! The bank is the gateway itself: its state and its logic, without a server around it.

use crate::{
    admin,
    books::Books,
    challenge,
    clock::Clock,
    desk::Desk,
    entry::Entry,
    fault::Fault,
    journal::Journal,
    lag::Lag,
    message::{Outcome, Reply, Request},
    mint,
    post::Post,
    problem::Problem,
    route::{self, Errand},
    telling,
    trouble::Trouble,
    version,
};
use std::{
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The gateway's whole state and logic, callable in process (a simulation) or behind the HTTP server.
#[derive(Debug)]
pub struct Bank {
    desk: Mutex<Desk>,
    requests: AtomicU64,
    requests_salt: u64,
}

impl Bank {
    /// A bank that forgets everything when it goes.
    pub fn in_memory() -> Self {
        Self::new(Books::new(mint::salt(), Clock::system()), None, mint::salt())
    }

    /// A bank that repeats itself: its ids follow from the seed, and its clock, which starts at this second
    /// of the Unix era, moves by `POST /_sandbox/clock` alone.
    pub fn simulated(seed: u64, start: i64) -> Self {
        Self::new(Books::new(seed, Clock::held(start)), None, seed)
    }

    /// A bank that remembers what its journal says, and holds the journal alone.
    pub fn open(journal: &Path) -> anyhow::Result<Self> {
        let mut books = Books::new(mint::salt(), Clock::system());
        let journal = Journal::open(journal, &mut books)?;
        Ok(Self::new(books, Some(journal), mint::salt()))
    }

    fn new(books: Books, journal: Option<Journal>, requests_salt: u64) -> Self {
        let desk = Desk { books, journal, trouble: Trouble::default(), lag: Lag::default() };
        Self { desk: Mutex::new(desk), requests: AtomicU64::new(0), requests_salt }
    }

    /// Does one exchange from beginning to end; what it changed is in the journal when this returns.
    pub fn handle(&self, request: &Request) -> Outcome {
        let outcome = self.outcome(request);
        outcome.unwrap_or_else(refused).map(|reply| self.signed(reply, request))
    }

    fn outcome(&self, request: &Request) -> Result<Outcome, Problem> {
        if let Some(path) = request.path.strip_prefix(admin::PREFIX) {
            return admin::answer(&mut *self.desk_of_now()?, path, request);
        }
        if let Some(secret) = request.path.strip_prefix(challenge::PREFIX) {
            return challenge::answer(&mut *self.desk_of_now()?, secret, request).map(Outcome::Reply);
        }
        let errand = route::read(request)?;
        version::check(request)?;
        Ok(troubled(&mut *self.desk_of_now()?, errand, request))
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The desk, once everything has happened that should have happened by now.
    fn desk_of_now(&self) -> Result<MutexGuard<'_, Desk>, Problem> {
        let mut desk = self.desk();
        desk.catch_up()?;
        Ok(desk)
    }

    /// The deliveries of events that nobody has taken yet; each is handed out once, and again after a restart
    /// unless it was closed.
    pub fn deliveries(&self) -> Vec<u64> {
        // A journal that cannot be written fails the next exchange, which says so.
        let Ok(mut desk) = self.desk_of_now() else { return Vec::new() };
        std::iter::from_fn(|| desk.books.outbox.take()).collect()
    }

    /// What a delivery sends, signed at this moment; nothing, if it is closed or its endpoint is gone.
    pub fn post(&self, delivery: u64) -> Option<Post> {
        let mut desk = self.desk();
        let at = desk.books.clock.now();
        telling::post(&desk.books, delivery, at)
    }

    /// The endpoint has the event, or never will.
    pub fn close_delivery(&self, delivery: u64) {
        // Where this cannot be written, the event is posted again after a restart, which endpoints must bear.
        let _closed = self.desk().record(Entry::Closed { delivery });
    }

    /// The answer to a request whose key is in use by another one.
    pub(crate) fn key_in_use(&self, request: &Request) -> Reply {
        let key = request.header("idempotency-key").unwrap_or_default();
        self.signed(Problem::key_in_use(key).reply(), request)
    }

    /// Adds the headers that every answer has.
    fn signed(&self, reply: Reply, request: &Request) -> Reply {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let reply = reply
            .with("request-id", &mint::request(self.requests_salt, number))
            .with("stripe-version", version::spoken(request));
        let Some(key) = request.header("idempotency-key") else { return reply };
        let is_final = reply.status >= 400 && reply.header("stripe-should-retry").is_none();
        let reply = reply.with("idempotency-key", key);
        if is_final { reply.with("stripe-should-retry", "false") } else { reply }
    }
}

/// Runs an errand, with the fault that was ordered for it.
fn troubled(desk: &mut Desk, errand: Errand<'_>, request: &Request) -> Outcome {
    let fault = desk.trouble.draw(&desk.books, request);
    if let Some(Fault::Instead(refusal)) = fault {
        return refusal.outcome(request);
    }
    let outcome = errand.run(desk, request).unwrap_or_else(refused);
    match fault {
        Some(Fault::After(damage)) => damage.done_to(outcome, request),
        Some(Fault::Instead(_) | Fault::Within(_)) | None => outcome,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where an error is taken")]
fn refused(problem: Problem) -> Outcome {
    Outcome::Reply(problem.reply())
}

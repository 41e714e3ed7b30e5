//! The bank is the gateway itself: its state and its logic, without a server around it.

use crate::{
    admin,
    books::Books,
    clock::Clock,
    desk::Desk,
    fault::Fault,
    journal::Journal,
    lag::Lag,
    message::{Outcome, Reply, Request},
    mint,
    problem::Problem,
    route::{self, Errand},
    trouble::Trouble,
};
use std::{
    path::Path,
    sync::{
        Mutex, PoisonError,
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
        let outcome = match request.path.strip_prefix(admin::PREFIX) {
            Some(path) => {
                let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
                admin::answer(&mut desk, path, request)
            }
            None => route::read(request).map(|errand| {
                let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
                troubled(&mut desk, errand, request)
            }),
        };
        outcome.unwrap_or_else(refused).map(|reply| self.signed(reply, request))
    }

    /// The answer to a request whose key is in use by another one.
    pub(crate) fn key_in_use(&self, request: &Request) -> Reply {
        let key = request.header("idempotency-key").unwrap_or_default();
        self.signed(Problem::key_in_use(key).reply(), request)
    }

    /// Adds the headers that every answer has.
    fn signed(&self, reply: Reply, request: &Request) -> Reply {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut reply = reply.with("request-id", &mint::request(self.requests_salt, number));
        for name in ["idempotency-key", "stripe-version"] {
            if let Some(value) = request.header(name) {
                reply = reply.with(name, value);
            }
        }
        reply
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

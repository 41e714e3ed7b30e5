//! The committer: the one door through which payments change. Requests that pile up while the last commit
//! runs share the next one; when idle, a single change is committed at once.

use super::{
    Store, StoreError, Tx, batch,
    change::{Change, CommitError, Committed},
    claim::{self, Claimed, Order},
    history::Mark,
};
use crate::failpoint::{CommitFault, Point};
use dunlin_jobs::PaymentId;
use futures_util::FutureExt;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::sync::{broadcast, mpsc, oneshot};

/// How many changes share a commit at most.
const BATCH: usize = 512;
/// How many may wait before callers are told to come back.
pub(super) const LINE: usize = 4096;
/// How long a lost COMMIT is asked after before its callers are told that nothing is known.
const ASK_AFTER_COMMIT: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// How often a batch is run whose COMMIT did not take effect.
const RUNS: usize = 5;

/// A transaction that takes longer than the database's own limits has lost its connection without hearing of it.
const DEADLINE: Duration = Duration::from_mins(1);

type Answer<T, E> = oneshot::Sender<Result<T, E>>;

#[derive(Debug)]
enum Request {
    Change(Box<Change>, Answer<Committed, CommitError>),
    Claim(Order, Answer<Vec<Claimed>, StoreError>),
}

/// The way to the committer's tasks.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    lines: Arc<[mpsc::Sender<Request>]>,
    settled: broadcast::Sender<PaymentId>,
    enqueued: Arc<tokio::sync::Notify>,
}

/// The other end, to be given to [`run`].
#[derive(Debug)]
pub(super) struct Line {
    requests: mpsc::Receiver<Request>,
    settled: broadcast::Sender<PaymentId>,
    enqueued: Arc<tokio::sync::Notify>,
}

pub(super) fn lines(count: usize) -> (Handle, Vec<Line>) {
    let (settled, _) = broadcast::channel(LINE);
    let enqueued = Arc::new(tokio::sync::Notify::new());
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel(LINE)).unzip();
    let line = |requests| Line { requests, settled: settled.clone(), enqueued: Arc::clone(&enqueued) };
    let lines = receivers.into_iter().map(line).collect();
    (Handle { lines: senders.into(), settled, enqueued }, lines)
}

impl Handle {
    /// Waits for a place in the line, then for the commit.
    pub(super) async fn commit(&self, change: Change) -> Result<Committed, CommitError> {
        let (answer, answered) = oneshot::channel();
        let line = self.line(&change);
        let request = Request::Change(Box::new(change), answer);
        line.send(request).await.map_err(|_| CommitError::Unavailable)?;
        answered.await.map_err(|_| CommitError::Unavailable)?
    }

    /// Does not wait for a place in the line.
    pub(super) async fn offer(&self, change: Change) -> Result<Committed, CommitError> {
        let (answer, answered) = oneshot::channel();
        let line = self.line(&change);
        line.try_send(Request::Change(Box::new(change), answer)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommitError::Busy,
            mpsc::error::TrySendError::Closed(_) => CommitError::Unavailable,
        })?;
        answered.await.map_err(|_| CommitError::Unavailable)?
    }

    pub(super) async fn claim(&self, order: Order) -> Result<Vec<Claimed>, StoreError> {
        let (answer, answered) = oneshot::channel();
        let Some(line) = self.lines.first() else { return Err(StoreError::Unavailable) };
        line.send(Request::Claim(order, answer)).await.map_err(|_| StoreError::Unavailable)?;
        answered.await.map_err(|_| StoreError::Unavailable)?
    }

    /// Tells of each payment that changed.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<PaymentId> {
        self.settled.subscribe()
    }

    /// Rings after a commit that left new jobs.
    pub(super) fn enqueued(&self) -> Arc<tokio::sync::Notify> {
        Arc::clone(&self.enqueued)
    }

    /// Changes of one payment, and creations under one key, always take the same line, so they stay in order.
    fn line(&self, change: &Change) -> &mpsc::Sender<Request> {
        use super::change::Subject;
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        match &change.subject {
            Subject::Event(payment, _) | Subject::RefundEvent(payment, ..) | Subject::Fact(payment, _) => {
                payment.hash(&mut hasher);
            }
            Subject::Refund(create) => create.payment.hash(&mut hasher),
            Subject::Wish(wish) => wish.payment.hash(&mut hasher),
            Subject::Job(wish) => wish.payment.hash(&mut hasher),
            Subject::Create(create) => match &create.key {
                Some(key) => (create.payment.tenant, &key.key).hash(&mut hasher),
                None => create.payment.id.hash(&mut hasher),
            },
            Subject::Note => change.id.hash(&mut hasher),
        }
        let lines = u64::try_from(self.lines.len()).unwrap_or(1).max(1);
        let index = usize::try_from(hasher.finish() % lines).unwrap_or(0);
        &self.lines[index]
    }
}

/// Serves one line until all handles are gone.
pub(super) async fn run(store: Store, mut line: Line) {
    while let Some(first) = line.requests.recv().await {
        // Whose answers a panic drops is told that nothing is known; a line without its committer would tell
        // everybody so for ever.
        if AssertUnwindSafe(serve(&store, first, &mut line)).catch_unwind().await.is_err() {
            tracing::error!("a batch panicked; the committer goes on with the next one");
            store.forget_recent();
        }
    }
}

/// Takes what waits, commits it, and answers.
async fn serve(store: &Store, first: Request, line: &mut Line) {
    store.failpoints.at(Point::BatchTaken).await;
    let mut changes = Vec::new();
    let mut answers = Vec::new();
    let mut claims = Vec::new();
    let rest = std::iter::from_fn(|| line.requests.try_recv().ok()).take(BATCH - 1);
    for request in std::iter::once(first).chain(rest) {
        match request {
            Request::Change(change, answer) => {
                changes.push(*change);
                answers.push(answer);
            }
            Request::Claim(order, answer) => claims.push((order, answer)),
        }
    }
    let results = halve(store, &changes, &mut claims, line).await;
    for (answer, result) in answers.into_iter().zip(results) {
        // A caller that has gone away finds its change by its key or its job.
        let _ = answer.send(result);
    }
}

/// Commits the batch; if it fails, each half of it, so that one bad change fails alone.
async fn halve(
    store: &Store,
    changes: &[Change],
    claims: &mut Vec<(Order, Answer<Vec<Claimed>, StoreError>)>,
    line: &Line,
) -> Vec<Result<Committed, CommitError>> {
    let mut results = Vec::with_capacity(changes.len());
    let mut todo = vec![changes];
    while let Some(part) = todo.pop() {
        let result = tokio::time::timeout(DEADLINE, transact(store, part, claims, line)).await;
        let result = result.unwrap_or(Err(StoreError::Unavailable));
        if result.is_err() {
            store.forget_recent();
        }
        match &result {
            Err(StoreError::Unwritable) => store.note_writable(false),
            // Claims alone may have found nothing to write.
            Ok(_) if !part.is_empty() => store.note_writable(true),
            Ok(_) | Err(_) => {}
        }
        match result {
            Ok(answers) => results.extend(answers),
            // Where nothing can be reached, or nothing is known, a smaller batch fares no better.
            Err(error)
                if part.len() > 1 && !matches!(error, StoreError::Unavailable | StoreError::Unwritable) =>
            {
                tracing::debug!(changes = part.len(), %error, "a batch failed and is halved");
                let (left, right) = part.split_at(part.len() / 2);
                todo.push(right);
                todo.push(left);
            }
            Err(error) => {
                match error.again() {
                    StoreError::Unfit(why) => {
                        tracing::error!(%error, "a change is such that the database does not take it: {why}");
                    }
                    StoreError::Conflict
                    | StoreError::Corrupt { .. }
                    | StoreError::Unavailable
                    | StoreError::Unwritable
                    | StoreError::Sql(_) => tracing::warn!(%error, "a change could not be committed"),
                }
                results.extend(part.iter().map(|_| Err(error.again().into())));
            }
        }
    }
    refuse(claims);
    results
}

fn refuse(claims: &mut Vec<(Order, Answer<Vec<Claimed>, StoreError>)>) {
    for (_, answer) in claims.drain(..) {
        let _ = answer.send(Err(StoreError::Unavailable));
    }
}

/// One transaction. Claims ride along with the first that succeeds, and share its commit.
async fn transact(
    store: &Store,
    changes: &[Change],
    claims: &mut Vec<(Order, Answer<Vec<Claimed>, StoreError>)>,
    line: &Line,
) -> Result<Vec<Result<Committed, CommitError>>, StoreError> {
    for _ in 0..RUNS {
        let mut tx = store.begin().await?;
        if changes.is_empty() {
            claim::need_not_last(&mut tx).await?;
        }
        store.pass(Point::BatchBegun).await?;
        let outcome = batch::run(&mut tx, changes, &store.context, &store.recent).await?;
        let mut claimed = Vec::with_capacity(claims.len());
        for (order, _) in claims.iter() {
            claimed.push(claim::claim(&mut tx, &store.clock, order, &store.recent, &store.holds).await?);
        }
        let fault = store.failpoints.at(Point::BatchWritten).await;
        if let Err(error) = commit(tx, fault).await {
            store.forget_recent();
            let trace = Trace { mark: outcome.mark.as_ref(), claimed: claimed.iter().flatten().next() };
            if !trace.took_effect(store, &error).await? {
                if matches!(error, StoreError::Unwritable) {
                    return Err(error);
                }
                continue;
            }
        }
        store.recent.keep(outcome.written);
        store.recent.keep(claimed.iter().flatten().filter_map(|claimed| claimed.payment.clone()));
        store.failpoints.at(Point::BatchCommitted).await;
        for ((_, answer), jobs) in claims.drain(..).zip(claimed) {
            let _ = answer.send(Ok(jobs));
        }
        for committed in outcome.answers.iter().flatten().filter(|committed| committed.fresh) {
            if let Some(payment) = &committed.payment {
                let _ = line.settled.send(payment.id);
            }
        }
        if outcome.enqueued {
            line.enqueued.notify_waiters();
        }
        store.failpoints.at(Point::Rung).await;
        return Ok(outcome.answers);
    }
    Err(StoreError::Unavailable)
}

async fn commit(tx: Tx, fault: CommitFault) -> Result<(), StoreError> {
    match fault {
        CommitFault::None => tx.commit().await,
        CommitFault::LostAfter => {
            tx.commit().await?;
            Err(StoreError::Unavailable)
        }
        CommitFault::LostBefore => {
            tx.roll_back().await?;
            Err(StoreError::Unavailable)
        }
    }
}

/// By what a transaction can be recognised whose COMMIT was not answered.
struct Trace<'a> {
    /// This stands in the history then.
    mark: Option<&'a Mark>,
    /// This one is leased then.
    claimed: Option<&'a Claimed>,
}

impl Trace<'_> {
    async fn took_effect(&self, store: &Store, error: &StoreError) -> Result<bool, StoreError> {
        tracing::warn!(%error, "the answer to a commit was lost; asking what became of it");
        for wait in ASK_AFTER_COMMIT {
            match self.look(store).await {
                Ok(found) => return Ok(found),
                Err(_) => tokio::time::sleep(wait).await,
            }
        }
        Err(StoreError::Unavailable)
    }

    async fn look(&self, store: &Store) -> Result<bool, StoreError> {
        match (self.mark, self.claimed) {
            (Some(mark), _) => store.happened(mark).await,
            (None, Some(claimed)) => claim::is_leased(store, claimed).await,
            // Only notes, which may be written twice; one whose job has ended is told that its lease is gone.
            (None, None) => Ok(false),
        }
    }
}

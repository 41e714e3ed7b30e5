//! The store: the only place that knows SQL, over two databases with one text.

pub mod accounts;
pub mod backup;
mod batch;
pub mod change;
pub mod claim;
mod committer;
mod customers;
mod direct;
mod disputes;
mod environment;
mod events;
mod exchanges;
mod gate;
pub mod gateway_events;
pub mod hands;
mod history;
pub mod holds;
mod idempotency;
mod identity;
mod intake;
pub mod jobs;
mod keys;
mod known;
mod letters;
mod listings;
mod methods;
mod moments;
mod open;
mod orphans;
mod payments;
mod recent;
mod refunds;
pub mod restores;
mod row;
mod schema;
pub mod scratch;
mod text;
mod trail;
mod twins;
mod vitals;

pub use batch::floor::Specimen;
pub use customers::CustomerFilter;
pub use direct::file_of;
pub use disputes::KnownDispute;
pub use environment::Tenant;
pub use history::Transition;
pub use idempotency::Made;
pub use intake::{Bag, Waiting};
pub use keys::{KeyHolder, MadeKey};
pub use known::{AllKnown, Known, KnownMethod, Names};
pub use letters::NotPutBack;
pub use moments::{Counters, Moment};
pub use open::{OpenError, Options};
pub use payments::{Filter, Owner};
pub use refunds::RefundFilter;
pub use schema::{SchemaFault, inspect};

use crate::{
    domain::{clock::Clock, decline::Policy, payment::Payment},
    failpoint::{Broken, Failpoints, Point},
};
use change::{Change, CommitError, Committed};
use claim::Claimed;
use dunlin_jobs::PaymentId;
use row::json;
use serde::Serialize;
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};
use std::{
    fs::File,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Instant,
};
use text::{Text, on};
use tokio::sync::{Notify, RwLock, broadcast};

/// Two databases, and something of each.
#[derive(Debug, Clone)]
pub(crate) enum Db<S, P> {
    Sqlite(S),
    Postgres(P),
}

type Pools = Db<SqlitePool, PgPool>;
type Tx = Db<Transaction<'static, Sqlite>, Transaction<'static, Postgres>>;

/// Where everything that must not be lost is kept.
#[derive(Debug, Clone)]
pub struct Store {
    /// For reading; on PostgreSQL the same as the writer, so that every read is of the primary (S2.6).
    db: Pools,
    /// On SQLite a single connection.
    writer: Pools,
    committer: committer::Handle,
    committers: Arc<[tokio::task::AbortHandle]>,
    context: Arc<batch::Context>,
    recent: recent::Recent,
    clock: Clock,
    failpoints: Failpoints,
    /// When the last change found no room on the disk, unless one was written since.
    unwritable: Arc<Mutex<Option<Instant>>>,
    /// Accounts that are not charged for now.
    holds: holds::Holds,
    /// Shut while test time moves, so that no job of the test environment is begun meanwhile.
    gate: Arc<RwLock<()>>,
    /// Held while the process has the SQLite file to itself.
    lock: Option<Arc<File>>,
}

/// Why the store could not do what it was asked, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else was faster; look again.
    #[error("the row has changed meanwhile")]
    Conflict,
    /// A row makes no sense; a person has to look.
    #[error("the row {id} of {table} has a {column} that makes no sense")]
    Corrupt { table: &'static str, column: &'static str, id: String },
    /// Try again later.
    #[error("the database cannot be reached")]
    Unavailable,
    /// Try again once there is room.
    #[error("the database cannot write to its disk")]
    Unwritable,
    /// The database takes this change in no way, however often it comes: a person has to look.
    #[error("the database does not take it: {0}")]
    Unfit(Unfit),
    #[error("the database refused a statement: {0}")]
    Sql(#[source] sqlx::Error),
}

/// Why the database does not take a change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The gateway's charge is on record for another attempt.
    #[error("the charge is another attempt's")]
    ChargeSeen,
    /// The gateway's refund is on record for another one.
    #[error("the refund is another one's")]
    RefundSeen,
    /// Another constraint, or a value that no column holds.
    #[error("{0}")]
    Other(String),
}

impl Store {
    /// Commits a change, waiting for a place in the line: for workers, whose number is bounded.
    pub async fn commit(&self, change: Change) -> Result<Committed, CommitError> {
        self.pass(Point::Asked).await?;
        self.committer.commit(change).await
    }

    /// Commits a change unless the line is full: for callers who can be asked to come back.
    pub async fn offer(&self, change: Change) -> Result<Committed, CommitError> {
        self.pass(Point::Asked).await?;
        self.committer.offer(change).await
    }

    /// Tells of each payment that changed in this process; a slow listener misses some.
    pub fn subscribe(&self) -> broadcast::Receiver<PaymentId> {
        self.committer.subscribe()
    }

    /// Rings after each commit of this process that left new jobs.
    pub fn enqueued(&self) -> Arc<Notify> {
        self.committer.enqueued()
    }

    /// How often a state met an event that no right program brings to it, since this process began.
    pub fn count_alarms(&self) -> u64 {
        self.context.alarms.load(Ordering::Relaxed)
    }

    /// The rules by which declines are decided on.
    pub fn policy(&self) -> &Policy {
        &self.context.plan.declines
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Passes a failpoint of the program.
    pub async fn pass(&self, point: Point) -> Result<(), StoreError> {
        Ok(self.failpoints.pass(point).await?)
    }

    pub fn failpoints(&self) -> &Failpoints {
        &self.failpoints
    }

    /// The payment that a claimed job is about, for work that is guarded by the table of states. It is looked up
    /// by itself only where the claim could not: a row that makes no sense is told here.
    pub async fn payment_of(&self, claimed: &Claimed, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        let recent = || self.recent.find(id);
        match claimed.payment.clone().filter(|stored| stored.payment.id == id).or_else(recent) {
            Some(stored) => Ok(Some(stored.payment)),
            None => self.find_payment(id).await,
        }
    }

    /// Reads payments anew from the table, for whoever has changed it by other means.
    pub fn forget_recent(&self) {
        self.recent.forget();
    }

    async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(match &self.writer {
            // Never an upgrade from reading to writing: `busy_timeout` does not apply there.
            Db::Sqlite(pool) => Tx::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Db::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
    }
}

impl Tx {
    async fn commit(self) -> Result<(), StoreError> {
        on!(self, |tx, _pick| tx.commit().await?);
        Ok(())
    }

    /// Gives up what was written, and its locks, before it returns; dropped, a transaction does so a little later.
    async fn roll_back(self) -> Result<(), StoreError> {
        on!(self, |tx, _pick| tx.rollback().await?);
        Ok(())
    }

    /// Runs a bulk statement over many rows; none is no statement at all.
    async fn write<T: Serialize>(&mut self, text: Text, rows: &[T]) -> Result<u64, StoreError> {
        if rows.is_empty() {
            return Ok(0);
        }
        let rows = json(&rows);
        Ok(on!(self, |tx, pick| sqlx::query(pick(text)).bind(rows).execute(&mut **tx).await?.rows_affected()))
    }
}

impl StoreError {
    fn corrupt(table: &'static str, column: &'static str, id: &str) -> Self {
        Self::Corrupt { table, column, id: id.to_owned() }
    }

    /// The same error for one more caller.
    #[must_use]
    pub fn again(&self) -> Self {
        match self {
            Self::Conflict => Self::Conflict,
            Self::Corrupt { table, column, id } => Self::corrupt(table, column, id),
            Self::Unwritable => Self::Unwritable,
            Self::Unfit(why) => Self::Unfit(why.clone()),
            Self::Sql(error) => unfit(error).map_or(Self::Unavailable, Self::Unfit),
            Self::Unavailable => Self::Unavailable,
        }
    }
}

/// What a constraint, or a value that no column holds, refused: told apart from a database that cannot be reached, since the
/// same again fares no better.
fn unfit(error: &sqlx::Error) -> Option<Unfit> {
    let refused = error.as_database_error()?;
    let code = refused.code()?;
    let is_unfit = match code.parse::<u32>() {
        // SQLITE_TOOBIG, SQLITE_CONSTRAINT and SQLITE_MISMATCH, whatever their extension.
        Ok(code) if code < 10_000 => matches!(code % 256, 18..=20),
        // PostgreSQL: data exceptions, constraints, and limits of the program such as the size of an index's row.
        Ok(_) | Err(_) => ["22", "23", "54"].iter().any(|class| code.starts_with(class)),
    };
    let named = |index: &str, columns: &str| {
        refused.constraint() == Some(index) || refused.message().ends_with(columns)
    };
    is_unfit.then(|| {
        if named("attempts_account_charge_idx", "attempts.account, attempts.charge") {
            Unfit::ChargeSeen
        } else if named("refunds_account_operation_idx", "refunds.account, refunds.operation") {
            Unfit::RefundSeen
        } else {
            Unfit::Other(refused.message().to_owned())
        }
    })
}

impl From<Broken> for StoreError {
    fn from(_: Broken) -> Self {
        Self::Unavailable
    }
}

/// A transaction whose process stood still was ended by the server.
const TOO_LONG_IDLE: &str = "25P03";

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        let code = code.map(std::borrow::Cow::into_owned).unwrap_or_default();
        let busy = matches!(&*code, "5" | "6" | "261" | "517" | "40001" | "40P01" | "55P03" | "57014");
        // SQLITE_FULL, and SQLITE_IOERR of a write, of an fsync, of a truncation, and of the shared index of the log;
        // PostgreSQL's disk_full and io_error.
        let unwritable =
            matches!(&*code, "13" | "778" | "1034" | "1290" | "1546" | "4618" | "4874" | "53100" | "58030");
        let gone = matches!(
            error,
            sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                // So a connection ends that breaks off while it is made, or while a transaction begins.
                | sqlx::Error::Protocol(_)
                | sqlx::Error::BeginFailed
        );
        if busy {
            Self::Conflict
        } else if unwritable {
            Self::Unwritable
        } else if gone
            || code == TOO_LONG_IDLE
            || ["08", "57P", "53"].iter().any(|class| code.starts_with(class))
        {
            Self::Unavailable
        } else {
            Self::Sql(error)
        }
    }
}

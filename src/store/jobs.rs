//! Jobs: rows of work, their leases, and who may claim them (S5.2).

use super::{
    Db, Store, StoreError, Tx,
    change::{JobEnd, Lease, Priority},
    row::{At, count, json},
    text::{Text, bulk, insert, on},
};
use crate::domain::{
    clock::{Clock, Time},
    payment::Payment,
};
use crate::failpoint::Point;
use dunlin_jobs::{Job, JobId, Lane};
use serde::Serialize;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::{Duration, Instant},
};

/// A job in hand, and how long it may be worked on.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub lease: Lease,
    pub job: Job,
    pub livemode: bool,
    /// How often it came back because its holder vanished.
    pub rescues: u32,
    /// How often it has been run and asked to come again.
    pub runs: u32,
    pub failures: u32,
    pub due_at: Time,
    /// When the claim was asked for, by our own two clocks: what is left of the lease counts from here (S1.7).
    pub claimed_at: Instant,
    pub claimed_on: Time,
    pub lease_length: Duration,
    pub traceparent: Option<String>,
}

/// What a claim asks for.
#[derive(Debug, Clone)]
pub struct Order {
    pub lane: Lane,
    pub livemode: bool,
    pub owner: String,
    pub lease: Duration,
    pub limit: u16,
}

/// A job as its row tells it, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobView {
    pub id: String,
    pub kind: String,
    pub state: String,
    pub due_at: Time,
    pub runs: i64,
    pub rescues: i64,
    pub failures: i64,
    pub leased: bool,
    pub last_error: Option<String>,
    pub parked_reason: Option<String>,
}

#[derive(Debug, sqlx::FromRow)]
struct ClaimedRow {
    id: String,
    payload: String,
    epoch: i64,
    rescues: i64,
    runs: i64,
    failures: i64,
    due_at: At,
    priority: i64,
    traceparent: Option<String>,
}

/// One arm of the claim, which reads one index from its start. Kinds that this version does not know are left.
macro_rules! arm {
    ($name:literal, $where:literal, $order:literal, $lock:literal $(, $now:literal)?) => {
        concat!(
            "SELECT id FROM (SELECT id FROM jobs WHERE lane = $1 AND livemode = $2 AND state = 'live' \
             AND kind IN ('charge', 'retry', 'reconcile', 'sweep') AND ",
            $where, $($now,)? " ORDER BY ", $order, " LIMIT $4", $lock, ") ", $name
        )
    };
}

/// What was left behind first, for its outcome may be open; then what is due, the urgent before the many. The
/// choice is made once, before anything is written: a plan that made it again would take more than its limit.
macro_rules! claim {
    ($now:literal, $until:literal, $lock:literal) => {
        concat!(
            "WITH picked AS MATERIALIZED (SELECT id FROM (",
            arm!("left_behind", "lease_owner IS NOT NULL AND lease_until < ", "lease_until", $lock, $now),
            " UNION ALL ",
            arm!("urgent", "lease_owner IS NULL AND priority = 0 AND due_at <= $3", "due_at, id", $lock),
            " UNION ALL ",
            arm!("many", "lease_owner IS NULL AND priority = 1 AND due_at <= $3", "due_at, id", $lock),
            ") candidates LIMIT $4) UPDATE jobs SET lease_owner = $5, lease_until = ",
            $until,
            ", epoch = epoch + 1, \
             rescues = rescues + CASE WHEN lease_owner IS NULL THEN 0 ELSE 1 END \
             WHERE id IN (SELECT id FROM picked) \
             RETURNING id, payload, epoch, rescues, runs, failures, due_at, priority, traceparent"
        )
    };
}

// Leases go by the database's clock, never by business time; it is the one time that SQL computes.
const CLAIM: Text = Text {
    sqlite: claim!(
        "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')",
        "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', ($6 / 1000.0) || ' seconds')",
        ""
    ),
    postgres: claim!(
        "clock_timestamp()",
        "clock_timestamp() + $6 * interval '1 millisecond'",
        " FOR UPDATE SKIP LOCKED"
    ),
};

const RENEW: Text = Text {
    sqlite: "UPDATE jobs SET lease_until = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', ($3 / 1000.0) || ' seconds') \
         WHERE lease_owner = $2 AND id IN (SELECT value FROM json_each($1))",
    postgres: "UPDATE jobs SET lease_until = clock_timestamp() + $3 * interval '1 millisecond' WHERE id IN \
         (SELECT id FROM jobs WHERE lease_owner = $2 AND id IN (SELECT json_array_elements_text($1::json)) \
         ORDER BY id FOR UPDATE SKIP LOCKED)",
};

const RELEASE: Text = Text {
    sqlite: "UPDATE jobs SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = $2 \
         AND id IN (SELECT value FROM json_each($1))",
    postgres: "UPDATE jobs SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = $2 \
         AND id IN (SELECT json_array_elements_text($1::json))",
};

const LOCK: Text = Text {
    sqlite: "SELECT id, lease_owner, epoch FROM jobs WHERE lease_owner IS NOT NULL \
         AND id IN (SELECT value FROM json_each($1)) ORDER BY id",
    postgres: "SELECT id, lease_owner, epoch FROM jobs WHERE lease_owner IS NOT NULL \
         AND id IN (SELECT json_array_elements_text($1::json)) ORDER BY id FOR UPDATE",
};

// The same work is never queued twice. What was set aside is taken up again when there is new reason for it.
const INSERT: Text = insert!(
    "jobs"
    (id text, kind text, lane text, livemode boolean, payment_id text, payload text, dedupe text, state text,
        priority bigint, due_at timestamptz, runs bigint, epoch bigint, rescues bigint, failures bigint,
        traceparent text, created_at timestamptz)
    "ON CONFLICT (dedupe) DO UPDATE SET state = 'live', parked_reason = NULL, rescues = 0, \
     due_at = excluded.due_at WHERE jobs.state = 'parked'"
);

const MOVE: Text = bulk!(
    "UPDATE jobs SET state = r.state, parked_reason = r.parked_reason, due_at = coalesce(r.due_at, jobs.due_at), \
     runs = jobs.runs + 1, failures = jobs.failures + r.failed, \
     last_error = coalesce(r.last_error, jobs.last_error), rescues = 0, lease_owner = NULL, lease_until = NULL FROM "
    rows(id text, state text, parked_reason text, due_at timestamptz, failed bigint, last_error text)
    " WHERE jobs.id = r.id"
);

const DELETE: Text = Text {
    sqlite: "DELETE FROM jobs WHERE id IN (SELECT value FROM json_each($1))",
    postgres: "DELETE FROM jobs WHERE id IN (SELECT json_array_elements_text($1::json))",
};

impl Claimed {
    /// What is left of the lease. A machine that slept may not have counted it by one clock, so both count.
    pub fn lease_left(&self, clock: &Clock) -> Duration {
        let by_date = (clock.now(true) - self.claimed_on).to_std().unwrap_or_default();
        self.lease_length.saturating_sub(by_date.max(self.claimed_at.elapsed()))
    }
}

impl Store {
    /// Claims due and abandoned jobs of a lane, at most as many as there are free slots.
    pub async fn claim(&self, order: Order) -> Result<Vec<Claimed>, StoreError> {
        match &self.db {
            // SQLite has one writer, so the claim is a request to it and needs no row lock.
            Db::Sqlite(_) => {
                self.pass(Point::Asked).await;
                self.committer.claim(order).await
            }
            Db::Postgres(pool) => {
                let mut tx = Tx::Postgres(pool.begin().await?);
                let claimed = claim(&mut tx, &self.clock, &order).await?;
                tx.commit().await?;
                Ok(claimed)
            }
        }
    }

    /// Prolongs the leases that are still held.
    pub async fn renew(&self, owner: &str, jobs: &[JobId], lease: Duration) -> Result<(), StoreError> {
        let millis = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        let ids = json(&jobs);
        on!(&self.writer, |db, pick| {
            sqlx::query(pick(RENEW)).bind(ids).bind(owner).bind(millis).execute(db).await?.rows_affected()
        });
        Ok(())
    }

    /// Gives back leases of jobs that were never started; it costs them nothing (S5.7).
    pub async fn release(&self, owner: &str, jobs: &[JobId]) -> Result<(), StoreError> {
        let ids = json(&jobs);
        on!(&self.writer, |db, pick| sqlx::query(pick(RELEASE))
            .bind(ids)
            .bind(owner)
            .execute(db)
            .await?
            .rows_affected());
        Ok(())
    }

    /// Adds a permanent job, unless it is there.
    pub async fn plant(&self, job: &Job, at: Time) -> Result<(), StoreError> {
        let row = JobRow::planted(&self.clock, job, at);
        let mut tx = self.begin().await?;
        tx.write(INSERT, &[row]).await?;
        tx.commit().await
    }

    /// Gives a payment the job that it must have.
    pub async fn adopt(&self, payment: &Payment, job: &Job, at: Time) -> Result<(), StoreError> {
        let row = JobRow::new(&self.clock, payment, job, at);
        let mut tx = self.begin().await?;
        tx.write(INSERT, &[row]).await?;
        tx.commit().await
    }

    /// Lets jobs run again that were parked for a reason that a restart may have mended.
    pub async fn unpark(&self, reason: &str) -> Result<u64, StoreError> {
        const TEXT: &str = "UPDATE jobs SET state = 'live', parked_reason = NULL \
             WHERE state = 'parked' AND parked_reason = $1";
        on!(&self.writer, |db, _pick| Ok(sqlx::query(TEXT).bind(reason).execute(db).await?.rows_affected()))
    }

    /// When the next job of an environment is due, leaving out those in hand.
    pub async fn find_next_due(&self, livemode: bool) -> Result<Option<Time>, StoreError> {
        const TEXT: &str = "SELECT min(due_at) FROM jobs WHERE livemode = $1 AND state = 'live' \
             AND lease_owner IS NULL AND lane <> 'upkeep'";
        let due: Option<At> =
            on!(&self.db, |db, _pick| sqlx::query_scalar(TEXT).bind(livemode).fetch_one(db).await?);
        Ok(due.map(|at| at.0))
    }

    /// How many jobs of an environment are due by `now` or in hand.
    pub async fn count_busy(&self, livemode: bool, now: Time) -> Result<i64, StoreError> {
        const TEXT: &str = "SELECT count(*) FROM jobs WHERE livemode = $1 AND state = 'live' \
             AND (lease_owner IS NOT NULL OR due_at <= $2) AND lane <> 'upkeep'";
        on!(&self.db, |db, _pick| {
            Ok(sqlx::query_scalar(TEXT).bind(livemode).bind(At(now)).fetch_one(db).await?)
        })
    }

    /// The jobs that are about a payment.
    pub async fn list_jobs(&self, payment: dunlin_jobs::PaymentId) -> Result<Vec<JobView>, StoreError> {
        const TEXT: &str = "SELECT id, kind, state, due_at, runs, rescues, failures, lease_owner, last_error, \
             parked_reason FROM jobs WHERE payment_id = $1 ORDER BY due_at, id";
        type Row =
            (String, String, String, At, i64, i64, i64, Option<String>, Option<String>, Option<String>);
        let id = payment.to_string();
        let rows: Vec<Row> = on!(&self.db, |db, _pick| sqlx::query_as(TEXT).bind(id).fetch_all(db).await?);
        let view = |row: Row| JobView {
            id: row.0,
            kind: row.1,
            state: row.2,
            due_at: row.3.0,
            runs: row.4,
            rescues: row.5,
            failures: row.6,
            leased: row.7.is_some(),
            last_error: row.8,
            parked_reason: row.9,
        };
        Ok(rows.into_iter().map(view).collect())
    }

    /// Ends every lease at once, as if its time had run out. For tests, and for the start of the only process.
    pub async fn expire_leases(&self) -> Result<(), StoreError> {
        const TEXT: &str =
            "UPDATE jobs SET lease_until = '1970-01-01T00:00:00.000000Z' WHERE lease_owner IS NOT NULL";
        on!(&self.writer, |db, _pick| sqlx::query(TEXT).execute(db).await?.rows_affected());
        Ok(())
    }
}

/// The claim itself, inside a transaction.
pub(super) async fn claim(tx: &mut Tx, clock: &Clock, order: &Order) -> Result<Vec<Claimed>, StoreError> {
    let claimed_at = Instant::now();
    let claimed_on = clock.now(true);
    let millis = i64::try_from(order.lease.as_millis()).unwrap_or(i64::MAX);
    let mut rows: Vec<ClaimedRow> = on!(tx, |tx, pick| {
        sqlx::query_as(pick(CLAIM))
            .bind(order.lane.name())
            .bind(order.livemode)
            .bind(At(clock.now(order.livemode)))
            .bind(i64::from(order.limit))
            .bind(&order.owner)
            .bind(millis)
            .fetch_all(&mut **tx)
            .await?
    });
    rows.sort_by(|a, b| (a.priority, a.due_at, &a.id).cmp(&(b.priority, b.due_at, &b.id)));
    let mut claimed = Vec::with_capacity(rows.len());
    let mut aside = JobWrites::default();
    for row in rows {
        match row.claimed(order, claimed_at, claimed_on) {
            Ok(job) => claimed.push(job),
            // It must not hold up the jobs behind it, so it waits for a person.
            Err((id, error)) => {
                tracing::error!(job.id = id, %error, "{id} is set aside: {error}");
                aside.park(id, error.to_string());
            }
        }
    }
    aside.write(tx).await?;
    Ok(claimed)
}

/// Whether a claim took effect, as its first job tells for all.
pub(super) async fn is_leased(store: &Store, claimed: &Claimed) -> Result<bool, StoreError> {
    const TEXT: &str = "SELECT count(*) FROM jobs WHERE id = $1 AND lease_owner = $2 AND epoch = $3";
    let Lease { job, owner, epoch } = &claimed.lease;
    let found: i64 = on!(&store.db, |db, _pick| {
        sqlx::query_scalar(TEXT).bind(job.to_string()).bind(owner).bind(epoch).fetch_one(db).await?
    });
    Ok(found > 0)
}

impl ClaimedRow {
    fn claimed(
        self,
        order: &Order,
        claimed_at: Instant,
        claimed_on: Time,
    ) -> Result<Claimed, (String, StoreError)> {
        let corrupt = |column| (self.id.clone(), StoreError::corrupt("jobs", column, &self.id));
        Ok(Claimed {
            lease: Lease {
                job: self.id.parse().map_err(|_| corrupt("id"))?,
                owner: order.owner.clone(),
                epoch: self.epoch,
            },
            livemode: order.livemode,
            job: serde_json::from_str(&self.payload).map_err(|_| corrupt("payload"))?,
            rescues: count(self.rescues).ok_or_else(|| corrupt("rescues"))?,
            runs: count(self.runs).ok_or_else(|| corrupt("runs"))?,
            failures: count(self.failures).ok_or_else(|| corrupt("failures"))?,
            due_at: self.due_at.0,
            claimed_at,
            claimed_on,
            lease_length: order.lease,
            traceparent: self.traceparent,
        })
    }
}

/// Reads the leases of these jobs, and on PostgreSQL locks their rows.
pub(super) async fn lock(tx: &mut Tx, jobs: &BTreeSet<JobId>) -> Result<HashMap<JobId, Lease>, StoreError> {
    if jobs.is_empty() {
        return Ok(HashMap::new());
    }
    let ids = json(&jobs);
    let rows: Vec<(String, String, i64)> =
        on!(tx, |tx, pick| sqlx::query_as(pick(LOCK)).bind(ids).fetch_all(&mut **tx).await?);
    rows.into_iter()
        .map(|(id, owner, epoch)| {
            let job = id.parse().map_err(|_| StoreError::corrupt("jobs", "id", &id))?;
            Ok((job, Lease { job, owner, epoch }))
        })
        .collect()
}

/// A new row of `jobs`.
#[derive(Debug, Serialize)]
pub(super) struct JobRow {
    id: String,
    kind: &'static str,
    lane: &'static str,
    livemode: bool,
    payment_id: Option<String>,
    payload: String,
    dedupe: String,
    state: &'static str,
    priority: i64,
    due_at: At,
    runs: i64,
    epoch: i64,
    rescues: i64,
    failures: i64,
    traceparent: Option<String>,
    created_at: At,
}

impl JobRow {
    /// A job about a payment. What a payment brings about later waits behind what somebody waits for now.
    pub(super) fn new(clock: &Clock, payment: &Payment, job: &Job, at: Time) -> Self {
        let priority = match job {
            Job::Retry(_) => Priority::Bulk,
            Job::Charge(_) | Job::Reconcile(_) | Job::Sweep(_) => Priority::Interactive,
        };
        Self { livemode: payment.livemode, ..Self::planted(clock, job, at) }.with_priority(priority)
    }

    /// A job of no environment: housekeeping goes by the system's clock.
    fn planted(clock: &Clock, job: &Job, at: Time) -> Self {
        let now = clock.now(true);
        Self {
            id: JobId::mint(now, clock.random()).to_string(),
            kind: job.kind(),
            lane: job.lane().name(),
            livemode: true,
            payment_id: job.payment().map(|id| id.to_string()),
            payload: json(job),
            dedupe: job.dedupe(),
            state: "live",
            priority: Priority::Interactive.number(),
            due_at: At(at),
            runs: 0,
            epoch: 0,
            rescues: 0,
            failures: 0,
            traceparent: None,
            created_at: At(now),
        }
    }

    pub(super) fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority.number();
        self
    }

    pub(super) fn with_traceparent(mut self, traceparent: Option<String>) -> Self {
        self.traceparent = traceparent;
        self
    }
}

/// What a batch does to jobs.
#[derive(Debug, Default)]
pub(super) struct JobWrites {
    done: Vec<String>,
    moved: Vec<MoveRow>,
    inserted: Vec<JobRow>,
    /// The identities of those, since one statement must not meet the same one twice.
    dedupes: HashSet<String>,
}

#[derive(Debug, Serialize)]
struct MoveRow {
    id: String,
    state: &'static str,
    parked_reason: Option<String>,
    due_at: Option<At>,
    failed: i64,
    last_error: Option<String>,
}

impl MoveRow {
    fn live(id: String) -> Self {
        Self { id, state: "live", parked_reason: None, due_at: None, failed: 0, last_error: None }
    }
}

impl JobWrites {
    pub(super) fn insert(&mut self, row: JobRow) {
        if self.dedupes.insert(row.dedupe.clone()) {
            self.inserted.push(row);
        }
    }

    pub(super) fn enqueues(&self) -> bool {
        !self.inserted.is_empty()
    }

    pub(super) fn end(&mut self, job: JobId, end: &JobEnd) {
        let id = job.to_string();
        match end {
            JobEnd::Keep => {}
            JobEnd::Done => self.done.push(id),
            JobEnd::Again(at) | JobEnd::AgainWhileOpen(at) => {
                self.moved.push(MoveRow { due_at: Some(At(*at)), ..MoveRow::live(id) });
            }
            JobEnd::Failed(at, error) => self.moved.push(MoveRow {
                due_at: Some(At(*at)),
                failed: 1,
                last_error: Some(error.clone()),
                ..MoveRow::live(id)
            }),
            JobEnd::Park(reason) => self.park(id, reason.clone()),
        }
    }

    fn park(&mut self, id: String, reason: String) {
        self.moved.push(MoveRow { state: "parked", parked_reason: Some(reason), ..MoveRow::live(id) });
    }

    pub(super) async fn write(&self, tx: &mut Tx) -> Result<(), StoreError> {
        tx.write(DELETE, &self.done).await?;
        tx.write(MOVE, &self.moved).await?;
        tx.write(INSERT, &self.inserted).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claim_names_every_kind_in_each_arm() {
        let kinds: Vec<_> = Job::KINDS.iter().map(|kind| format!("'{kind}'")).collect();
        let list = format!("kind IN ({})", kinds.join(", "));

        assert_eq!(CLAIM.sqlite.matches(&list).count(), 3);
        assert_eq!(CLAIM.postgres.matches(&list).count(), 3);
    }
}

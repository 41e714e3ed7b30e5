//! The claim: who may work on a job, for how long, and what is due (S5.2).

use super::{
    Store, StoreError, Tx,
    change::Lease,
    gate,
    holds::{Holds, Leave},
    jobs::JobWrites,
    payments,
    recent::{Recent, Stored},
    row::{At, count, json},
    text::{Text, bulk, on, rows},
};
use crate::{
    domain::{
        clock::{Clock, Time},
        hold_reason::HoldReason,
    },
    failpoint::Point,
};
use chrono::TimeDelta;
use dunlin_jobs::{Job, JobId, Lane, PaymentId};
use serde::Serialize;
use std::time::{Duration, Instant};

/// A job in hand, and how long it may be worked on.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub lease: Lease,
    pub job: Job,
    /// The payment that it is about, as it was at the claim, unless it is remembered anyway.
    pub(super) payment: Option<Stored>,
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
    lease_until: At,
}

/// One arm of the claim, which reads one index from its start. Kinds that this version does not know are left, and after
/// a restore those that send.
macro_rules! arm {
    ($name:literal, $where:literal, $order:literal, $lock:literal, $only:literal $(, $now:literal)?) => {
        concat!(
            "SELECT id FROM (SELECT id FROM jobs WHERE lane = $1 AND livemode = $2 AND state = 'live' \
             AND kind IN ('charge', 'retry', 'reconcile', 'withdraw', 'refund', 'sweep', 'gateway_event', 'gateway_sweep') \
             AND (kind IN ('sweep', 'gateway_event') \
             OR NOT EXISTS (SELECT 1 FROM restores WHERE released_at IS NULL)) AND ",
            $where, $($now,)? $only, " ORDER BY ", $order, " LIMIT $4", $lock, ") ", $name
        )
    };
}

/// What was left behind first, for its outcome may be open; then what is due, the urgent before the many. The
/// choice is made once, before anything is written: a plan that made it again would take more than its limit.
macro_rules! claim {
    ($now:literal, $until:literal, $lock:literal, $left:literal, $due:literal) => {
        concat!(
            "WITH picked AS MATERIALIZED (SELECT id FROM (",
            arm!(
                "left_behind",
                "lease_owner IS NOT NULL AND lease_until < ",
                "lease_until",
                $lock,
                $left,
                $now
            ),
            " UNION ALL ",
            arm!(
                "urgent",
                "lease_owner IS NULL AND priority = 0 AND due_at <= $3",
                "due_at, id",
                $lock,
                $due
            ),
            " UNION ALL ",
            arm!("many", "lease_owner IS NULL AND priority = 1 AND due_at <= $3", "due_at, id", $lock, $due),
            ") candidates LIMIT $4) UPDATE jobs SET lease_owner = $5, lease_until = ",
            $until,
            ", epoch = epoch + $7, \
             rescues = rescues + CASE WHEN lease_owner IS NULL THEN 0 ELSE 1 END \
             WHERE id IN (SELECT id FROM picked) \
             RETURNING id, payload, epoch, rescues, runs, failures, due_at, priority, traceparent, lease_until"
        )
    };
}

// Leases go by the database's clock, never by business time; it is the one time that SQL computes.
macro_rules! claims {
    ($left:literal, $due_sqlite:literal, $due_postgres:literal) => {
        Text {
            sqlite: claim!(
                "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')",
                "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', ($6 / 1000.0) || ' seconds')",
                "",
                $left,
                $due_sqlite
            ),
            postgres: claim!(
                "clock_timestamp()",
                "clock_timestamp() + $6 * interval '1 millisecond'",
                " FOR UPDATE SKIP LOCKED",
                $left,
                $due_postgres
            ),
        }
    };
}

const CLAIM: Text = claims!("", "", "");

// While an account is on hold. What was left behind may have been sent, and is looked at all the same.
const CLAIM_OTHERS: Text = claims!(
    "",
    " AND NOT (account IS NOT NULL AND ((kind IN ('charge', 'retry') AND account IN \
     (SELECT value FROM json_each($8))) OR (kind IN ('refund', 'gateway_event') AND account IN (SELECT value FROM json_each($9)))))",
    " AND NOT (account IS NOT NULL AND ((kind IN ('charge', 'retry') AND account IN \
     (SELECT json_array_elements_text($8::json))) OR (kind IN ('refund', 'gateway_event') AND account IN \
     (SELECT json_array_elements_text($9::json)))))"
);

// While work on an account resumes.
const CLAIM_RESUMING: Text = claims!(
    " AND kind IN ('charge', 'retry') AND account = $8",
    " AND kind IN ('charge', 'retry') AND account = $8",
    " AND kind IN ('charge', 'retry') AND account = $8"
);

const RENEW: Text = Text {
    sqlite: concat!(
        "UPDATE jobs SET lease_until = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', ($2 / 1000.0) || ' seconds') FROM ",
        rows!(sqlite id text, owner text, epoch bigint),
        " WHERE jobs.id = r.id AND jobs.lease_owner = r.owner AND jobs.epoch = r.epoch"
    ),
    postgres: concat!(
        "UPDATE jobs SET lease_until = clock_timestamp() + $2 * interval '1 millisecond' WHERE id IN \
         (SELECT jobs.id FROM jobs JOIN ",
        rows!(postgres id text, owner text, epoch bigint),
        " ON jobs.id = r.id WHERE jobs.lease_owner = r.owner AND jobs.epoch = r.epoch ORDER BY jobs.id \
         FOR UPDATE OF jobs SKIP LOCKED)"
    ),
};

const RELEASE: Text = bulk!(
    "UPDATE jobs SET lease_owner = NULL, lease_until = NULL FROM "
    rows(id text, owner text, epoch bigint)
    " WHERE jobs.id = r.id AND jobs.lease_owner = r.owner AND jobs.epoch = r.epoch"
);

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
        self.pass(Point::Asked).await?;
        let _open = if order.livemode { None } else { Some(self.gate.read().await) };
        self.committer.claim(order).await
    }

    /// Prolongs the leases that are still held.
    pub async fn renew(&self, leases: &[Lease], length: Duration) -> Result<(), StoreError> {
        let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        let leases = rows_of(leases);
        on!(&self.writer, |db, pick| {
            sqlx::query(pick(RENEW)).bind(leases).bind(millis).execute(db).await?.rows_affected()
        });
        Ok(())
    }

    /// Gives back leases of jobs that were never started; it costs them nothing (S5.7).
    pub async fn release(&self, leases: &[Lease]) -> Result<(), StoreError> {
        let leases = rows_of(leases);
        on!(&self.writer, |db, pick| {
            sqlx::query(pick(RELEASE)).bind(leases).execute(db).await?.rows_affected()
        });
        Ok(())
    }

    /// Ends every lease at once, as if its time had run out. For tests, and for the start of the only process.
    pub async fn expire_leases(&self) -> Result<(), StoreError> {
        const TEXT: &str =
            "UPDATE jobs SET lease_until = '1970-01-01T00:00:00.000000Z' WHERE lease_owner IS NOT NULL";
        on!(&self.writer, |db, _pick| sqlx::query(TEXT).execute(db).await?.rows_affected());
        Ok(())
    }
}

/// How far a claim moves the epochs. Where a crash or a failover takes a claim back, the next one begins from the same
/// number, and must not come to the same lease: its owner may be the same process.
fn step(clock: &Clock) -> i64 {
    let [a, b, c, d, ..] = clock.random();
    i64::from(u32::from_be_bytes([a, b, c, d])) + 1
}

/// Leases as a bulk statement reads them.
fn rows_of(leases: &[Lease]) -> String {
    #[derive(Serialize)]
    struct LeaseRow<'a> {
        id: JobId,
        owner: &'a str,
        epoch: i64,
    }
    fn row(lease: &Lease) -> LeaseRow<'_> {
        LeaseRow { id: lease.job, owner: &lease.owner, epoch: lease.epoch }
    }
    json(&leases.iter().map(row).collect::<Vec<_>>())
}

/// The claim itself, inside a transaction.
pub(super) async fn claim(
    tx: &mut Tx,
    clock: &Clock,
    order: &Order,
    recent: &Recent,
    holds: &Holds,
) -> Result<Vec<Claimed>, StoreError> {
    if holds.is_skewed() {
        return Ok(Vec::new());
    }
    if !order.livemode && !gate::pass(tx, clock).await? {
        return Ok(Vec::new());
    }
    let claimed_at = Instant::now();
    let claimed_on = clock.now(true);
    let mut rows = match holds.leave() {
        None => take(tx, clock, order, CLAIM, &[]).await?,
        Some(leave) => take_around(tx, clock, order, &leave).await?,
    };
    if let (Tx::Postgres(_), Some(row)) = (&*tx, rows.first()) {
        // A machine that has just awoken still goes by what it was told before it slept.
        note_time(clock, row.lease_until.0, order.lease, claimed_at);
    }
    rows.sort_by(|a, b| (a.priority, a.due_at, &a.id).cmp(&(b.priority, b.due_at, &b.id)));
    let mut claimed = Vec::with_capacity(rows.len());
    let mut aside = JobWrites::default();
    for row in rows {
        match row.claimed(order, claimed_at, claimed_on) {
            Ok(job) => claimed.push(job),
            // It must not hold up the jobs behind it, so it waits for a person.
            Err((id, error)) => {
                tracing::error!(job.id = id, %error, "{id} is set aside: {error}");
                aside.park(id, HoldReason::Invalid, error.to_string());
            }
        }
    }
    aside.write(tx).await?;
    let remembered = |id: &PaymentId| recent.holds(*id);
    let about = claimed.iter().filter_map(|claimed| claimed.job.payment()).filter(|id| !remembered(id));
    let payments = payments::look_up(tx, &about.collect()).await?;
    for claimed in &mut claimed {
        claimed.payment = claimed.job.payment().and_then(|id| payments.get(&id).cloned());
    }
    Ok(claimed)
}

/// Takes over the database's time, as a lease of that length shows it.
fn note_time(clock: &Clock, lease_until: Time, length: Duration, asked_at: Instant) {
    let shown = TimeDelta::from_std(length).ok().and_then(|length| lease_until.checked_sub_signed(length));
    if let Some(shown) = shown {
        clock.note_database_time(shown, asked_at + asked_at.elapsed() / 2);
    }
}

/// Takes what is due but for what is on hold, and of each account on which work resumes as much as may begin.
async fn take_around(
    tx: &mut Tx,
    clock: &Clock,
    order: &Order,
    leave: &Leave,
) -> Result<Vec<ClaimedRow>, StoreError> {
    let others = [json(&leave.charges), json(&leave.refunds)];
    let mut rows = take(tx, clock, order, CLAIM_OTHERS, &others).await?;
    for (account, free) in leave.resuming.iter().filter(|_| order.lane == Lane::Payments) {
        let left = usize::from(order.limit).saturating_sub(rows.len());
        let limit = u16::try_from(left).unwrap_or(u16::MAX).min(*free);
        if limit > 0 {
            let order = Order { limit, ..order.clone() };
            rows.extend(take(tx, clock, &order, CLAIM_RESUMING, std::slice::from_ref(account)).await?);
        }
    }
    Ok(rows)
}

async fn take(
    tx: &mut Tx,
    clock: &Clock,
    order: &Order,
    text: Text,
    more: &[String],
) -> Result<Vec<ClaimedRow>, StoreError> {
    let millis = i64::try_from(order.lease.as_millis()).unwrap_or(i64::MAX);
    Ok(on!(tx, |tx, pick| {
        let mut query = sqlx::query_as(pick(text))
            .bind(order.lane.name())
            .bind(order.livemode)
            .bind(At(clock.now(order.livemode)))
            .bind(i64::from(order.limit))
            .bind(&order.owner)
            .bind(millis)
            .bind(step(clock));
        for value in more {
            query = query.bind(value);
        }
        query.fetch_all(&mut **tx).await?
    }))
}

/// A transaction of claims only need not be on disk when it is answered: nothing begins before an intent that
/// comes after it in the same log, and a claim that a crash forgets is a lease that the intent then lacks.
pub(super) async fn need_not_last(tx: &mut Tx) -> Result<(), StoreError> {
    if let Tx::Postgres(tx) = tx {
        sqlx::query("SET LOCAL synchronous_commit = off").execute(&mut **tx).await?;
    }
    Ok(())
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
            payment: None,
            livemode: order.livemode,
            job: serde_json::from_str(&self.payload).map_err(|_| corrupt("payload"))?,
            rescues: count(self.rescues).ok_or_else(|| corrupt("rescues"))?,
            runs: count(self.runs.max(0)).ok_or_else(|| corrupt("runs"))?,
            failures: count(self.failures).ok_or_else(|| corrupt("failures"))?,
            due_at: self.due_at.0,
            claimed_at,
            claimed_on,
            lease_length: order.lease,
            traceparent: self.traceparent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claim_names_every_kind_in_each_arm() {
        let kinds: Vec<_> = Job::KINDS.iter().map(|kind| format!("'{kind}'")).collect();
        let list = format!("kind IN ({})", kinds.join(", "));

        for text in [CLAIM, CLAIM_OTHERS, CLAIM_RESUMING] {
            assert_eq!(text.sqlite.matches(&list).count(), 3);
            assert_eq!(text.postgres.matches(&list).count(), 3);
        }
    }
}

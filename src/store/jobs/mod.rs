//! Jobs: rows of work, made and ended in the commits that cause and finish it.

mod view;

pub use view::{JobFilter, JobView};

use super::{
    Store, StoreError, Tx,
    change::{JobEnd, Priority},
    row::{At, json},
    text::{Text, bulk, insert, on},
};
use crate::domain::{
    clock::{Clock, Time},
    hold_reason::HoldReason,
};
use dunlin_jobs::{Job, JobId, PaymentId, Withdraw};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Inserts jobs; `$known` says what becomes of one whose work is queued already.
macro_rules! insert_jobs {
    ($known:literal) => {
        insert!(
            "jobs"
            (id text, kind text, lane text, livemode boolean, payment_id text, payload text, dedupe text,
                state text, priority bigint, due_at timestamptz, runs bigint, epoch bigint, rescues bigint,
                failures bigint, traceparent text, created_at timestamptz, account text)
            $known
        )
    };
}

// The same work is never queued twice. What was set aside is taken up again when there is new reason for it.
const INSERT: Text = insert_jobs!(
    "ON CONFLICT (dedupe) DO UPDATE SET state = 'live', parked_reason = NULL, parked_code = NULL, rescues = 0, \
     due_at = excluded.due_at WHERE jobs.state = 'parked'"
);

// A person wants it at this time, whatever was planned, and its schedule begins anew; what is in hand goes on.
const HASTEN: Text = insert_jobs!(
    "ON CONFLICT (dedupe) DO UPDATE SET state = 'live', parked_reason = NULL, parked_code = NULL, rescues = 0, runs = 0, \
     priority = excluded.priority, due_at = excluded.due_at"
);

const MOVE: Text = bulk!(
    "UPDATE jobs SET state = r.state, parked_reason = r.parked_reason, parked_code = r.parked_code, \
     due_at = coalesce(r.due_at, jobs.due_at), runs = jobs.runs + 1 - r.failed, failures = jobs.failures + r.failed, \
     last_error = coalesce(r.last_error, jobs.last_error), rescues = 0, lease_owner = NULL, lease_until = NULL FROM "
    rows(id text, state text, parked_reason text, parked_code text, due_at timestamptz, failed bigint, last_error text)
    " WHERE jobs.id = r.id"
);

// Nobody else has it in hand: the row was locked and looked at. A run that is brought forward is not one of its schedule.
const WAKE: Text = bulk!(
    "UPDATE jobs SET state = 'live', parked_reason = NULL, parked_code = NULL, rescues = 0, \
     runs = CASE WHEN jobs.due_at > r.due_at AND jobs.runs >= 0 THEN jobs.runs - 1 ELSE jobs.runs END, \
     priority = r.priority, due_at = r.due_at FROM "
    rows(id text, priority bigint, due_at timestamptz)
    " WHERE jobs.id = r.id AND jobs.lease_owner IS NULL"
);

const LOAD: Text = Text {
    sqlite: "SELECT id, payment_id, kind, state, due_at, lease_owner FROM jobs \
         WHERE id IN (SELECT value FROM json_each($1))",
    postgres: "SELECT id, payment_id, kind, state, due_at, lease_owner FROM jobs \
         WHERE id IN (SELECT json_array_elements_text($1::json))",
};

const DELETE: Text = Text {
    sqlite: "DELETE FROM jobs WHERE id IN (SELECT value FROM json_each($1))",
    postgres: "DELETE FROM jobs WHERE id IN (SELECT json_array_elements_text($1::json))",
};

// Whoever looked at the payment saw it at that version. A job that was wanted anew since is only given back.
const DELETE_LOOKED: Text = bulk!(
    "DELETE FROM jobs WHERE id IN (SELECT r.id FROM "
    rows(id text, version bigint)
    " JOIN jobs AS looked ON looked.id = r.id JOIN payments ON payments.id = looked.payment_id \
     WHERE payments.version = r.version)"
);

const GIVE_BACK: Text = bulk!(
    "UPDATE jobs SET rescues = 0, lease_owner = NULL, lease_until = NULL FROM "
    rows(id text, version bigint)
    " WHERE jobs.id = r.id"
);

/// What is not kept from running by the hold of its account, or because it is not known whose the account is.
macro_rules! not_on_hold {
    (sqlite $untold:literal) => {
        not_on_hold!(concat "(SELECT value FROM json_each(", $untold, "))")
    };
    (postgres $untold:literal) => {
        not_on_hold!(concat "(SELECT json_array_elements_text(", $untold, "::json))")
    };
    (concat $before:literal, $untold:literal, $after:literal) => {
        concat!(
            "NOT (account IS NOT NULL AND ((kind IN ('charge', 'retry') \
             AND account IN (SELECT h.account FROM account_holds h WHERE h.begun >= h.allowance)) \
             OR (kind IN ('charge', 'retry', 'refund', 'gateway_event') AND account IN ",
            $before,
            $untold,
            $after,
            ")))"
        )
    };
}

/// When the next job of an environment is due.
macro_rules! next_due {
    ($driver:ident) => {
        concat!(
            "SELECT min(due_at) FROM jobs WHERE livemode = $1 AND state = 'live' \
             AND lease_owner IS NULL AND lane <> 'upkeep' AND ",
            not_on_hold!($driver "$2")
        )
    };
}

/// How many jobs of an environment are due or in hand.
macro_rules! busy {
    ($driver:ident) => {
        concat!(
            "SELECT count(*) FROM jobs WHERE livemode = $1 AND state = 'live' \
             AND (lease_owner IS NOT NULL OR (due_at <= $2 AND ",
            not_on_hold!($driver "$3"),
            ")) AND lane <> 'upkeep'"
        )
    };
}

const NEXT_DUE: Text = Text { sqlite: next_due!(sqlite), postgres: next_due!(postgres) };
const BUSY: Text = Text { sqlite: busy!(sqlite), postgres: busy!(postgres) };

impl Store {
    /// Adds a permanent job, unless it is there.
    pub async fn plant(&self, job: &Job, at: Time) -> Result<(), StoreError> {
        let row = JobRow::planted(&self.clock, job, at);
        let mut tx = self.begin().await?;
        tx.write(INSERT, &[row]).await?;
        tx.commit().await
    }

    /// Gives a payment or a refund the job that it must have.
    pub async fn adopt(&self, livemode: bool, job: &Job, at: Time) -> Result<(), StoreError> {
        const ACCOUNT: &str = "SELECT account FROM payments WHERE id = $1";
        let mut row = JobRow::new(&self.clock, livemode, job, at);
        let mut tx = self.begin().await?;
        if let Some(payment) = job.payment() {
            let payment = payment.to_string();
            row.account = on!(&mut tx, |tx, _pick| {
                sqlx::query_scalar(ACCOUNT).bind(payment).fetch_optional(&mut **tx).await?
            });
        }
        tx.write(INSERT, &[row]).await?;
        tx.commit().await
    }

    /// When the next job of an environment is due, leaving out those in hand and those that a hold keeps waiting.
    pub async fn find_next_due(&self, livemode: bool) -> Result<Option<Time>, StoreError> {
        let untold = json(&self.holds.untold());
        let due: Option<At> = on!(&self.db, |db, pick| {
            sqlx::query_scalar(pick(NEXT_DUE)).bind(livemode).bind(untold).fetch_one(db).await?
        });
        Ok(due.map(|at| at.0))
    }

    /// How many jobs of an environment are due by `now` or in hand.
    pub async fn count_busy(&self, livemode: bool, now: Time) -> Result<i64, StoreError> {
        let untold = json(&self.holds.untold());
        on!(&self.db, |db, pick| {
            Ok(sqlx::query_scalar(pick(BUSY)).bind(livemode).bind(At(now)).bind(untold).fetch_one(db).await?)
        })
    }
}

impl Tx {
    /// Inserts jobs beside other rows of a transaction that the committer has no part in.
    pub(super) async fn insert_jobs(&mut self, rows: &[JobRow]) -> Result<u64, StoreError> {
        self.write(INSERT, rows).await
    }
}

/// A job that a person wants something of, as its locked row has it.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) payment: PaymentId,
    pub(super) kind: String,
    pub(super) is_parked: bool,
    pub(super) is_leased: bool,
    pub(super) due_at: Time,
}

/// Reads jobs whose rows the transaction has locked, but for those that are about no payment.
pub(super) async fn load(tx: &mut Tx, ids: &BTreeSet<JobId>) -> Result<HashMap<JobId, Wanted>, StoreError> {
    type Row = (String, Option<String>, String, String, At, Option<String>);
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<Row> =
        on!(tx, |tx, pick| sqlx::query_as(pick(LOAD)).bind(json(&ids)).fetch_all(&mut **tx).await?);
    let read = |(id, payment, kind, state, due_at, owner): Row| {
        let corrupt = |column| StoreError::corrupt("jobs", column, &id);
        let Some(payment) = payment else { return Ok(None) };
        let wanted = Wanted {
            payment: payment.parse().map_err(|_| corrupt("payment_id"))?,
            kind,
            is_parked: state == "parked",
            is_leased: owner.is_some(),
            due_at: due_at.0,
        };
        Ok(Some((id.parse().map_err(|_| corrupt("id"))?, wanted)))
    };
    rows.into_iter().filter_map(|row| read(row).transpose()).collect()
}

/// Whether a worker is at an attempt of the payment.
pub(super) async fn is_in_hand(tx: &mut Tx, payment: PaymentId) -> Result<bool, StoreError> {
    // Locked, or a claim that is not committed yet would not be seen; SQLite has one writer anyway.
    const TEXT: Text = Text {
        sqlite: "SELECT lease_owner FROM jobs WHERE dedupe > $1 || ':' AND dedupe < $1 || ';' \
             AND kind <> 'refund' ORDER BY id",
        postgres: "SELECT lease_owner FROM jobs WHERE dedupe > $1 || ':' AND dedupe < $1 || ';' \
             AND kind <> 'refund' ORDER BY id FOR UPDATE",
    };
    let id = payment.to_string();
    let owners: Vec<Option<String>> =
        on!(tx, |tx, pick| sqlx::query_scalar(pick(TEXT)).bind(id).fetch_all(&mut **tx).await?);
    Ok(owners.iter().any(Option::is_some))
}

/// Whether what an attempt has left at the gateway is being canceled there, or may have been.
pub(super) async fn is_being_withdrawn(
    tx: &mut Tx,
    payment: PaymentId,
    attempt: u32,
) -> Result<bool, StoreError> {
    const TEXT: Text = Text {
        sqlite: "SELECT lease_owner IS NOT NULL OR failures > 0 FROM jobs WHERE dedupe = $1",
        postgres: "SELECT lease_owner IS NOT NULL OR failures > 0 FROM jobs WHERE dedupe = $1 FOR UPDATE",
    };
    let dedupe = Job::Withdraw(Withdraw::own(payment, attempt)).dedupe();
    let begun: Option<bool> =
        on!(tx, |tx, pick| sqlx::query_scalar(pick(TEXT)).bind(dedupe).fetch_optional(&mut **tx).await?);
    Ok(begun == Some(true))
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
    /// Whose charges and refunds wait while the account is on hold.
    account: Option<String>,
}

impl JobRow {
    /// A job of an environment. What a payment brings about later waits behind what somebody waits for now.
    pub(super) fn new(clock: &Clock, livemode: bool, job: &Job, at: Time) -> Self {
        let priority = match job {
            Job::Retry(_) | Job::Withdraw(_) => Priority::Bulk,
            Job::Charge(_)
            | Job::Reconcile(_)
            | Job::Refund(_)
            | Job::Sweep(_)
            | Job::GatewayEvent(_)
            | Job::GatewaySweep(_) => Priority::Interactive,
        };
        Self { livemode, ..Self::planted(clock, job, at) }.with_priority(priority)
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
            account: None,
        }
    }

    pub(super) fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority.number();
        self
    }

    pub(super) fn with_account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
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
    looked: Vec<LookedRow>,
    moved: Vec<MoveRow>,
    inserted: Vec<JobRow>,
    hastened: Vec<JobRow>,
    woken: Vec<WakeRow>,
    /// The identities of all those, since one statement must not meet the same one twice.
    dedupes: HashSet<String>,
}

#[derive(Debug, Serialize)]
struct LookedRow {
    id: String,
    version: u32,
}

#[derive(Debug, Serialize)]
struct WakeRow {
    id: String,
    priority: i64,
    due_at: At,
}

#[derive(Debug, Serialize)]
struct MoveRow {
    id: String,
    state: &'static str,
    parked_reason: Option<String>,
    parked_code: Option<&'static str>,
    due_at: Option<At>,
    failed: i64,
    last_error: Option<String>,
}

impl MoveRow {
    fn live(id: String) -> Self {
        Self {
            id,
            state: "live",
            parked_reason: None,
            parked_code: None,
            due_at: None,
            failed: 0,
            last_error: None,
        }
    }
}

impl JobWrites {
    pub(super) fn insert(&mut self, row: JobRow) {
        if self.dedupes.insert(row.dedupe.clone()) {
            self.inserted.push(row);
        }
    }

    pub(super) fn hasten(&mut self, row: JobRow) {
        self.inserted.retain(|other| other.dedupe != row.dedupe);
        self.hastened.retain(|other| other.dedupe != row.dedupe);
        self.dedupes.insert(row.dedupe.clone());
        self.hastened.push(row.with_priority(Priority::Interactive));
    }

    /// A person waits for it: it runs at this time, also where it was set aside.
    pub(super) fn wake(&mut self, job: JobId, at: Time) {
        let priority = Priority::Interactive.number();
        self.woken.push(WakeRow { id: job.to_string(), priority, due_at: At(at) });
    }

    /// The new jobs, in the order in which they came.
    pub(super) fn inserted(&self) -> impl Iterator<Item = JobId> + '_ {
        self.inserted.iter().filter_map(|row| row.id.parse().ok())
    }

    pub(super) fn enqueues(&self) -> bool {
        !self.inserted.is_empty() || !self.hastened.is_empty() || !self.woken.is_empty()
    }

    pub(super) fn end(&mut self, job: JobId, end: &JobEnd) {
        let id = job.to_string();
        match end {
            JobEnd::Keep => {}
            JobEnd::Done => self.done.push(id),
            JobEnd::DoneAt(version) => self.looked.push(LookedRow { id, version: *version }),
            JobEnd::Again(at) | JobEnd::AgainWhileOpen(at) => {
                self.moved.push(MoveRow { due_at: Some(At(*at)), ..MoveRow::live(id) });
            }
            JobEnd::Failed(at, error) => self.moved.push(MoveRow {
                due_at: Some(At(*at)),
                failed: 1,
                last_error: Some(error.clone()),
                ..MoveRow::live(id)
            }),
            JobEnd::Park(reason, words) => self.park(id, *reason, words.clone()),
        }
    }

    pub(super) fn park(&mut self, id: String, reason: HoldReason, words: String) {
        self.moved.push(MoveRow {
            state: "parked",
            parked_reason: Some(words),
            parked_code: Some(reason.name()),
            ..MoveRow::live(id)
        });
    }

    pub(super) async fn write(&self, tx: &mut Tx) -> Result<(), StoreError> {
        tx.write(DELETE, &self.done).await?;
        tx.write(DELETE_LOOKED, &self.looked).await?;
        tx.write(GIVE_BACK, &self.looked).await?;
        tx.write(MOVE, &self.moved).await?;
        tx.write(WAKE, &self.woken).await?;
        tx.write(INSERT, &self.inserted).await?;
        tx.write(HASTEN, &self.hastened).await.map(drop)
    }
}

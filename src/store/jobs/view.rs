//! Jobs as people see them: those of a payment, and those of a tenant's payments.

use super::super::{Owner, Store, StoreError, row::At, text::on};
use crate::domain::{clock::Time, hold_reason::HoldReason};
use dunlin_jobs::{JobId, PaymentId};
use schemars::JsonSchema;
use serde::Serialize;

/// A job as its row tells it, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Job")]
pub struct JobView {
    #[schemars(extend("const" = "job"))]
    pub object: &'static str,
    #[schemars(with = "JobId")]
    pub id: String,
    pub kind: String,
    #[schemars(extend("enum" = JobView::STATES))]
    pub state: String,
    #[schemars(with = "PaymentId")]
    pub payment: String,
    pub due_at: Time,
    /// How often it was run and asked to come again.
    pub runs: i64,
    /// How often in a row it has lost its worker.
    pub rescues: i64,
    pub failures: i64,
    /// Whether a worker has it in hand.
    pub leased: bool,
    pub last_error: Option<String>,
    /// Why nobody works on it until it is released.
    pub parked_reason: Option<String>,
    /// The same as a value.
    #[schemars(extend("enum" = HoldReason::ALL.map(HoldReason::name)))]
    pub parked_code: Option<String>,
    pub created_at: Time,
}

/// What a page of jobs is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    pub state: Option<String>,
    pub kind: Option<String>,
    pub payment: Option<PaymentId>,
    pub due_before: Option<Time>,
    /// Only jobs made before this one.
    pub after: Option<JobId>,
    pub limit: u16,
}

macro_rules! job_columns {
    ($from:literal) => {
        concat!(
            "SELECT j.id, j.kind, j.state, j.payment_id, j.due_at, j.runs, j.rescues, j.failures, \
             j.lease_owner IS NOT NULL AS leased, j.last_error, j.parked_reason, j.parked_code, \
             j.created_at FROM jobs j ",
            $from
        )
    };
}

const OF_PAYMENT: &str =
    job_columns!("WHERE j.dedupe > $1 || ':' AND j.dedupe < $1 || ';' ORDER BY j.due_at, j.id");

const GET_OWNED: &str = job_columns!(
    "JOIN payments p ON p.id = j.payment_id WHERE j.id = $1 AND p.tenant_id = $2 AND p.livemode = $3"
);

/// A page by one index: a filter that has one of its own stands by itself, or it would not be used.
macro_rules! list {
    ($indexed:literal) => {
        concat!(
            job_columns!(
                "JOIN payments p ON p.id = j.payment_id WHERE p.tenant_id = $1 AND p.livemode = $2 AND j.id < $3 \
                 AND ($4 IS NULL OR j.state = $4) AND ($5 IS NULL OR j.kind = $5) \
                 AND ($6 IS NULL OR j.payment_id = $6) AND ($7 IS NULL OR j.due_at < $7) "
            ),
            $indexed,
            "ORDER BY j.id DESC LIMIT $8"
        )
    };
}
const LIST: &str = list!("");
const LIST_PARKED: &str = list!("AND j.state = 'parked' ");
const LIST_OF_PAYMENT: &str = list!("AND j.dedupe > $6 || ':' AND j.dedupe < $6 || ';' ");

/// Sorts after every job's id.
const AFTER_ALL: &str = "job_~";

#[derive(Debug, sqlx::FromRow)]
struct ViewRow {
    id: String,
    kind: String,
    state: String,
    payment_id: Option<String>,
    due_at: At,
    runs: i64,
    rescues: i64,
    failures: i64,
    leased: bool,
    last_error: Option<String>,
    parked_reason: Option<String>,
    parked_code: Option<String>,
    created_at: At,
}

impl JobView {
    pub const STATES: [&'static str; 2] = ["live", "parked"];
    /// The kinds that are about a payment; the others are nobody's.
    pub const KINDS: [&'static str; 5] = ["charge", "retry", "reconcile", "withdraw", "refund"];
}

impl From<ViewRow> for JobView {
    fn from(row: ViewRow) -> Self {
        Self {
            object: "job",
            id: row.id,
            kind: row.kind,
            state: row.state,
            payment: row.payment_id.unwrap_or_default(),
            due_at: row.due_at.0,
            // One that was brought forward before its first run has one to come that does not count.
            runs: row.runs.max(0),
            rescues: row.rescues,
            failures: row.failures,
            leased: row.leased,
            last_error: row.last_error,
            parked_reason: row.parked_reason,
            parked_code: row.parked_code,
            created_at: row.created_at.0,
        }
    }
}

impl JobFilter {
    fn text(&self) -> &'static str {
        match self.state.as_deref() {
            _ if self.payment.is_some() => LIST_OF_PAYMENT,
            Some("parked") => LIST_PARKED,
            Some(_) | None => LIST,
        }
    }
}

impl Store {
    /// The jobs that are about a payment.
    pub async fn list_jobs(&self, payment: PaymentId) -> Result<Vec<JobView>, StoreError> {
        let id = payment.to_string();
        let rows: Vec<ViewRow> =
            on!(&self.db, |db, _pick| sqlx::query_as(OF_PAYMENT).bind(id).fetch_all(db).await?);
        Ok(rows.into_iter().map(JobView::from).collect())
    }

    /// A job of one of the owner's payments.
    pub async fn find_owned_job(&self, owner: Owner, id: JobId) -> Result<Option<JobView>, StoreError> {
        let (id, tenant) = (id.to_string(), owner.tenant.to_string());
        let row: Option<ViewRow> = on!(&self.db, |db, _pick| {
            sqlx::query_as(GET_OWNED).bind(id).bind(tenant).bind(owner.livemode).fetch_optional(db).await?
        });
        Ok(row.map(JobView::from))
    }

    /// A page of the jobs of the owner's payments, newest first.
    pub async fn list_owned_jobs(
        &self,
        owner: Owner,
        filter: &JobFilter,
    ) -> Result<Vec<JobView>, StoreError> {
        let after = filter.after.map_or_else(|| AFTER_ALL.to_owned(), |id| id.to_string());
        let rows: Vec<ViewRow> = on!(&self.db, |db, _pick| {
            sqlx::query_as(filter.text())
                .bind(owner.tenant.to_string())
                .bind(owner.livemode)
                .bind(after)
                .bind(filter.state.as_deref())
                .bind(filter.kind.as_deref())
                .bind(filter.payment.map(|id| id.to_string()))
                .bind(filter.due_before.map(At))
                .bind(i64::from(filter.limit))
                .fetch_all(db)
                .await?
        });
        Ok(rows.into_iter().map(JobView::from).collect())
    }
}

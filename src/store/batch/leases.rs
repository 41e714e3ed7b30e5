//! Leases in a batch: which jobs are in hand and by whom, what may be done by whoever has one, and how a job ends.

use super::Work;
use crate::store::{
    StoreError, Tx,
    change::{Change, CommitError, ExchangeWrite, JobEnd, Lease},
    row::json,
    text::{Text, on},
};
use dunlin_jobs::JobId;
use std::collections::{BTreeSet, HashMap, HashSet};

const LOCK: Text = Text {
    sqlite: "SELECT id, lease_owner, epoch, \
         lease_until <= strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'), \
         (SELECT h.allowance FROM account_holds h WHERE h.account = jobs.account) FROM jobs \
         WHERE id IN (SELECT value FROM json_each($1)) ORDER BY id",
    postgres: "SELECT id, lease_owner, epoch, \
         lease_until <= clock_timestamp(), \
         (SELECT h.allowance FROM account_holds h WHERE h.account = jobs.account) FROM jobs \
         WHERE id IN (SELECT json_array_elements_text($1::json)) ORDER BY id FOR UPDATE",
};

/// Jobs whose rows the transaction has locked.
#[derive(Debug, Default)]
pub(super) struct Locked {
    /// The leases of those that are in hand.
    pub(super) leases: HashMap<JobId, Lease>,
    /// Those whose lease has run out by the database's clock, which counts while machines sleep.
    pub(super) run_out: HashSet<JobId>,
    /// Those whose account is on hold, with how many charges may begin while work on it resumes.
    pub(super) on_hold: HashMap<JobId, i64>,
}

/// Reads the leases of these jobs, as far as they are in hand, and on PostgreSQL locks their rows.
pub(super) async fn lock(tx: &mut Tx, jobs: &BTreeSet<JobId>) -> Result<Locked, StoreError> {
    type Row = (String, Option<String>, i64, Option<bool>, Option<i64>);
    let mut locked = Locked::default();
    if jobs.is_empty() {
        return Ok(locked);
    }
    let ids = json(&jobs);
    let rows: Vec<Row> =
        on!(tx, |tx, pick| sqlx::query_as(pick(LOCK)).bind(ids).fetch_all(&mut **tx).await?);
    for (id, owner, epoch, has_run_out, allowance) in rows {
        let job: JobId = id.parse().map_err(|_| StoreError::corrupt("jobs", "id", &id))?;
        if let Some(owner) = owner {
            locked.leases.insert(job, Lease { job, owner, epoch });
        }
        if has_run_out == Some(true) {
            locked.run_out.insert(job);
        }
        if let Some(allowance) = allowance {
            locked.on_hold.insert(job, allowance);
        }
    }
    Ok(locked)
}

impl Work<'_> {
    /// Whether money would move under a lease that has run out. Nobody need have taken over: a machine that slept for a day
    /// may find its key forgotten.
    pub(super) fn begins_too_late(&self, change: &Change) -> bool {
        let moves_money = |exchange: &ExchangeWrite| match exchange {
            ExchangeWrite::Open(exchange) => exchange.kind.moves_money(),
            ExchangeWrite::Close(_) => false,
        };
        change.job.as_ref().is_some_and(|(lease, _)| self.locked.run_out.contains(&lease.job))
            && change.exchanges.iter().any(moves_money)
    }

    pub(super) fn holds_lease(&self, change: &Change) -> bool {
        change.job.as_ref().is_some_and(|(lease, _)| self.locked.leases.get(&lease.job) == Some(lease))
    }

    pub(super) fn end_job(&mut self, change: &Change, strict: bool, open: bool) -> Result<(), CommitError> {
        let Some((lease, end)) = &change.job else { return Ok(()) };
        if !self.holds_lease(change) {
            // Without the lease a fact still counts; only the job is no longer ours to move.
            return if strict { Err(CommitError::LeaseLost) } else { Ok(()) };
        }
        let end = match end {
            JobEnd::Keep => return Ok(()),
            JobEnd::AgainWhileOpen(at) if open => &JobEnd::Again(*at),
            JobEnd::AgainWhileOpen(_) => &JobEnd::Done,
            JobEnd::Done | JobEnd::DoneAt(_) | JobEnd::Again(_) | JobEnd::Failed(..) | JobEnd::Park(..) => {
                end
            }
        };
        self.locked.leases.remove(&lease.job);
        self.jobs.end(lease.job, end);
        Ok(())
    }
}

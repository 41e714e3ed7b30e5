//! Holds: accounts that are not charged for now. They stand in a table, so that all processes see them; each process
//! keeps what it read last beside what it has seen itself, and the commit of an intent looks at the table (S1.16).

use super::{
    Owner, Store, StoreError, Tx,
    change::Lease,
    row::{At, count},
    text::on,
    trail,
};
use crate::domain::{
    hold::{Hold, HoldCause, Stage, Watch},
    trail::Deed,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What this process knows of the accounts that are not to be charged.
#[derive(Debug, Clone, Default)]
pub struct Holds {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// As the table had them when it was read last.
    holds: BTreeMap<String, Hold>,
    watch: Watch,
    is_skewed: bool,
    /// How many deeds of people who restored the database are in the audit trails.
    noted: usize,
}

/// What a claim leaves alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Leave {
    /// Accounts by which nobody is charged.
    pub(super) charges: Vec<String>,
    /// Accounts of which it is not known whose they are: nothing is given back, and what is told of them waits.
    pub(super) refunds: Vec<String>,
    /// Of those that are not charged freely: how many charges may be claimed.
    pub(super) resuming: Vec<(String, u16)>,
}

impl Holds {
    /// What a claim has to leave alone; none where it may take everything, as nearly always.
    pub(super) fn leave(&self) -> Option<Leave> {
        let known = self.lock();
        let untold: Vec<_> = known.watch.all_untold().map(|(name, _)| name.to_owned()).collect();
        if known.holds.is_empty() && untold.is_empty() {
            return None;
        }
        let is_told = |account: &String| !untold.contains(account);
        let resuming = known.holds.values().filter(|hold| is_told(&hold.account)).filter_map(|hold| {
            let free = hold.stage?.free();
            (free > 0).then(|| (hold.account.clone(), u16::try_from(free).unwrap_or(u16::MAX)))
        });
        let resuming = resuming.collect();
        let charges = known.holds.keys().cloned().chain(untold.iter().cloned()).collect();
        Some(Leave { charges, refunds: untold, resuming })
    }

    /// Accounts of which it is not known whose they are.
    pub(super) fn untold(&self) -> Vec<String> {
        self.lock().watch.all_untold().map(|(name, _)| name.to_owned()).collect()
    }

    /// Whether nothing may begin at the account, as far as is known here.
    pub fn stops(&self, account: &str) -> bool {
        let known = self.lock();
        !known.watch.is_told(account) || known.holds.get(account).is_some_and(|hold| hold.stage.is_none())
    }

    /// The account's hold as it was read last.
    pub fn find(&self, account: &str) -> Option<Hold> {
        self.lock().holds.get(account).cloned()
    }

    pub fn all(&self) -> Vec<Hold> {
        self.lock().holds.values().cloned().collect()
    }

    /// What this process has seen itself.
    pub fn watch<R>(&self, look: impl FnOnce(&mut Watch) -> R) -> R {
        look(&mut self.lock().watch)
    }

    /// Whether our clock is too far from the database's to claim anything (S1.9).
    pub fn is_skewed(&self) -> bool {
        self.lock().is_skewed
    }

    /// Notes how our clock stands; true where that is new.
    pub fn note_skew(&self, is_skewed: bool) -> bool {
        std::mem::replace(&mut self.lock().is_skewed, is_skewed) != is_skewed
    }

    pub(super) fn notes_as_many(&self, deeds: usize) -> bool {
        self.lock().noted == deeds
    }

    pub(super) fn noted(&self, deeds: usize) {
        self.lock().noted = deeds;
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    account: String,
    reason: String,
    detail: String,
    held_at: At,
    probes: i64,
    probe_at: Option<At>,
    allowance: i64,
    begun: i64,
    passed: i64,
    stage_at: At,
}

impl TryFrom<Row> for Hold {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::corrupt("account_holds", column, &row.account);
        let counted = |column, number| count(number).ok_or_else(|| corrupt(column));
        let stage = Stage {
            allowance: counted("allowance", row.allowance)?,
            begun: counted("begun", row.begun)?,
            passed: counted("passed", row.passed)?,
            since: row.stage_at.0,
        };
        Ok(Self {
            reason: HoldCause::from_name(&row.reason).ok_or_else(|| corrupt("reason"))?,
            since: row.held_at.0,
            probes: counted("probes", row.probes)?,
            probe_at: row.probe_at.map(|at| at.0),
            stage: (stage.allowance > 0).then_some(stage),
            detail: row.detail,
            account: row.account,
        })
    }
}

/// Runs a statement by itself; how many rows it touched.
macro_rules! run {
    ($db:expr, $text:expr $(, $bound:expr)*) => {
        on!($db, |db, _pick| sqlx::query($text)$(.bind($bound))*.execute(db).await?.rows_affected())
    };
}

impl Store {
    pub fn holds(&self) -> &Holds {
        &self.holds
    }

    /// Reads the holds anew.
    pub async fn refresh_holds(&self) -> Result<(), StoreError> {
        const TEXT: &str = "SELECT account, reason, detail, held_at, probes, probe_at, allowance, begun, passed, \
             stage_at FROM account_holds ORDER BY account";
        let rows: Vec<Row> = on!(&self.db, |db, _pick| sqlx::query_as(TEXT).fetch_all(db).await?);
        let mut holds = BTreeMap::new();
        for row in rows {
            let hold = Hold::try_from(row)?;
            holds.insert(hold.account.clone(), hold);
        }
        let changed = std::mem::replace(&mut self.holds.lock().holds, holds);
        let fewer =
            |before: &Hold| self.holds.find(&before.account).is_none_or(|now| now.stage != before.stage);
        if changed.values().any(fewer) {
            // There may be more to claim now.
            self.enqueued().notify_waiters();
        }
        Ok(())
    }

    /// Puts an account on hold, or back on hold where work had begun to resume; false where it is on hold already.
    pub async fn hold_account(
        &self,
        account: &str,
        reason: HoldCause,
        detail: &str,
    ) -> Result<bool, StoreError> {
        const TEXT: &str = "INSERT INTO account_holds \
             (account, reason, detail, held_at, probes, probe_at, allowance, begun, passed, stage_at) \
             VALUES ($1, $2, $3, $4, 0, $5, 0, 0, 0, $4) \
             ON CONFLICT (account) DO UPDATE SET reason = excluded.reason, detail = excluded.detail, \
             probe_at = $6, allowance = 0, begun = 0, passed = 0, stage_at = excluded.stage_at \
             WHERE account_holds.allowance > 0";
        let now = self.clock.now(true);
        let probes = self.holds.find(account).map_or(0, |hold| hold.probes);
        let [first, next] = [0, probes].map(|probes| reason.probe_delay(probes).map(|delay| At(now + delay)));
        let held = run!(&self.writer, TEXT, account, reason.name(), detail, At(now), first, next);
        self.refresh_holds().await?;
        Ok(held > 0)
    }

    /// Puts an account on hold until a person releases it.
    pub async fn hold_by_hand(
        &self,
        owner: Owner,
        account: &str,
        detail: &str,
        deed: Deed,
    ) -> Result<(), StoreError> {
        const TEXT: &str = "INSERT INTO account_holds \
             (account, reason, detail, held_at, probes, probe_at, allowance, begun, passed, stage_at) \
             VALUES ($1, 'person', $2, $3, 0, NULL, 0, 0, 0, $3) \
             ON CONFLICT (account) DO UPDATE SET reason = 'person', detail = excluded.detail, probe_at = NULL, \
             allowance = 0, begun = 0, passed = 0, stage_at = excluded.stage_at";
        let now = At(self.clock.now(true));
        let mut tx = self.begin().await?;
        on!(&mut tx, |tx, _pick| {
            sqlx::query(TEXT).bind(account).bind(detail).bind(now).execute(&mut **tx).await?.rows_affected()
        });
        trail::append(&mut tx, owner, [deed]).await?;
        tx.commit().await?;
        self.refresh_holds().await
    }

    /// Ends an account's hold at once, with all that was held; false where there is none.
    pub async fn release_by_hand(&self, owner: Owner, account: &str, deed: Deed) -> Result<bool, StoreError> {
        const TEXT: &str = "DELETE FROM account_holds WHERE account = $1";
        let mut tx = self.begin().await?;
        let released = on!(&mut tx, |tx, _pick| {
            sqlx::query(TEXT).bind(account).execute(&mut **tx).await?.rows_affected()
        });
        if released > 0 {
            trail::append(&mut tx, owner, [deed]).await?;
        }
        tx.commit().await?;
        self.refresh_holds().await?;
        Ok(released > 0)
    }

    /// Gives a job back that waits for its account. A job that an older version has made learns whose it is, or it would
    /// be claimed again at once.
    pub async fn leave_on_hold(&self, lease: &Lease, account: &str) -> Result<(), StoreError> {
        const TEXT: &str = "UPDATE jobs SET lease_owner = NULL, lease_until = NULL, account = $4 \
             WHERE id = $1 AND lease_owner = $2 AND epoch = $3";
        run!(&self.writer, TEXT, lease.job.to_string(), &lease.owner, lease.epoch, account);
        Ok(())
    }

    /// Takes the probe of an account that is due; false where another process was faster.
    pub async fn take_probe(&self, hold: &Hold) -> Result<bool, StoreError> {
        const TEXT: &str = "UPDATE account_holds SET probes = probes + 1, probe_at = $2 \
             WHERE account = $1 AND probes = $3 AND allowance = 0 AND probe_at <= $4";
        let now = self.clock.now(true);
        let next = hold.reason.probe_delay(hold.probes.saturating_add(1)).map(|delay| At(now + delay));
        let taken = run!(&self.writer, TEXT, &hold.account, next, i64::from(hold.probes), At(now));
        Ok(taken > 0)
    }

    /// Lets work on an account resume, one payment first.
    pub async fn resume_account(&self, account: &str) -> Result<bool, StoreError> {
        const TEXT: &str = "UPDATE account_holds SET allowance = 1, begun = 0, passed = 0, stage_at = $2 \
             WHERE account = $1 AND allowance = 0 AND reason <> 'person'";
        let resumed = run!(&self.writer, TEXT, account, At(self.clock.now(true)));
        self.refresh_holds().await?;
        Ok(resumed > 0)
    }

    /// The gateway has accepted a payment while work resumes: the next stage once all of this one are, and no hold
    /// after the last.
    pub async fn pass_stage(&self, account: &str) -> Result<(), StoreError> {
        const PASS: &str =
            "UPDATE account_holds SET passed = passed + 1 WHERE account = $1 AND allowance > 0";
        const RELEASE: &str =
            "DELETE FROM account_holds WHERE account = $1 AND allowance >= $2 AND passed >= allowance";
        const NEXT: &str = "UPDATE account_holds SET allowance = allowance * 2, begun = 0, passed = 0, \
             stage_at = $2 WHERE account = $1 AND allowance > 0 AND passed >= allowance";
        let now = At(self.clock.now(true));
        run!(&self.writer, PASS, account);
        let released = run!(&self.writer, RELEASE, account, i64::from(Stage::LAST));
        if released > 0 {
            tracing::info!(gateway.name = account, "the gateway account {account} is charged as before");
        } else {
            run!(&self.writer, NEXT, account, now);
        }
        self.refresh_holds().await
    }

    /// Ends a stage that stands still: whoever began may have died, or nothing more waits. An account by which some
    /// were accepted and none is open is charged as before.
    pub async fn end_stage(&self, hold: &Hold) -> Result<(), StoreError> {
        const RELEASE: &str = "DELETE FROM account_holds WHERE account = $1 AND stage_at = $2 \
             AND passed >= begun AND (begun > 0 OR allowance > 1)";
        const AGAIN: &str = "UPDATE account_holds SET begun = passed, stage_at = $3 \
             WHERE account = $1 AND stage_at = $2 AND passed < begun";
        let Some(stage) = hold.stage else { return Ok(()) };
        let released = run!(&self.writer, RELEASE, &hold.account, At(stage.since));
        if released == 0 {
            run!(&self.writer, AGAIN, &hold.account, At(stage.since), At(self.clock.now(true)));
        }
        self.refresh_holds().await
    }
}

/// Takes one of the places of a stage, within the transaction that begins the attempt; false where none is free.
pub(super) async fn begin(tx: &mut Tx, account: &str) -> Result<bool, StoreError> {
    const TEXT: &str = "UPDATE account_holds SET begun = begun + 1 WHERE account = $1 AND begun < allowance";
    let begun =
        on!(tx, |tx, _pick| sqlx::query(TEXT).bind(account).execute(&mut **tx).await?.rows_affected());
    Ok(begun > 0)
}

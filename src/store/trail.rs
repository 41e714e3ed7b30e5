//! The audit trail's table: entries are added in the transaction of their deed, and nothing ever changes one.

use super::{
    Owner, Store, StoreError, Tx,
    change::{Actor, Change},
    row::At,
    text::on,
};
use crate::domain::{
    clock::Time,
    payment::{Event, Payment},
    trail::{Deed, Entry},
};

#[derive(Debug, sqlx::FromRow)]
struct Row {
    number: i64,
    at: At,
    actor: String,
    action: String,
    subject: String,
    reason: Option<String>,
    before: Option<String>,
    after: Option<String>,
    request_id: Option<String>,
    previous_hash: String,
    hash: String,
}

impl Store {
    /// A page of the trail, newest entry first: those before the numbered one.
    pub async fn list_trail(
        &self,
        owner: Owner,
        before: Option<i64>,
        limit: u16,
    ) -> Result<Vec<Entry>, StoreError> {
        const TEXT: &str = "SELECT number, at, actor, action, subject, reason, before, after, request_id, \
             previous_hash, hash FROM audit_trail WHERE tenant_id = $1 AND livemode = $2 AND number < $3 \
             ORDER BY number DESC LIMIT $4";
        let rows: Vec<Row> = on!(&self.db, |db, _pick| {
            sqlx::query_as(TEXT)
                .bind(owner.tenant.to_string())
                .bind(owner.livemode)
                .bind(before.unwrap_or(i64::MAX))
                .bind(i64::from(limit))
                .fetch_all(db)
                .await?
        });
        Ok(rows.into_iter().map(Entry::from).collect())
    }

    /// Adds what was done where nothing else is written.
    pub async fn note_deed(&self, owner: Owner, deed: Deed) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        append(&mut tx, owner, [deed]).await?;
        tx.commit().await
    }
}

impl Deed {
    /// What somebody does at a moment of real time.
    pub fn by(actor: &Actor, action: &str, subject: &str, at: Time) -> Self {
        Self {
            at,
            actor: actor.name().into_owned(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            reason: None,
            before: None,
            after: None,
            request_id: actor.request().map(|request| request.to_string()),
        }
    }

    /// What somebody does to a payment by hand. What backends do all day stands in the payment's history alone.
    pub(super) fn to_payment(
        change: &Change,
        event: &Event,
        [before, after]: [&Payment; 2],
        detail: &str,
        at: Time,
    ) -> Option<Self> {
        let reason = match event {
            Event::Retry { reason } | Event::Hurry { reason, .. } | Event::Release { reason, .. } => {
                reason.clone()
            }
            Event::Resolve { word, .. } => word.reason().map(str::to_owned),
            Event::Due { .. }
            | Event::Send { .. }
            | Event::NotSent { .. }
            | Event::Lost { .. }
            | Event::Answered { .. }
            | Event::Rejected { .. }
            | Event::Absent { .. }
            | Event::Cancel
            | Event::Canceled { .. }
            | Event::Withdrawn { .. }
            | Event::Review { .. }
            | Event::Contradicted { .. }
            | Event::Process
            | Event::Edit(_)
            | Event::Detached => return None,
        };
        let action = format!("payment.{}", event.kind().name());
        let deed = Self::by(&change.actor, &action, &after.id.to_string(), at);
        let before = Some(before.status.name().to_owned());
        let after = Some(format!("{}: {detail}", after.status.name()));
        Some(Self { reason, before, after, ..deed })
    }
}

/// Adds entries to a trail. It is the last lock that a transaction takes.
pub(super) async fn append(
    tx: &mut Tx,
    owner: Owner,
    deeds: impl IntoIterator<Item = Deed>,
) -> Result<(), StoreError> {
    let mut last = lock(tx, owner).await?;
    for deed in deeds {
        let entry = Entry::after(last.as_ref().map(|(number, hash)| (*number, hash.as_str())), deed);
        insert(tx, owner, &entry).await?;
        last = Some((entry.number, entry.hash));
    }
    Ok(())
}

/// Adds those entries to a trail of which it has none yet by the same action at the same time.
pub(super) async fn append_missing(tx: &mut Tx, owner: Owner, deeds: &[Deed]) -> Result<(), StoreError> {
    const KNOWN: &str = "SELECT count(*) FROM audit_trail \
         WHERE tenant_id = $1 AND livemode = $2 AND action = $3 AND at = $4";
    // Nobody else adds the same meanwhile.
    lock(tx, owner).await?;
    let mut missing = Vec::new();
    for deed in deeds {
        let known: i64 = on!(tx, |tx, _pick| {
            let query = sqlx::query_scalar(KNOWN).bind(owner.tenant.to_string()).bind(owner.livemode);
            query.bind(&deed.action).bind(At(deed.at)).fetch_one(&mut **tx).await?
        });
        missing.extend((known == 0).then(|| deed.clone()));
    }
    append(tx, owner, missing).await
}

/// The number and the hash of the last entry, which stays the last one until the end of the transaction.
async fn lock(tx: &mut Tx, owner: Owner) -> Result<Option<(i64, String)>, StoreError> {
    const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('audit:' || $1, 0))";
    const LAST: &str = "SELECT number, hash FROM audit_trail WHERE tenant_id = $1 AND livemode = $2 \
         ORDER BY number DESC LIMIT 1";
    let tenant = owner.tenant.to_string();
    if let Tx::Postgres(tx) = tx {
        sqlx::query(LOCK).bind(&tenant).execute(&mut **tx).await?;
    }
    Ok(on!(tx, |tx, _pick| {
        sqlx::query_as(LAST).bind(tenant).bind(owner.livemode).fetch_optional(&mut **tx).await?
    }))
}

async fn insert(tx: &mut Tx, owner: Owner, entry: &Entry) -> Result<(), StoreError> {
    const TEXT: &str = "INSERT INTO audit_trail (tenant_id, livemode, number, at, actor, action, subject, reason, \
         before, after, request_id, previous_hash, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    on!(tx, |tx, _pick| {
        sqlx::query(TEXT)
            .bind(owner.tenant.to_string())
            .bind(owner.livemode)
            .bind(entry.number)
            .bind(At(entry.at))
            .bind(&entry.actor)
            .bind(&entry.action)
            .bind(&entry.subject)
            .bind(&entry.reason)
            .bind(&entry.before)
            .bind(&entry.after)
            .bind(&entry.request_id)
            .bind(&entry.previous_hash)
            .bind(&entry.hash)
            .execute(&mut **tx)
            .await?
            .rows_affected()
    });
    Ok(())
}

impl From<Row> for Entry {
    fn from(row: Row) -> Self {
        Self {
            object: "audit_entry".to_owned(),
            number: row.number,
            at: row.at.0,
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            reason: row.reason,
            before: row.before,
            after: row.after,
            request_id: row.request_id,
            previous_hash: row.previous_hash,
            hash: row.hash,
        }
    }
}

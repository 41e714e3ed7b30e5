//! Payments and their attempts in the tables.

use super::{
    Store, StoreError, Tx,
    recent::{Recent, Revision, Stored},
    row::{At, AttemptRow, PaymentRow, count, json, payment_columns},
    text::{Text, bulk, insert, on},
};
use crate::domain::{
    attempt::Attempt,
    clock::Time,
    payment::{Payment, Start},
};
use dunlin_jobs::{MethodId, PaymentId, TenantId};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};

/// What a page of payments is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub status: Option<String>,
    pub customer: Option<String>,
    pub reference: Option<String>,
    pub method: Option<MethodId>,
    pub created_from: Option<Time>,
    pub created_before: Option<Time>,
    /// Only payments made before this one.
    pub after: Option<PaymentId>,
    pub limit: u16,
}

/// Whose payments are meant. Every query that a client causes is narrowed by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub tenant: TenantId,
    pub livemode: bool,
}

const GET: &str = concat!(payment_columns!(), "WHERE p.id = $1");
const GET_OWNED: &str =
    concat!(payment_columns!(), "WHERE p.id = $1 AND p.tenant_id = $2 AND p.livemode = $3");

/// A page by one index: every filter that has one of its own stands by itself, or it would not be used.
macro_rules! list {
    ($indexed:literal) => {
        concat!(
            payment_columns!(),
            "WHERE p.tenant_id = $1 AND p.livemode = $2 AND p.id < $3 AND ($4 IS NULL OR p.status = $4) \
             AND ($5 IS NULL OR p.customer = $5) AND ($6 IS NULL OR p.reference = $6) \
             AND ($7 IS NULL OR p.created_at >= $7) AND ($8 IS NULL OR p.created_at < $8) \
             AND ($9 IS NULL OR p.method_id = $9) ",
            $indexed,
            "ORDER BY p.id DESC LIMIT $10"
        )
    };
}
const LIST: &str = list!("");
const LIST_OF_CUSTOMER: &str = list!("AND p.customer = $5 ");
const LIST_OF_METHOD: &str = list!("AND p.method_id = $9 ");
/// For any status but `succeeded`, which is found everywhere in the whole list.
const LIST_OF_STATUS: &str = list!("AND p.status <> 'succeeded' AND p.status = $4 ");

/// Sorts after every payment's id.
const AFTER_ALL: &str = "pay_~";

const FIND_MANY: Text = Text {
    sqlite: concat!(payment_columns!(), "WHERE p.id IN (SELECT value FROM json_each($1)) ORDER BY p.id"),
    postgres: concat!(
        payment_columns!(),
        "WHERE p.id IN (SELECT json_array_elements_text($1::json)) ORDER BY p.id"
    ),
};

const LOCK: &str = "SELECT id, version, change_id FROM payments WHERE id IN (SELECT json_array_elements_text($1::json)) ORDER BY id FOR UPDATE";

const ATTEMPTS: &str = "SELECT id, payment_id, n, account, status, first_sent_at, charge, action_url, decline, origin \
     FROM attempts WHERE payment_id = $1 ORDER BY n";

const INSERT: Text = insert!(
    "payments"
    (id text, tenant_id text, livemode boolean, amount_minor bigint, currency text, method text, method_id text,
        return_url text, process_at timestamptz, deferred boolean, customer text, reference text, description text,
        metadata text, account text, status text, version bigint, change_id text,
        operation text, attempt_n bigint, declines bigint,
        refunded_minor bigint, refunding_minor bigint, next_attempt_at timestamptz, review_reason text, created_at timestamptz, updated_at timestamptz)
    ""
);

const UPDATE: Text = bulk!(
    "UPDATE payments SET status = r.status, version = r.version, change_id = r.change_id, operation = r.operation, \
     attempt_n = r.attempt_n, declines = r.declines, \
     refunded_minor = r.refunded_minor, refunding_minor = r.refunding_minor, next_attempt_at = r.next_attempt_at, \
     review_reason = r.review_reason, updated_at = r.updated_at FROM "
    rows(id text, base bigint, base_change text, status text, version bigint, change_id text, operation text, attempt_n bigint, declines bigint,
        refunded_minor bigint, refunding_minor bigint, next_attempt_at timestamptz,
        review_reason text, updated_at timestamptz)
    " WHERE payments.id = r.id AND payments.version = r.base AND payments.change_id = r.base_change"
);

// Apart from the above: nearly all payments and changes leave these alone, and should not carry them.
const AMEND: Text = bulk!(
    "UPDATE payments SET description = r.description, metadata = r.metadata, process_at = r.process_at, \
     deferred = r.deferred, resolution = r.resolution, failure = r.failure, disputes = r.disputes, \
     hand_attempt_n = r.hand_attempt_n, hand_declines = r.hand_declines FROM "
    rows(id text, description text, metadata text, process_at timestamptz, deferred boolean, resolution text,
        failure text, disputes text, hand_attempt_n bigint, hand_declines bigint)
    " WHERE payments.id = r.id"
);

const SAVE_ATTEMPTS: Text = insert!(
    "attempts"
    (id text, payment_id text, n bigint, account text, status text, first_sent_at timestamptz, charge text,
        action_url text, decline text, origin text)
    "ON CONFLICT (payment_id, n) DO UPDATE SET status = excluded.status, charge = excluded.charge, \
     action_url = excluded.action_url, decline = excluded.decline"
);

impl Filter {
    fn text(&self) -> &'static str {
        match self.status.as_deref() {
            _ if self.method.is_some() => LIST_OF_METHOD,
            _ if self.customer.is_some() => LIST_OF_CUSTOMER,
            None | Some("succeeded") => LIST,
            Some(_) => LIST_OF_STATUS,
        }
    }
}

impl Store {
    pub async fn find_payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        let id = id.to_string();
        let row: Option<PaymentRow> =
            on!(&self.db, |db, _pick| sqlx::query_as(GET).bind(id).fetch_optional(db).await?);
        row.map(Payment::try_from).transpose()
    }

    pub async fn find_owned_payment(
        &self,
        owner: Owner,
        id: PaymentId,
    ) -> Result<Option<Payment>, StoreError> {
        let (id, tenant) = (id.to_string(), owner.tenant.to_string());
        let row: Option<PaymentRow> = on!(&self.db, |db, _pick| {
            sqlx::query_as(GET_OWNED).bind(id).bind(tenant).bind(owner.livemode).fetch_optional(db).await?
        });
        row.map(Payment::try_from).transpose()
    }

    /// Those of these payments that are the owner's.
    pub async fn find_owned_payments(
        &self,
        owner: Owner,
        ids: &BTreeSet<PaymentId>,
    ) -> Result<Vec<Payment>, StoreError> {
        // Whose they are is asked afterwards: a tenant in the query could make its index look better than the ids.
        let rows: Vec<PaymentRow> =
            on!(&self.db, |db, pick| sqlx::query_as(pick(FIND_MANY)).bind(json(ids)).fetch_all(db).await?);
        let payments: Vec<_> = rows.into_iter().map(Payment::try_from).collect::<Result<_, _>>()?;
        let is_owned =
            |payment: &Payment| (payment.tenant, payment.livemode) == (owner.tenant, owner.livemode);
        Ok(payments.into_iter().filter(is_owned).collect())
    }

    /// A page of payments, newest first.
    pub async fn list_payments(&self, owner: Owner, filter: &Filter) -> Result<Vec<Payment>, StoreError> {
        let after = filter.after.map_or_else(|| AFTER_ALL.to_owned(), |id| id.to_string());
        let rows: Vec<PaymentRow> = on!(&self.db, |db, _pick| {
            sqlx::query_as(filter.text())
                .bind(owner.tenant.to_string())
                .bind(owner.livemode)
                .bind(after)
                .bind(filter.status.as_deref())
                .bind(filter.customer.as_deref())
                .bind(filter.reference.as_deref())
                .bind(filter.created_from.map(At))
                .bind(filter.created_before.map(At))
                .bind(filter.method.map(|method| method.to_string()))
                .bind(i64::from(filter.limit))
                .fetch_all(db)
                .await?
        });
        rows.into_iter().map(Payment::try_from).collect()
    }

    /// All attempts of a payment, first one first.
    pub async fn list_attempts(&self, payment: PaymentId) -> Result<Vec<Attempt>, StoreError> {
        let id = payment.to_string();
        let rows: Vec<AttemptRow> =
            on!(&self.db, |db, _pick| sqlx::query_as(ATTEMPTS).bind(id).fetch_all(db).await?);
        rows.into_iter().map(Attempt::try_from).collect()
    }

    /// How many payments stand at each status.
    pub async fn count_by_status(&self, livemode: bool) -> Result<Vec<(String, i64)>, StoreError> {
        const TEXT: &str =
            "SELECT status, count(*) FROM payments WHERE livemode = $1 GROUP BY status ORDER BY status";
        on!(&self.db, |db, _pick| Ok(sqlx::query_as(TEXT).bind(livemode).fetch_all(db).await?))
    }

    /// A page of every tenant's payments, oldest first: for audits, never for callers.
    pub async fn list_all_payments(
        &self,
        after: Option<PaymentId>,
        limit: u16,
    ) -> Result<Vec<Payment>, StoreError> {
        const TEXT: &str = concat!(payment_columns!(), "WHERE p.id > $1 ORDER BY p.id LIMIT $2");
        let after = after.map_or_else(String::new, |id| id.to_string());
        let rows: Vec<PaymentRow> = on!(&self.db, |db, _pick| {
            sqlx::query_as(TEXT).bind(after).bind(i64::from(limit)).fetch_all(db).await?
        });
        rows.into_iter().map(Payment::try_from).collect()
    }

    /// How many payments had an attempt of unknown outcome once and have none now.
    pub async fn count_once_unknown(&self) -> Result<i64, StoreError> {
        const TEXT: &str = "SELECT count(DISTINCT h.payment_id) FROM history h \
             WHERE h.attempt_to = 'unknown' AND NOT EXISTS (SELECT 1 FROM attempts a \
             WHERE a.payment_id = h.payment_id AND a.status = 'unknown')";
        on!(&self.db, |db, _pick| Ok(sqlx::query_scalar(TEXT).fetch_one(db).await?))
    }
}

/// Reads the payments as the tables have them, on PostgreSQL locked until the end of the transaction. What is
/// remembered of them is not read again.
pub(super) async fn lock(
    tx: &mut Tx,
    ids: &BTreeSet<PaymentId>,
    recent: &Recent,
) -> Result<HashMap<PaymentId, Stored>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut held: HashMap<_, _> = match tx {
        Tx::Sqlite(_) => ids.iter().filter_map(|id| Some((*id, recent.find(*id)?))).collect(),
        Tx::Postgres(tx) => {
            // By itself: a join that waits for a lock sees the new payment beside its old attempt.
            let locked: Vec<(String, i64, String)> =
                sqlx::query_as(LOCK).bind(json(ids)).fetch_all(&mut **tx).await?;
            let known = |(id, version, change): (String, i64, String)| {
                let id = id.parse().ok()?;
                Some((id, recent.find_at(id, &Revision { version: count(version)?, change })?))
            };
            locked.into_iter().filter_map(known).collect()
        }
    };
    let others: BTreeSet<_> = ids.iter().filter(|id| !held.contains_key(id)).collect();
    if !others.is_empty() {
        let ids = json(&others);
        let rows: Vec<PaymentRow> =
            on!(tx, |tx, pick| sqlx::query_as(pick(FIND_MANY)).bind(ids).fetch_all(&mut **tx).await?);
        for row in rows {
            let stored = Stored::try_from(row)?;
            held.insert(stored.payment.id, stored);
        }
    }
    Ok(held)
}

/// Reads payments for work that is yet to begin. A row that makes no sense is left to whoever needs it.
pub(super) async fn look_up(
    tx: &mut Tx,
    ids: &BTreeSet<PaymentId>,
) -> Result<HashMap<PaymentId, Stored>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<PaymentRow> =
        on!(tx, |tx, pick| sqlx::query_as(pick(FIND_MANY)).bind(json(&ids)).fetch_all(&mut **tx).await?);
    let payments = rows.into_iter().filter_map(|row| Stored::try_from(row).ok());
    Ok(payments.map(|stored| (stored.payment.id, stored)).collect())
}

/// The attempts of a payment, as the transaction sees them.
pub(super) async fn load_attempts(tx: &mut Tx, payment: PaymentId) -> Result<Vec<Attempt>, StoreError> {
    let id = payment.to_string();
    let rows: Vec<AttemptRow> =
        on!(tx, |tx, _pick| sqlx::query_as(ATTEMPTS).bind(id).fetch_all(&mut **tx).await?);
    rows.into_iter().map(Attempt::try_from).collect()
}

impl Store {
    /// Whose a charge of an account's is already.
    pub async fn find_charge(
        &self,
        account: &str,
        charge: &str,
    ) -> Result<Option<(PaymentId, u32)>, StoreError> {
        let mut tx = self.begin().await?;
        let found = find_charge(&mut tx, account, charge).await?;
        tx.roll_back().await?;
        Ok(found)
    }
}

/// Whose a charge of an account's is already: the payment, and the attempt's number.
pub(super) async fn find_charge(
    tx: &mut Tx,
    account: &str,
    charge: &str,
) -> Result<Option<(PaymentId, u32)>, StoreError> {
    const TEXT: &str = "SELECT payment_id, n FROM attempts WHERE account = $1 AND charge = $2";
    let found: Option<(String, i64)> = on!(tx, |tx, _pick| {
        sqlx::query_as(TEXT).bind(account).bind(charge).fetch_optional(&mut **tx).await?
    });
    let Some((payment, n)) = found else { return Ok(None) };
    let corrupt = |column| StoreError::corrupt("attempts", column, &payment);
    let id = payment.parse().map_err(|_| corrupt("payment_id"))?;
    Ok(Some((id, count(n).ok_or_else(|| corrupt("n"))?)))
}

/// Writes new payments, each with the change that made it.
pub(super) async fn insert(tx: &mut Tx, payments: &[(&Payment, &str)]) -> Result<(), StoreError> {
    let rows: Vec<_> = payments.iter().map(|(payment, change)| PaymentRow::new(payment, change)).collect();
    tx.write(INSERT, &rows).await.map(drop)
}

/// A changed payment, the change that left it so, and what the table is expected to hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Update<'a> {
    pub(super) payment: &'a Payment,
    pub(super) change: &'a str,
    pub(super) base: &'a Revision,
}

/// Writes changed payments.
pub(super) async fn update(tx: &mut Tx, payments: &[Update<'_>]) -> Result<(), StoreError> {
    #[derive(Serialize)]
    struct Changed<'a> {
        id: PaymentId,
        base: u32,
        base_change: &'a str,
        status: &'static str,
        version: u32,
        change_id: &'a str,
        operation: Option<&'a str>,
        attempt_n: u32,
        declines: u32,
        refunded_minor: i64,
        refunding_minor: i64,
        next_attempt_at: Option<At>,
        review_reason: Option<&'a str>,
        updated_at: At,
    }
    let row = |Update { payment, change, base }| Changed {
        id: payment.id,
        base: base.version,
        base_change: &base.change,
        status: payment.status.name(),
        version: payment.version,
        change_id: change,
        operation: payment.operation.as_deref(),
        attempt_n: payment.attempt.as_ref().map_or(0, |attempt| attempt.n),
        declines: payment.declines,
        refunded_minor: payment.refunded,
        refunding_minor: payment.refunding,
        next_attempt_at: payment.status.next_attempt_at().map(At),
        review_reason: payment.status.review_reason(),
        updated_at: At(payment.updated_at),
    };
    let rows: Vec<_> = payments.iter().copied().map(row).collect();
    let changed = tx.write(UPDATE, &rows).await?;
    if usize::try_from(changed) == Ok(rows.len()) { Ok(()) } else { Err(StoreError::Conflict) }
}

/// Whether a change touched what few do, which [`amend`] has to write then.
pub(super) fn is_amended(before: &Payment, after: &Payment) -> bool {
    fn rare(payment: &Payment) -> impl PartialEq + '_ {
        let Payment { description, metadata, start, resolution, failure, disputes, by_hand, .. } = payment;
        (description, metadata, start, resolution, failure, disputes, by_hand)
    }
    rare(before) != rare(after)
}

/// Writes what few changes touch, of payments that [`update`] or [`insert`] has written.
pub(super) async fn amend<'a>(tx: &mut Tx, payments: &[&'a Payment]) -> Result<(), StoreError> {
    #[derive(Serialize)]
    struct Amended<'a> {
        id: PaymentId,
        description: Option<&'a str>,
        metadata: String,
        process_at: Option<At>,
        deferred: bool,
        resolution: Option<String>,
        failure: Option<String>,
        disputes: Option<String>,
        hand_attempt_n: u32,
        hand_declines: u32,
    }
    let row = |payment: &&'a Payment| Amended {
        id: payment.id,
        description: payment.description.as_deref(),
        metadata: json(&payment.metadata),
        process_at: payment.start.at().map(At),
        deferred: payment.start == Start::OnRequest,
        resolution: payment.resolution.as_ref().map(json),
        failure: payment.failure.as_ref().map(json),
        disputes: Some(&payment.disputes).filter(|disputes| !disputes.is_empty()).map(json),
        hand_attempt_n: payment.by_hand.attempt,
        hand_declines: payment.by_hand.declines,
    };
    let rows: Vec<_> = payments.iter().map(row).collect();
    tx.write(AMEND, &rows).await.map(drop)
}

pub(super) async fn save_attempts(tx: &mut Tx, attempts: &[(&Payment, &Attempt)]) -> Result<(), StoreError> {
    let rows: Vec<_> = attempts.iter().map(|(payment, attempt)| AttemptRow::new(payment, attempt)).collect();
    tx.write(SAVE_ATTEMPTS, &rows).await.map(drop)
}

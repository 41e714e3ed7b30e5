//! Refunds in the tables.

use super::{
    Owner, Store, StoreError, Tx,
    row::{At, count, json},
    text::{Text, bulk, insert, on},
};
use crate::domain::{
    clock::Time,
    refund::{Cause, Origin, Refund, RefundStatus},
};
use dunlin_jobs::{Money, PaymentId, RefundId};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};

/// What a page of refunds is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct RefundFilter {
    pub payment: Option<PaymentId>,
    pub status: Option<String>,
    /// Only those that a person has to look at.
    pub needs_review: bool,
    /// Only refunds made before this one.
    pub after: Option<RefundId>,
    pub limit: u16,
}

#[derive(Debug, Serialize, sqlx::FromRow)]
struct RefundRow {
    id: String,
    payment_id: String,
    tenant_id: String,
    livemode: bool,
    amount_minor: i64,
    currency: String,
    cause: String,
    origin: String,
    retry_of: Option<String>,
    charge: String,
    account: String,
    reason: Option<String>,
    metadata: String,
    status: String,
    operation: Option<String>,
    failure: Option<String>,
    review_reason: Option<String>,
    first_sent_at: Option<At>,
    version: i64,
    created_at: At,
    updated_at: At,
}

/// The columns of a [`RefundRow`], to be followed by a WHERE.
macro_rules! refund_columns {
    () => {
        "SELECT id, payment_id, tenant_id, livemode, amount_minor, currency, cause, origin, retry_of, charge, account, reason, \
         metadata, status, operation, failure, review_reason, first_sent_at, version, created_at, updated_at \
         FROM refunds "
    };
}

/// A page by one index: a payment's refunds have one of their own.
macro_rules! list {
    ($indexed:literal) => {
        concat!(
            refund_columns!(),
            "WHERE tenant_id = $1 AND livemode = $2 AND id < $3 AND ($4 IS NULL OR payment_id = $4) \
             AND ($5 IS NULL OR status = $5) AND (NOT $7 OR review_reason IS NOT NULL) ",
            $indexed,
            "ORDER BY id DESC LIMIT $6"
        )
    };
}
const LIST: &str = list!("");
const LIST_OF_PAYMENT: &str = list!("AND payment_id = $4 ");
const LIST_IN_REVIEW: &str = list!("AND review_reason IS NOT NULL ");

/// Sorts after every refund's id.
const AFTER_ALL: &str = "rfd_~";

const FIND_MANY: Text = Text {
    sqlite: concat!(refund_columns!(), "WHERE id IN (SELECT value FROM json_each($1)) ORDER BY id"),
    postgres: concat!(
        refund_columns!(),
        "WHERE id IN (SELECT json_array_elements_text($1::json)) ORDER BY id"
    ),
};

const FIND_OF: Text = Text {
    sqlite: concat!(refund_columns!(), "WHERE payment_id IN (SELECT value FROM json_each($1)) ORDER BY id"),
    postgres: concat!(
        refund_columns!(),
        "WHERE payment_id IN (SELECT json_array_elements_text($1::json)) ORDER BY id"
    ),
};

const INSERT: Text = insert!(
    "refunds"
    (id text, payment_id text, tenant_id text, livemode boolean, amount_minor bigint, currency text, cause text,
        origin text, retry_of text, charge text, account text, reason text, metadata text, status text, operation text, failure text,
        review_reason text, first_sent_at timestamptz, version bigint, created_at timestamptz,
        updated_at timestamptz)
    ""
);

// A version is enough here: it was read by the same transaction, under the lock of the refund's payment.
const UPDATE: Text = bulk!(
    "UPDATE refunds SET status = r.status, operation = r.operation, failure = r.failure, \
     review_reason = r.review_reason, first_sent_at = r.first_sent_at, version = r.version, \
     updated_at = r.updated_at FROM "
    rows(id text, base bigint, status text, operation text, failure text, review_reason text,
        first_sent_at timestamptz, version bigint, updated_at timestamptz)
    " WHERE refunds.id = r.id AND refunds.version = r.base"
);

impl Store {
    /// A refund of the owner's.
    pub async fn find_owned_refund(&self, owner: Owner, id: RefundId) -> Result<Option<Refund>, StoreError> {
        const TEXT: &str = concat!(refund_columns!(), "WHERE id = $1 AND tenant_id = $2 AND livemode = $3");
        let (id, tenant) = (id.to_string(), owner.tenant.to_string());
        let row: Option<RefundRow> = on!(&self.db, |db, _pick| {
            sqlx::query_as(TEXT).bind(id).bind(tenant).bind(owner.livemode).fetch_optional(db).await?
        });
        row.map(Refund::try_from).transpose()
    }

    /// A refund, for the worker that carries it out.
    pub async fn find_refund(&self, id: RefundId) -> Result<Option<Refund>, StoreError> {
        const TEXT: &str = concat!(refund_columns!(), "WHERE id = $1");
        let id = id.to_string();
        let row: Option<RefundRow> =
            on!(&self.db, |db, _pick| sqlx::query_as(TEXT).bind(id).fetch_optional(db).await?);
        row.map(Refund::try_from).transpose()
    }

    /// A page of refunds, newest first.
    pub async fn list_refunds(&self, owner: Owner, filter: &RefundFilter) -> Result<Vec<Refund>, StoreError> {
        let text = match (filter.payment, filter.needs_review) {
            (Some(_), _) => LIST_OF_PAYMENT,
            (None, true) => LIST_IN_REVIEW,
            (None, false) => LIST,
        };
        let after = filter.after.map_or_else(|| AFTER_ALL.to_owned(), |id| id.to_string());
        let rows: Vec<RefundRow> = on!(&self.db, |db, _pick| {
            sqlx::query_as(text)
                .bind(owner.tenant.to_string())
                .bind(owner.livemode)
                .bind(after)
                .bind(filter.payment.map(|id| id.to_string()))
                .bind(filter.status.as_deref())
                .bind(i64::from(filter.limit))
                .bind(filter.needs_review)
                .fetch_all(db)
                .await?
        });
        rows.into_iter().map(Refund::try_from).collect()
    }

    /// Refunds that are not final and that nothing holds, untouched since a moment of their environment's clock.
    pub async fn list_orphan_refunds(&self, livemode: bool, before: Time) -> Result<Vec<Refund>, StoreError> {
        const TEXT: &str = concat!(
            refund_columns!(),
            "WHERE status IN ('pending', 'sending', 'unknown', 'processing') AND updated_at < $2 AND livemode = $1 AND NOT EXISTS \
             (SELECT 1 FROM jobs j WHERE j.dedupe = payment_id || ':refund:' || refunds.id) \
             ORDER BY updated_at LIMIT 500"
        );
        let rows: Vec<RefundRow> = on!(&self.db, |db, _pick| {
            sqlx::query_as(TEXT).bind(livemode).bind(At(before)).fetch_all(db).await?
        });
        rows.into_iter().map(Refund::try_from).collect()
    }
}

/// Reads refunds; the locks of their payments are theirs.
pub(super) async fn load(
    tx: &mut Tx,
    ids: &BTreeSet<RefundId>,
) -> Result<HashMap<RefundId, Refund>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let ids = json(&ids);
    let rows: Vec<RefundRow> =
        on!(tx, |tx, pick| sqlx::query_as(pick(FIND_MANY)).bind(ids).fetch_all(&mut **tx).await?);
    rows.into_iter().map(|row| Refund::try_from(row).map(|refund| (refund.id, refund))).collect()
}

/// Reads all refunds of payments whose locks are held.
pub(super) async fn load_of(tx: &mut Tx, payments: &BTreeSet<PaymentId>) -> Result<Vec<Refund>, StoreError> {
    if payments.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<RefundRow> =
        on!(tx, |tx, pick| sqlx::query_as(pick(FIND_OF)).bind(json(&payments)).fetch_all(&mut **tx).await?);
    rows.into_iter().map(Refund::try_from).collect()
}

/// Writes refunds, changed ones with the version that the table is expected to hold.
pub(super) async fn write(tx: &mut Tx, refunds: &[(&Refund, Option<u32>)]) -> Result<(), StoreError> {
    #[derive(Serialize)]
    struct Guarded {
        base: u32,
        #[serde(flatten)]
        row: RefundRow,
    }
    let new: Vec<_> = refunds
        .iter()
        .filter(|(_, base)| base.is_none())
        .map(|(refund, _)| RefundRow::from(*refund))
        .collect();
    let changed = refunds.iter().filter_map(|(refund, base)| Some((refund, (*base)?)));
    let changed: Vec<_> =
        changed.map(|(refund, base)| Guarded { base, row: RefundRow::from(*refund) }).collect();
    tx.write(INSERT, &new).await?;
    let written = tx.write(UPDATE, &changed).await?;
    if usize::try_from(written) == Ok(changed.len()) { Ok(()) } else { Err(StoreError::Conflict) }
}

impl From<&Refund> for RefundRow {
    fn from(refund: &Refund) -> Self {
        Self {
            id: refund.id.to_string(),
            payment_id: refund.payment.to_string(),
            tenant_id: refund.tenant.to_string(),
            livemode: refund.livemode,
            amount_minor: refund.money.minor(),
            currency: refund.money.currency().code().to_owned(),
            cause: refund.cause.name().to_owned(),
            origin: refund.origin.name().to_owned(),
            retry_of: refund.retry_of.map(|id| id.to_string()),
            charge: refund.charge.clone(),
            account: refund.account.clone(),
            reason: refund.reason.clone(),
            metadata: json(&refund.metadata),
            status: refund.status.name().to_owned(),
            operation: refund.operation.clone(),
            failure: refund.failure.clone(),
            review_reason: refund.review_reason.clone(),
            first_sent_at: refund.first_sent_at.map(At),
            version: refund.version.into(),
            created_at: At(refund.created_at),
            updated_at: At(refund.updated_at),
        }
    }
}

impl TryFrom<RefundRow> for Refund {
    type Error = StoreError;

    fn try_from(row: RefundRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::corrupt("refunds", column, &row.id);
        let currency = row.currency.parse().map_err(|_| corrupt("currency"))?;
        Ok(Self {
            id: row.id.parse().map_err(|_| corrupt("id"))?,
            payment: row.payment_id.parse().map_err(|_| corrupt("payment_id"))?,
            tenant: row.tenant_id.parse().map_err(|_| corrupt("tenant_id"))?,
            livemode: row.livemode,
            money: Money::new(row.amount_minor, currency).map_err(|_| corrupt("amount_minor"))?,
            cause: Cause::from_name(&row.cause).ok_or_else(|| corrupt("cause"))?,
            origin: Origin::from_name(&row.origin).ok_or_else(|| corrupt("origin"))?,
            retry_of: row.retry_of.as_deref().map(str::parse).transpose().map_err(|_| corrupt("retry_of"))?,
            metadata: serde_json::from_str(&row.metadata).map_err(|_| corrupt("metadata"))?,
            status: RefundStatus::from_name(&row.status).ok_or_else(|| corrupt("status"))?,
            version: count(row.version).ok_or_else(|| corrupt("version"))?,
            charge: row.charge.clone(),
            account: row.account.clone(),
            reason: row.reason.clone(),
            operation: row.operation.clone(),
            failure: row.failure.clone(),
            review_reason: row.review_reason.clone(),
            first_sent_at: row.first_sent_at.map(|at| at.0),
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
        })
    }
}

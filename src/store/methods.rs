//! Payment methods in the tables.

use super::{
    Owner, Store, StoreError, Tx,
    change::Key,
    row::{At, count, json},
    text::{Text, insert, on},
};
use crate::domain::payment_method::{PaymentMethod, Place};
use dunlin_jobs::{CustomerId, MethodId};
use serde::Serialize;
use std::{
    collections::{BTreeSet, HashMap},
    str::FromStr,
};

#[derive(Debug, Serialize, sqlx::FromRow)]
struct MethodRow {
    id: String,
    customer_id: String,
    tenant_id: String,
    livemode: bool,
    method: String,
    account: String,
    label: Option<String>,
    position: Option<i64>,
    created_at: At,
    detached_at: Option<At>,
    /// The same as in `method`, for the index.
    #[sqlx(skip)]
    token: String,
    #[sqlx(skip)]
    idempotency_key: Option<String>,
    #[sqlx(skip)]
    fingerprint: Option<String>,
}

/// The columns of a [`MethodRow`], to be followed by a WHERE.
macro_rules! method_columns {
    () => {
        "SELECT id, customer_id, tenant_id, livemode, method, account, label, position, created_at, detached_at \
         FROM payment_methods "
    };
}

const LIST_OF_CUSTOMER: &str =
    concat!(method_columns!(), "WHERE customer_id = $1 AND position IS NOT NULL ORDER BY position");

/// By id, as the last look locks them: in another order, two that wait for each other would deadlock.
const LOCK: Text = Text {
    sqlite: LIST_OF_CUSTOMER,
    postgres: concat!(
        method_columns!(),
        "WHERE customer_id = $1 AND position IS NOT NULL ORDER BY id FOR UPDATE"
    ),
};

const SAVE: Text = insert!(
    "payment_methods"
    (id text, customer_id text, tenant_id text, livemode boolean, method text, token text, account text, label text,
        position bigint, idempotency_key text, fingerprint text, created_at timestamptz, detached_at timestamptz)
    "ON CONFLICT (id) DO UPDATE SET position = excluded.position, detached_at = excluded.detached_at"
);

impl Store {
    pub async fn find_owned_method(
        &self,
        owner: Owner,
        id: MethodId,
    ) -> Result<Option<PaymentMethod>, StoreError> {
        const TEXT: &str = concat!(method_columns!(), "WHERE id = $1 AND tenant_id = $2 AND livemode = $3");
        let (id, tenant) = (id.to_string(), owner.tenant.to_string());
        let row: Option<MethodRow> = on!(&self.db, |db, _pick| {
            sqlx::query_as(TEXT).bind(id).bind(tenant).bind(owner.livemode).fetch_optional(db).await?
        });
        row.map(PaymentMethod::try_from).transpose()
    }

    /// The methods that a customer can be charged by, in the order in which they are tried.
    pub async fn list_methods(&self, customer: CustomerId) -> Result<Vec<PaymentMethod>, StoreError> {
        let id = customer.to_string();
        let rows: Vec<MethodRow> =
            on!(&self.db, |db, _pick| sqlx::query_as(LIST_OF_CUSTOMER).bind(id).fetch_all(db).await?);
        rows.into_iter().map(PaymentMethod::try_from).collect()
    }

    /// The method that was made under a key, and what was asked for then.
    pub async fn find_method_made(
        &self,
        owner: Owner,
        key: &str,
    ) -> Result<Option<(MethodId, String)>, StoreError> {
        const TEXT: &str = "SELECT id, fingerprint FROM payment_methods WHERE tenant_id = $1 AND livemode = $2 \
             AND idempotency_key = $3";
        find_made(self, TEXT, owner, key, "payment_methods").await
    }
}

/// Those of these methods that can be charged; on PostgreSQL none is detached until the end of the transaction.
pub(super) async fn lock(tx: &mut Tx, wanted: &BTreeSet<MethodId>) -> Result<BTreeSet<MethodId>, StoreError> {
    const TEXT: Text = Text {
        sqlite: "SELECT id FROM payment_methods WHERE id IN (SELECT value FROM json_each($1)) \
             AND position IS NOT NULL",
        postgres: "SELECT id FROM payment_methods WHERE id IN (SELECT json_array_elements_text($1::json)) \
             AND position IS NOT NULL ORDER BY id FOR SHARE",
    };
    if wanted.is_empty() {
        return Ok(BTreeSet::new());
    }
    let found: Vec<String> =
        on!(tx, |tx, pick| sqlx::query_scalar(pick(TEXT)).bind(json(wanted)).fetch_all(&mut **tx).await?);
    let read = |id: String| id.parse().map_err(|_| StoreError::corrupt("payment_methods", "id", &id));
    found.into_iter().map(read).collect()
}

/// What was made under a key, and what was asked for then.
pub(super) async fn find_made<I: FromStr>(
    store: &Store,
    text: &'static str,
    owner: Owner,
    key: &str,
    table: &'static str,
) -> Result<Option<(I, String)>, StoreError> {
    let tenant = owner.tenant.to_string();
    let found: Option<(String, String)> = on!(&store.db, |db, _pick| {
        sqlx::query_as(text).bind(tenant).bind(owner.livemode).bind(key).fetch_optional(db).await?
    });
    let read = |(id, fingerprint): (String, String)| {
        Ok((id.parse().map_err(|_| StoreError::corrupt(table, "id", &id))?, fingerprint))
    };
    found.map(read).transpose()
}

/// The methods of a customer whose row is locked, in their order.
pub(super) async fn lock_attached(
    tx: &mut Tx,
    customer: CustomerId,
) -> Result<Vec<PaymentMethod>, StoreError> {
    let id = customer.to_string();
    let rows: Vec<MethodRow> =
        on!(tx, |tx, pick| sqlx::query_as(pick(LOCK)).bind(id).fetch_all(&mut **tx).await?);
    let methods = rows.into_iter().map(PaymentMethod::try_from);
    let mut methods: Vec<_> = methods.collect::<Result<_, _>>()?;
    methods.sort_by_key(|method| method.place.position());
    Ok(methods)
}

/// Writes those methods that are not as they were; the key is that of a new one.
pub(super) async fn write(
    tx: &mut Tx,
    before: &[PaymentMethod],
    after: &[PaymentMethod],
    key: Option<&Key>,
) -> Result<(), StoreError> {
    let known: HashMap<_, _> = before.iter().map(|method| (method.id, method)).collect();
    let changed = after.iter().filter(|method| known.get(&method.id) != Some(method));
    let rows: Vec<_> = changed
        .map(|method| MethodRow::new(method, key.filter(|_| !known.contains_key(&method.id))))
        .collect();
    tx.write(SAVE, &rows).await.map(drop)
}

impl MethodRow {
    fn new(method: &PaymentMethod, key: Option<&Key>) -> Self {
        Self {
            id: method.id.to_string(),
            customer_id: method.customer.to_string(),
            tenant_id: method.tenant.to_string(),
            livemode: method.livemode,
            method: json(&method.method),
            token: method.method.payment_method.clone(),
            account: method.account.clone(),
            label: method.label.clone(),
            position: method.place.position().map(i64::from),
            idempotency_key: key.map(|key| key.key.clone()),
            fingerprint: key.map(|key| key.fingerprint.clone()),
            created_at: At(method.created_at),
            detached_at: method.place.detached_at().map(At),
        }
    }
}

impl TryFrom<MethodRow> for PaymentMethod {
    type Error = StoreError;

    fn try_from(row: MethodRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::corrupt("payment_methods", column, &row.id);
        let place = match (row.position.and_then(count), row.detached_at) {
            (Some(position), None) => Place::At(position),
            (None, Some(at)) => Place::Detached(at.0),
            (Some(_), Some(_)) | (None, None) => return Err(corrupt("position")),
        };
        Ok(Self {
            id: row.id.parse().map_err(|_| corrupt("id"))?,
            customer: row.customer_id.parse().map_err(|_| corrupt("customer_id"))?,
            tenant: row.tenant_id.parse().map_err(|_| corrupt("tenant_id"))?,
            livemode: row.livemode,
            method: serde_json::from_str(&row.method).map_err(|_| corrupt("method"))?,
            account: row.account.clone(),
            label: row.label.clone(),
            place,
            created_at: row.created_at.0,
        })
    }
}

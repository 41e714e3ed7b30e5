//! Customers in the tables, and the one way in which they and their methods change.

use super::{
    Owner, Store, StoreError, Tx,
    change::Key,
    methods,
    row::{At, count, json},
    text::on,
};
use crate::domain::{
    customer::{Customer, Profile},
    email::Email,
    wallet::Wallet,
};
use dunlin_jobs::{Currency, CustomerId};
use sqlx::error::DatabaseError;
use std::str::FromStr;

/// What a page of customers is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct CustomerFilter {
    pub external_id: Option<String>,
    pub email: Option<String>,
    /// Only customers made before this one.
    pub after: Option<CustomerId>,
    pub limit: u16,
}

#[derive(Debug, sqlx::FromRow)]
struct CustomerRow {
    id: String,
    tenant_id: String,
    livemode: bool,
    external_id: Option<String>,
    name: Option<String>,
    email: Option<String>,
    country: Option<String>,
    time_zone: Option<String>,
    currency: Option<String>,
    metadata: String,
    version: i64,
    created_at: At,
    updated_at: At,
    default_method_id: Option<String>,
}

/// The columns of a [`CustomerRow`] and where they come from, to be followed by a WHERE.
macro_rules! customer_columns {
    () => {
        "SELECT c.id, c.tenant_id, c.livemode, c.external_id, c.name, c.email, c.country, c.time_zone, \
         c.currency, c.metadata, c.version, c.created_at, c.updated_at, m.id AS default_method_id \
         FROM customers c LEFT JOIN payment_methods m ON m.customer_id = c.id AND m.position = 1 "
    };
}

const GET_OWNED: &str =
    concat!(customer_columns!(), "WHERE c.id = $1 AND c.tenant_id = $2 AND c.livemode = $3");

/// A page by one index: every filter that has one of its own stands by itself, or it would not be used.
macro_rules! list {
    ($indexed:literal) => {
        concat!(
            customer_columns!(),
            "WHERE c.tenant_id = $1 AND c.livemode = $2 AND c.id < $3 \
             AND ($4 IS NULL OR c.external_id = $4) AND ($5 IS NULL OR c.email = $5) ",
            $indexed,
            "ORDER BY c.id DESC LIMIT $6"
        )
    };
}
const LIST: &str = list!("");
const LIST_OF_EXTERNAL_ID: &str = list!("AND c.external_id = $4 ");
const LIST_OF_EMAIL: &str = list!("AND c.email = $5 ");

/// Sorts after every customer's id.
const AFTER_ALL: &str = "cus_~";

impl CustomerFilter {
    fn text(&self) -> &'static str {
        match (&self.external_id, &self.email) {
            (Some(_), _) => LIST_OF_EXTERNAL_ID,
            (None, Some(_)) => LIST_OF_EMAIL,
            (None, None) => LIST,
        }
    }
}

impl Store {
    /// Keeps a new customer; a conflict where its external id or its key is taken.
    pub async fn create_customer(&self, customer: &Customer, key: Option<&Key>) -> Result<(), StoreError> {
        const TEXT: &str = "INSERT INTO customers (id, tenant_id, livemode, external_id, name, email, country, \
             time_zone, currency, metadata, idempotency_key, fingerprint, version, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING";
        let Profile { external_id, name, email, country, time_zone, currency, metadata } = &customer.profile;
        let made = on!(&self.writer, |db, _pick| {
            sqlx::query(TEXT)
                .bind(customer.id.to_string())
                .bind(customer.tenant.to_string())
                .bind(customer.livemode)
                .bind(external_id)
                .bind(name)
                .bind(email.as_ref().map(Email::as_str))
                .bind(country.map(|country| country.to_string()))
                .bind(time_zone.map(|zone| zone.to_string()))
                .bind(currency.map(Currency::code))
                .bind(json(metadata))
                .bind(key.map(|key| &key.key))
                .bind(key.map(|key| &key.fingerprint))
                .bind(i64::from(customer.version))
                .bind(At(customer.created_at))
                .bind(At(customer.updated_at))
                .execute(db)
                .await?
                .rows_affected()
        });
        if made == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    pub async fn find_owned_customer(
        &self,
        owner: Owner,
        id: CustomerId,
    ) -> Result<Option<Customer>, StoreError> {
        let (id, tenant) = (id.to_string(), owner.tenant.to_string());
        let row: Option<CustomerRow> = on!(&self.db, |db, _pick| {
            sqlx::query_as(GET_OWNED).bind(id).bind(tenant).bind(owner.livemode).fetch_optional(db).await?
        });
        row.map(Customer::try_from).transpose()
    }

    /// A page of customers, newest first.
    pub async fn list_customers(
        &self,
        owner: Owner,
        filter: &CustomerFilter,
    ) -> Result<Vec<Customer>, StoreError> {
        let after = filter.after.map_or_else(|| AFTER_ALL.to_owned(), |id| id.to_string());
        let rows: Vec<CustomerRow> = on!(&self.db, |db, _pick| {
            sqlx::query_as(filter.text())
                .bind(owner.tenant.to_string())
                .bind(owner.livemode)
                .bind(after)
                .bind(filter.external_id.as_deref())
                .bind(filter.email.as_deref())
                .bind(i64::from(filter.limit))
                .fetch_all(db)
                .await?
        });
        rows.into_iter().map(Customer::try_from).collect()
    }

    /// The customer that was made under a key, and what was asked for then.
    pub async fn find_customer_made(
        &self,
        owner: Owner,
        key: &str,
    ) -> Result<Option<(CustomerId, String)>, StoreError> {
        const TEXT: &str = "SELECT id, fingerprint FROM customers WHERE tenant_id = $1 AND livemode = $2 \
             AND idempotency_key = $3";
        methods::find_made(self, TEXT, owner, key, "customers").await
    }

    /// Changes a customer and their methods under their lock: what `decide` makes of them is written, and nothing
    /// where it refuses.
    pub async fn change_wallet<E: From<StoreError>>(
        &self,
        owner: Owner,
        id: CustomerId,
        key: Option<&Key>,
        decide: impl FnOnce(&mut Wallet) -> Result<(), E> + Send,
    ) -> Result<Option<Wallet>, E> {
        let mut tx = self.begin().await?;
        let Some(before) = load(&mut tx, owner, id).await? else { return Ok(None) };
        let mut after = before.clone();
        let mut changed = decide(&mut after);
        if changed.is_ok() && after != before {
            after.customer.version += 1;
            after.customer.updated_at = self.clock.now(owner.livemode);
            changed = write(&mut tx, &before, &after, key).await.map_err(|error| taken(error).into());
        }
        match changed {
            Ok(()) => tx.commit().await?,
            Err(error) => {
                tx.roll_back().await?;
                return Err(error);
            }
        }
        Ok(Some(after))
    }
}

/// Reads a customer and their methods, and on PostgreSQL locks them until the end of the transaction.
async fn load(tx: &mut Tx, owner: Owner, id: CustomerId) -> Result<Option<Wallet>, StoreError> {
    const LOCK: &str = "SELECT id FROM customers WHERE id = $1 FOR UPDATE";
    let (text, tenant) = (id.to_string(), owner.tenant.to_string());
    if let Tx::Postgres(tx) = tx {
        // By itself: a join that waits for a lock sees the new customer beside their old method.
        sqlx::query(LOCK).bind(&text).execute(&mut **tx).await?;
    }
    let row: Option<CustomerRow> = on!(tx, |tx, _pick| {
        sqlx::query_as(GET_OWNED)
            .bind(text)
            .bind(tenant)
            .bind(owner.livemode)
            .fetch_optional(&mut **tx)
            .await?
    });
    let Some(row) = row else { return Ok(None) };
    let methods = methods::lock_attached(tx, id).await?;
    Ok(Some(Wallet { customer: row.try_into()?, methods }))
}

async fn write(tx: &mut Tx, before: &Wallet, after: &Wallet, key: Option<&Key>) -> Result<(), StoreError> {
    // A version is enough here: it was read by the same transaction, under the customer's lock.
    const TEXT: &str = "UPDATE customers SET external_id = $3, name = $4, email = $5, country = $6, \
         time_zone = $7, currency = $8, metadata = $9, version = $10, updated_at = $11 \
         WHERE id = $1 AND version = $2";
    let customer = &after.customer;
    let Profile { external_id, name, email, country, time_zone, currency, metadata } = &customer.profile;
    let changed = on!(&mut *tx, |tx, _pick| {
        sqlx::query(TEXT)
            .bind(customer.id.to_string())
            .bind(i64::from(before.customer.version))
            .bind(external_id)
            .bind(name)
            .bind(email.as_ref().map(Email::as_str))
            .bind(country.map(|country| country.to_string()))
            .bind(time_zone.map(|zone| zone.to_string()))
            .bind(currency.map(Currency::code))
            .bind(json(metadata))
            .bind(i64::from(customer.version))
            .bind(At(customer.updated_at))
            .execute(&mut **tx)
            .await?
            .rows_affected()
    });
    if changed != 1 {
        return Err(StoreError::Conflict);
    }
    methods::write(tx, &before.methods, &after.methods, key).await
}

/// What another row has already is a conflict, and not a fault of the statement.
fn taken(error: StoreError) -> StoreError {
    let is_taken = matches!(&error, StoreError::Sql(cause)
        if cause.as_database_error().is_some_and(DatabaseError::is_unique_violation));
    if is_taken { StoreError::Conflict } else { error }
}

impl TryFrom<CustomerRow> for Customer {
    type Error = StoreError;

    fn try_from(row: CustomerRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::corrupt("customers", column, &row.id);
        Ok(Self {
            id: row.id.parse().map_err(|_| corrupt("id"))?,
            tenant: row.tenant_id.parse().map_err(|_| corrupt("tenant_id"))?,
            livemode: row.livemode,
            profile: Profile {
                email: read(row.email.as_deref()).map_err(|_| corrupt("email"))?,
                country: read(row.country.as_deref()).map_err(|_| corrupt("country"))?,
                time_zone: read(row.time_zone.as_deref()).map_err(|_| corrupt("time_zone"))?,
                currency: read(row.currency.as_deref()).map_err(|_| corrupt("currency"))?,
                metadata: serde_json::from_str(&row.metadata).map_err(|_| corrupt("metadata"))?,
                external_id: row.external_id.clone(),
                name: row.name.clone(),
            },
            default_method: read(row.default_method_id.as_deref())
                .map_err(|_| corrupt("default_method_id"))?,
            version: count(row.version).ok_or_else(|| corrupt("version"))?,
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
        })
    }
}

/// What a column says, which may be nothing.
fn read<T: FromStr>(column: Option<&str>) -> Result<Option<T>, T::Err> {
    column.map(str::parse).transpose()
}

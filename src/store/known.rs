//! What is known of whom payments name: customers with their default methods, and methods with their customers.

use super::{
    Owner, Store, StoreError,
    row::json,
    text::{Text, on},
};
use crate::domain::payment::Method;
use dunlin_jobs::{Currency, CustomerId, MethodId};
use std::collections::{BTreeSet, HashMap};

/// What some payments name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    pub customers: BTreeSet<CustomerId>,
    pub external_ids: BTreeSet<String>,
    pub methods: BTreeSet<MethodId>,
}

/// A customer who was found by a name, and the method that the name means: that very one, or their default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub customer: CustomerId,
    pub external_id: Option<String>,
    pub currency: Option<Currency>,
    pub method: Option<KnownMethod>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownMethod {
    pub id: MethodId,
    pub method: Method,
    pub account: String,
    pub attached: bool,
}

/// All that was found, by the names.
#[derive(Debug, Clone, Default)]
pub struct AllKnown {
    pub customers: HashMap<CustomerId, Known>,
    pub external_ids: HashMap<String, Known>,
    pub methods: HashMap<MethodId, Known>,
}

#[derive(Debug, sqlx::FromRow)]
struct KnownRow {
    found_by: String,
    id: String,
    tenant_id: String,
    livemode: bool,
    external_id: Option<String>,
    currency: Option<String>,
    method_id: Option<String>,
    method: Option<String>,
    account: Option<String>,
    position: Option<i64>,
}

/// One statement, each part by an index of its own; whose the rows are that ids name is asked afterwards.
macro_rules! find {
    ($customers:literal, $external_ids:literal, $methods:literal) => {
        concat!(
            "SELECT 'customer' AS found_by, c.id, c.tenant_id, c.livemode, c.external_id, c.currency, \
             m.id AS method_id, m.method, m.account, m.position \
             FROM customers c LEFT JOIN payment_methods m ON m.customer_id = c.id AND m.position = 1 \
             WHERE c.id ",
            $customers,
            " UNION ALL \
             SELECT 'external_id', c.id, c.tenant_id, c.livemode, c.external_id, c.currency, \
             m.id, m.method, m.account, m.position \
             FROM customers c LEFT JOIN payment_methods m ON m.customer_id = c.id AND m.position = 1 \
             WHERE c.tenant_id = $4 AND c.livemode = $5 AND c.external_id ",
            $external_ids,
            " UNION ALL \
             SELECT 'method', c.id, c.tenant_id, c.livemode, c.external_id, c.currency, \
             m.id, m.method, m.account, m.position \
             FROM payment_methods m JOIN customers c ON c.id = m.customer_id WHERE m.id ",
            $methods
        )
    };
}

/// PostgreSQL would read all customers of the tenant for an IN, as it does not know how few the names are.
const FIND: Text = Text {
    sqlite: find!(
        "IN (SELECT value FROM json_each($1))",
        "IN (SELECT value FROM json_each($2))",
        "IN (SELECT value FROM json_each($3))"
    ),
    postgres: find!(
        "= ANY (ARRAY(SELECT json_array_elements_text($1::json)))",
        "= ANY (ARRAY(SELECT json_array_elements_text($2::json)))",
        "= ANY (ARRAY(SELECT json_array_elements_text($3::json)))"
    ),
};

impl Names {
    fn is_empty(&self) -> bool {
        self.customers.is_empty() && self.external_ids.is_empty() && self.methods.is_empty()
    }
}

impl Store {
    /// What is known of the names, of the owner's. Where nothing is named, nothing is asked.
    pub async fn find_known(&self, owner: Owner, names: &Names) -> Result<AllKnown, StoreError> {
        let mut all = AllKnown::default();
        if names.is_empty() {
            return Ok(all);
        }
        let rows: Vec<KnownRow> = on!(&self.db, |db, pick| {
            sqlx::query_as(pick(FIND))
                .bind(json(&names.customers))
                .bind(json(&names.external_ids))
                .bind(json(&names.methods))
                .bind(owner.tenant.to_string())
                .bind(owner.livemode)
                .fetch_all(db)
                .await?
        });
        let tenant = owner.tenant.to_string();
        for row in rows.iter().filter(|row| row.tenant_id == tenant && row.livemode == owner.livemode) {
            let known = row.known()?;
            match (row.found_by.as_str(), &known.external_id, &known.method) {
                ("method", _, Some(method)) => _ = all.methods.insert(method.id, known),
                ("external_id", Some(external_id), _) => {
                    all.external_ids.insert(external_id.clone(), known);
                }
                _ => _ = all.customers.insert(known.customer, known),
            }
        }
        Ok(all)
    }
}

impl KnownRow {
    fn known(&self) -> Result<Known, StoreError> {
        let corrupt = |column| StoreError::corrupt("customers", column, &self.id);
        Ok(Known {
            customer: self.id.parse().map_err(|_| corrupt("id"))?,
            external_id: self.external_id.clone(),
            currency: self
                .currency
                .as_deref()
                .map(str::parse)
                .transpose()
                .map_err(|_| corrupt("currency"))?,
            method: self.method()?,
        })
    }

    fn method(&self) -> Result<Option<KnownMethod>, StoreError> {
        let (Some(id), Some(method), Some(account)) = (&self.method_id, &self.method, &self.account) else {
            return Ok(None);
        };
        let corrupt = |column| StoreError::corrupt("payment_methods", column, id);
        Ok(Some(KnownMethod {
            id: id.parse().map_err(|_| corrupt("id"))?,
            method: serde_json::from_str(method).map_err(|_| corrupt("method"))?,
            account: account.clone(),
            attached: self.position.is_some(),
        }))
    }
}

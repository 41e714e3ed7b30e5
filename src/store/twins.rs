//! Twins: alike payments that are made within a short while of each other, by mistake perhaps (S2.7).

use super::{
    StoreError, Tx,
    change::{Change, Create, Subject},
    row::At,
    text::on,
};
use dunlin_jobs::{CustomerId, PaymentId};
use std::collections::{BTreeSet, HashMap};

/// The other name of each customer who is known here: the external id where the `cus_` id is named, and that where the
/// external id is. By whichever of the two, it is the same customer.
#[derive(Debug, Default)]
pub(super) struct OtherNames(HashMap<PaymentId, String>);

impl OtherNames {
    /// Those of the customers of payments that are watched for twins.
    pub(super) async fn of(tx: &mut Tx, changes: &[Change]) -> Result<Self, StoreError> {
        let mut names = HashMap::new();
        for change in changes {
            if let Some((create, customer)) = watched(change)
                && let Some(other) = other_name(tx, create, customer).await?
            {
                names.insert(create.payment.id, other);
            }
        }
        Ok(Self(names))
    }

    /// Whether the payment's customer goes by that name.
    pub(super) fn is_of(&self, create: &Create, name: Option<&String>) -> bool {
        name.is_some() && (name == create.payment.customer.as_ref() || name == self.0.get(&create.payment.id))
    }

    /// An alike payment made within the window that may take money, where the caller wants to be warned of one.
    pub(super) async fn find(&self, tx: &mut Tx, create: &Create) -> Result<Option<PaymentId>, StoreError> {
        const TEXT: &str = "SELECT id FROM payments WHERE tenant_id = $1 AND livemode = $2 AND customer IN ($3, $8) \
             AND amount_minor = $4 AND currency = $5 AND created_at >= $6 AND reference IS NOT DISTINCT FROM $7 \
             AND status NOT IN ('failed', 'canceled') ORDER BY id DESC LIMIT 1";
        let (Some(since), Some(customer)) = (create.twin_since, &create.payment.customer) else {
            return Ok(None);
        };
        let (tenant, money) = (create.payment.tenant.to_string(), create.payment.money);
        let other = self.0.get(&create.payment.id).unwrap_or(customer);
        let found: Option<String> = on!(tx, |tx, _pick| {
            sqlx::query_scalar(TEXT)
                .bind(tenant)
                .bind(create.payment.livemode)
                .bind(customer)
                .bind(money.minor())
                .bind(money.currency().code())
                .bind(At(since))
                .bind(create.payment.reference.as_deref())
                .bind(other)
                .fetch_optional(&mut **tx)
                .await?
        });
        found.map(|id| id.parse().map_err(|_| StoreError::corrupt("payments", "id", &id))).transpose()
    }

    /// Two replicas must not both miss the other's alike payment. SQLite has one writer anyway.
    pub(super) async fn serialize_customers(
        &self,
        tx: &mut Tx,
        changes: &[Change],
    ) -> Result<(), StoreError> {
        const TEXT: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        let Tx::Postgres(tx) = tx else { return Ok(()) };
        let mut customers = BTreeSet::new();
        for (create, customer) in changes.iter().filter_map(watched) {
            let names = [Some(customer), self.0.get(&create.payment.id)];
            let tenant = create.payment.tenant;
            customers.extend(names.into_iter().flatten().map(|name| format!("{tenant}:{name}")));
        }
        // Sorted, since two batches that take the same locks in different orders would deadlock.
        for customer in customers {
            sqlx::query(TEXT).bind(customer).execute(&mut **tx).await?;
        }
        Ok(())
    }
}

async fn other_name(tx: &mut Tx, create: &Create, customer: &str) -> Result<Option<String>, StoreError> {
    const EXTERNAL: &str =
        "SELECT external_id FROM customers WHERE id = $1 AND tenant_id = $2 AND livemode = $3";
    const OURS: &str = "SELECT id FROM customers WHERE external_id = $1 AND tenant_id = $2 AND livemode = $3";
    let text = if customer.parse::<CustomerId>().is_ok() { EXTERNAL } else { OURS };
    let tenant = create.payment.tenant.to_string();
    let found: Option<Option<String>> = on!(tx, |tx, _pick| {
        sqlx::query_scalar(text)
            .bind(customer)
            .bind(tenant)
            .bind(create.payment.livemode)
            .fetch_optional(&mut **tx)
            .await?
    });
    Ok(found.flatten())
}

fn watched(change: &Change) -> Option<(&Create, &String)> {
    let Subject::Create(create) = &change.subject else { return None };
    create.twin_since?;
    Some((create, create.payment.customer.as_ref()?))
}

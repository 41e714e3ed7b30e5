//! Twins: alike payments that are made within a short while of each other, by mistake perhaps (S2.7).

use super::{
    StoreError, Tx,
    change::{Change, Create, Subject},
    row::At,
    text::on,
};
use dunlin_jobs::PaymentId;
use std::collections::BTreeSet;

/// An alike payment made within the window that may take money, where the caller wants to be warned of one.
pub(super) async fn find(tx: &mut Tx, create: &Create) -> Result<Option<PaymentId>, StoreError> {
    const TEXT: &str = "SELECT id FROM payments WHERE tenant_id = $1 AND livemode = $2 AND customer = $3 \
         AND amount_minor = $4 AND currency = $5 AND created_at >= $6 AND reference IS NOT DISTINCT FROM $7 \
         AND status NOT IN ('failed', 'canceled') ORDER BY id DESC LIMIT 1";
    let (Some(since), Some(customer)) = (create.twin_since, &create.payment.customer) else {
        return Ok(None);
    };
    let (tenant, money) = (create.payment.tenant.to_string(), create.payment.money);
    let found: Option<String> = on!(tx, |tx, _pick| {
        sqlx::query_scalar(TEXT)
            .bind(tenant)
            .bind(create.payment.livemode)
            .bind(customer)
            .bind(money.minor())
            .bind(money.currency().code())
            .bind(At(since))
            .bind(create.payment.reference.as_deref())
            .fetch_optional(&mut **tx)
            .await?
    });
    found.map(|id| id.parse().map_err(|_| StoreError::corrupt("payments", "id", &id))).transpose()
}

/// Two replicas must not both miss the other's alike payment. SQLite has one writer anyway.
pub(super) async fn serialize_customers(tx: &mut Tx, changes: &[Change]) -> Result<(), StoreError> {
    const TEXT: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
    let Tx::Postgres(tx) = tx else { return Ok(()) };
    // Sorted, since two batches that take the same locks in different orders would deadlock.
    let customers: BTreeSet<_> = changes.iter().filter_map(watched_customer).collect();
    for customer in customers {
        sqlx::query(TEXT).bind(customer).execute(&mut **tx).await?;
    }
    Ok(())
}

fn watched_customer(change: &Change) -> Option<String> {
    let Subject::Create(create) = &change.subject else { return None };
    create.twin_since?;
    create.payment.customer.as_ref().map(|customer| format!("{}:{customer}", create.payment.tenant))
}

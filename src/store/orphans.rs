//! Orphans: payments that wait for work which is not there. A right program leaves none (S5.8).

use super::{
    Store, StoreError,
    row::{At, PaymentRow, payment_columns},
    text::on,
};
use crate::domain::{clock::Time, payment::Payment};
use chrono::TimeDelta;

/// The question about an attempt that was set aside carries nothing on: there is a job for what comes after it.
macro_rules! carries_on {
    () => {
        "(j.kind <> 'reconcile' OR p.status NOT IN ('pending', 'retrying') \
             AND j.dedupe = p.id || ':reconcile:' || p.attempt_n)"
    };
}

/// Nothing holds it: no job, and nobody who sets one aside.
const UNHELD: &str = concat!(
    payment_columns!(),
    "WHERE p.status <> 'succeeded' AND p.status IN ('pending', 'processing', 'retrying') \
     AND p.updated_at < $2 AND p.livemode = $1 AND NOT p.deferred \
     AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.dedupe > p.id || ':' AND j.dedupe < p.id || ';' AND ",
    carries_on!(),
    ") ORDER BY p.updated_at LIMIT 500"
);

/// A customer or a person is waited for, and nobody asks meanwhile what became of its attempt (S1.10), or whether what was
/// declined was paid (S1.21). A job that was set aside does not ask.
const UNASKED: &str = concat!(
    payment_columns!(),
    "WHERE p.status <> 'succeeded' AND p.status IN ('requires_action', 'needs_review') \
     AND p.updated_at < $2 AND p.livemode = $1 \
     AND (p.status = 'requires_action' AND p.operation IS NOT NULL \
         OR EXISTS (SELECT 1 FROM attempts o WHERE o.payment_id = p.id AND o.n = p.attempt_n \
             AND o.status IN ('sending', 'unknown', 'pending', 'requires_action'))) \
     AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.dedupe > p.id || ':' AND j.dedupe < p.id || ';' \
         AND j.state = 'live' AND j.kind IN ('charge', 'retry', 'reconcile') AND ",
    carries_on!(),
    ") ORDER BY p.updated_at LIMIT 500"
);

/// It is over, and nobody cancels what its payer could still pay at the gateway (S1.21), which has not said either that it
/// is canceled there or paid.
const UNWITHDRAWN: &str = concat!(
    payment_columns!(),
    "WHERE p.status IN ('failed', 'canceled') AND p.operation IS NOT NULL \
     AND p.updated_at < $2 AND p.updated_at > $3 AND p.livemode = $1 \
     AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.dedupe > p.id || ':' AND j.dedupe < p.id || ';' \
         AND j.kind = 'withdraw') \
     AND NOT EXISTS (SELECT 1 FROM exchanges e WHERE e.payment_id = p.id \
         AND e.result IN ('canceled', 'succeeded') AND replace(e.path, p.operation, '') <> e.path) \
     ORDER BY p.updated_at LIMIT 500"
);

/// What was canceled is many rows that stay, so that only those of this long are looked at.
const LOOKED_AT: TimeDelta = TimeDelta::days(30);

impl Store {
    /// Payments that nothing holds or asks after while they are not final, or withdraws once they are, untouched since a
    /// moment of their environment's clock.
    pub async fn list_orphans(&self, livemode: bool, before: Time) -> Result<Vec<Payment>, StoreError> {
        let mut orphans = Vec::new();
        for text in [UNHELD, UNASKED] {
            let rows: Vec<PaymentRow> = on!(&self.db, |db, _pick| {
                sqlx::query_as(text).bind(livemode).bind(At(before)).fetch_all(db).await?
            });
            let payments: Vec<_> = rows.into_iter().map(Payment::try_from).collect::<Result<_, _>>()?;
            orphans.extend(payments);
        }
        orphans.extend(self.list_unwithdrawn(livemode, before).await?);
        Ok(orphans)
    }

    async fn list_unwithdrawn(&self, livemode: bool, before: Time) -> Result<Vec<Payment>, StoreError> {
        let since = before.checked_sub_signed(LOOKED_AT).unwrap_or(Time::MIN_UTC);
        let rows: Vec<PaymentRow> = on!(&self.db, |db, _pick| {
            sqlx::query_as(UNWITHDRAWN).bind(livemode).bind(At(before)).bind(At(since)).fetch_all(db).await?
        });
        rows.into_iter().map(Payment::try_from).collect()
    }
}

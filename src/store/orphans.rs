//! Orphans: payments that wait for work which is not there. A right program leaves none (S5.8).

use super::{
    Store, StoreError,
    row::{At, PaymentRow, payment_columns},
    text::on,
};
use crate::domain::{clock::Time, payment::Payment};

/// Nothing holds it: no job, and nobody who sets one aside.
const UNHELD: &str = concat!(
    payment_columns!(),
    "WHERE p.status <> 'succeeded' AND p.status IN ('pending', 'processing', 'retrying') \
     AND p.updated_at < $2 AND p.livemode = $1 AND NOT p.deferred \
     AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.dedupe > p.id || ':' AND j.dedupe < p.id || ';') \
     ORDER BY p.updated_at LIMIT 500"
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
         AND j.state = 'live' AND j.kind IN ('charge', 'retry', 'reconcile')) \
     ORDER BY p.updated_at LIMIT 500"
);

impl Store {
    /// Payments that are not final and that nothing holds or asks after, untouched since a moment of their
    /// environment's clock.
    pub async fn list_orphans(&self, livemode: bool, before: Time) -> Result<Vec<Payment>, StoreError> {
        let mut orphans = Vec::new();
        for text in [UNHELD, UNASKED] {
            let rows: Vec<PaymentRow> = on!(&self.db, |db, _pick| {
                sqlx::query_as(text).bind(livemode).bind(At(before)).fetch_all(db).await?
            });
            let payments: Vec<_> = rows.into_iter().map(Payment::try_from).collect::<Result<_, _>>()?;
            orphans.extend(payments);
        }
        Ok(orphans)
    }
}

//! Listings: how far each list of a gateway account has been read, and which of its things are known here.

use super::{
    Store, StoreError,
    row::{At, json},
    text::{Text, on},
};
use crate::domain::{listing::Progress, refund::RefundStatus};
use dunlin_jobs::PaymentId;
use std::collections::HashMap;

const FIND_REFUNDS: Text = Text {
    sqlite: "SELECT operation, payment_id, status FROM refunds \
         WHERE account = $2 AND operation IN (SELECT value FROM json_each($1))",
    postgres: "SELECT operation, payment_id, status FROM refunds \
         WHERE account = $2 AND operation IN (SELECT json_array_elements_text($1::json))",
};

const FIND_CHARGES: Text = Text {
    sqlite: "SELECT charge, payment_id FROM attempts \
         WHERE account = $2 AND charge IN (SELECT value FROM json_each($1))",
    postgres: "SELECT charge, payment_id FROM attempts \
         WHERE account = $2 AND charge IN (SELECT json_array_elements_text($1::json))",
};

impl Store {
    /// How far a list has been read.
    pub async fn load_progress(&self, account: &str, topic: &str) -> Result<Progress, StoreError> {
        const TEXT: &str = "SELECT progress FROM gateway_listings WHERE account = $1 AND topic = $2";
        let found: Option<String> = on!(&self.db, |db, _pick| {
            sqlx::query_scalar(TEXT).bind(account).bind(topic).fetch_optional(db).await?
        });
        match found {
            Some(text) => serde_json::from_str(&text)
                .map_err(|_| StoreError::corrupt("gateway_listings", "progress", account)),
            None => Ok(Progress::default()),
        }
    }

    /// Keeps how far a list has been read.
    pub async fn keep_progress(
        &self,
        account: &str,
        topic: &str,
        progress: &Progress,
    ) -> Result<(), StoreError> {
        const TEXT: &str = "INSERT INTO gateway_listings (account, topic, progress, updated_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (account, topic) \
             DO UPDATE SET progress = excluded.progress, updated_at = excluded.updated_at";
        let now = At(self.clock.now(true));
        on!(&self.writer, |db, _pick| {
            sqlx::query(TEXT).bind(account).bind(topic).bind(json(progress)).bind(now).execute(db).await?;
        });
        Ok(())
    }

    /// Those of these refunds of an account that are known, by the gateway's ids.
    pub async fn find_known_refunds(
        &self,
        account: &str,
        operations: &[&str],
    ) -> Result<HashMap<String, (PaymentId, RefundStatus)>, StoreError> {
        type Row = (String, String, String);
        let rows: Vec<Row> = on!(&self.db, |db, pick| {
            sqlx::query_as(pick(FIND_REFUNDS)).bind(json(&operations)).bind(account).fetch_all(db).await?
        });
        let read = |(operation, payment, status): Row| {
            let corrupt = |column| StoreError::corrupt("refunds", column, &operation);
            let payment = payment.parse().map_err(|_| corrupt("payment_id"))?;
            let status = RefundStatus::from_name(&status).ok_or_else(|| corrupt("status"))?;
            Ok((operation, (payment, status)))
        };
        rows.into_iter().map(read).collect()
    }

    /// Whose these charges of an account are.
    pub async fn find_charged_payments(
        &self,
        account: &str,
        charges: &[&str],
    ) -> Result<HashMap<String, PaymentId>, StoreError> {
        let rows: Vec<(String, String)> = on!(&self.db, |db, pick| {
            sqlx::query_as(pick(FIND_CHARGES)).bind(json(&charges)).bind(account).fetch_all(db).await?
        });
        let read = |(charge, payment): (String, String)| {
            let payment =
                payment.parse().map_err(|_| StoreError::corrupt("attempts", "payment_id", &charge))?;
            Ok((charge, payment))
        };
        rows.into_iter().map(read).collect()
    }
}

//! Events: what the merchant will be told, frozen in the commit of its cause (S4.1).

use super::{
    Store, StoreError, Tx,
    row::{At, json},
    text::{Text, insert, on},
};
use crate::domain::{
    event::{API_VERSION, Envelope, EventType, View},
    payment::Payment,
};
use dunlin_jobs::{EventId, PaymentId};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct EventRow {
    id: String,
    tenant_id: String,
    livemode: bool,
    payment_id: String,
    r#type: &'static str,
    body: String,
    created_at: At,
}

const INSERT: Text = insert!(
    "events"
    (id text, tenant_id text, livemode boolean, payment_id text, type text, body text, created_at timestamptz)
    ""
);

impl EventRow {
    pub(super) fn new(
        id: EventId,
        payment: &Payment,
        kind: EventType,
        previous: Option<&'static str>,
    ) -> Self {
        let envelope = Envelope {
            id,
            kind: kind.name(),
            created: payment.updated_at,
            api_version: API_VERSION,
            tenant: payment.tenant,
            object: View::from(payment),
            object_version: payment.version,
            previous_status: previous,
        };
        Self {
            id: id.to_string(),
            tenant_id: payment.tenant.to_string(),
            livemode: payment.livemode,
            payment_id: payment.id.to_string(),
            r#type: kind.name(),
            body: json(&envelope),
            created_at: At(payment.updated_at),
        }
    }
}

impl Store {
    /// The types of a payment's events, first one first.
    pub async fn list_event_types(&self, payment: PaymentId) -> Result<Vec<String>, StoreError> {
        const TEXT: &str = "SELECT type FROM events WHERE payment_id = $1 ORDER BY created_at, id";
        let id = payment.to_string();
        on!(&self.db, |db, _pick| Ok(sqlx::query_scalar(TEXT).bind(id).fetch_all(db).await?))
    }
}

pub(super) async fn insert(tx: &mut Tx, rows: &[EventRow]) -> Result<(), StoreError> {
    tx.write(INSERT, rows).await.map(drop)
}

//! Events: what the merchant will be told, frozen in the commit of its cause (S4.1).

use super::{
    Store, StoreError, Tx,
    row::{At, json},
    text::{Text, insert, on},
};
use crate::domain::{
    event::{API_VERSION, Envelope, EventType, View},
    payment::Payment,
    refund::{self, Refund},
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
        Self::frozen(&envelope, payment.livemode, payment.id)
    }

    pub(super) fn of_refund(id: EventId, refund: &Refund, kind: EventType) -> Self {
        let envelope = Envelope {
            id,
            kind: kind.name(),
            created: refund.updated_at,
            api_version: API_VERSION,
            tenant: refund.tenant,
            object: refund::View::from(refund),
            object_version: refund.version,
            previous_status: None,
        };
        Self::frozen(&envelope, refund.livemode, refund.payment)
    }

    /// About a payment, in other words than the payment's own.
    pub(super) fn about_payment<O: Serialize>(
        id: EventId,
        payment: &Payment,
        kind: EventType,
        object: O,
    ) -> Self {
        let envelope = Envelope {
            id,
            kind: kind.name(),
            created: payment.updated_at,
            api_version: API_VERSION,
            tenant: payment.tenant,
            object,
            object_version: payment.version,
            previous_status: None,
        };
        Self::frozen(&envelope, payment.livemode, payment.id)
    }

    fn frozen<O: Serialize>(envelope: &Envelope<O>, livemode: bool, payment: PaymentId) -> Self {
        Self {
            id: envelope.id.to_string(),
            tenant_id: envelope.tenant.to_string(),
            livemode,
            payment_id: payment.to_string(),
            r#type: envelope.kind,
            body: json(envelope),
            created_at: At(envelope.created),
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

//! Disputes and warnings of fraud in the tables.

use super::{
    Store, StoreError, Tx,
    row::{At, json},
    text::{Text, insert, on},
};
use crate::domain::{
    dispute::{Dispute, DisputeStatus, FraudWarning},
    payment::Payment,
};
use dunlin_jobs::PaymentId;
use serde::Serialize;
use std::collections::HashMap;

#[derive(Debug, Serialize)]
pub(super) struct DisputeRow {
    account: String,
    id: String,
    payment_id: String,
    tenant_id: String,
    livemode: bool,
    charge: String,
    status: &'static str,
    amount_minor: i64,
    currency: String,
    reason: String,
    due_at: Option<At>,
    opened_at: At,
    updated_at: At,
}

#[derive(Debug, Serialize)]
pub(super) struct WarningRow {
    account: String,
    id: String,
    payment_id: String,
    charge: String,
    kind: String,
    actionable: bool,
    made_at: At,
}

const SAVE: Text = insert!(
    "disputes"
    (account text, id text, payment_id text, tenant_id text, livemode boolean, charge text, status text,
        amount_minor bigint, currency text, reason text, due_at timestamptz, opened_at timestamptz,
        updated_at timestamptz)
    "ON CONFLICT (account, id) DO UPDATE SET status = excluded.status, amount_minor = excluded.amount_minor, \
     currency = excluded.currency, reason = excluded.reason, due_at = excluded.due_at, \
     updated_at = excluded.updated_at"
);

const WARN: Text = insert!(
    "fraud_warnings"
    (account text, id text, payment_id text, charge text, kind text, actionable boolean, made_at timestamptz)
    "ON CONFLICT DO NOTHING"
);

const FIND_MANY: Text = Text {
    sqlite: "SELECT id, payment_id, status, due_at FROM disputes \
         WHERE account = $2 AND id IN (SELECT value FROM json_each($1))",
    postgres: "SELECT id, payment_id, status, due_at FROM disputes \
         WHERE account = $2 AND id IN (SELECT json_array_elements_text($1::json))",
};

/// What is known of a dispute that a list shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDispute {
    pub payment: PaymentId,
    pub status: DisputeStatus,
    pub due_by: Option<crate::domain::clock::Time>,
}

impl DisputeRow {
    pub(super) fn new(payment: &Payment, dispute: &Dispute) -> Self {
        Self {
            account: payment.account.clone(),
            id: dispute.id.clone(),
            payment_id: payment.id.to_string(),
            tenant_id: payment.tenant.to_string(),
            livemode: payment.livemode,
            charge: dispute.charge.clone(),
            status: dispute.status.name(),
            amount_minor: dispute.amount,
            currency: dispute.currency.code().to_owned(),
            reason: dispute.reason.clone(),
            due_at: dispute.due_by.map(At),
            opened_at: At(dispute.opened_at),
            updated_at: At(payment.updated_at),
        }
    }
}

impl WarningRow {
    pub(super) fn new(payment: &Payment, warning: &FraudWarning) -> Self {
        Self {
            account: payment.account.clone(),
            id: warning.id.clone(),
            payment_id: payment.id.to_string(),
            charge: warning.charge.clone(),
            kind: warning.kind.clone(),
            actionable: warning.actionable,
            made_at: At(warning.made_at),
        }
    }
}

impl Store {
    /// Those of these disputes of an account that are known, by the gateway's ids.
    pub async fn find_known_disputes(
        &self,
        account: &str,
        ids: &[&str],
    ) -> Result<HashMap<String, KnownDispute>, StoreError> {
        type Row = (String, String, String, Option<At>);
        let rows: Vec<Row> = on!(&self.db, |db, pick| {
            sqlx::query_as(pick(FIND_MANY)).bind(json(&ids)).bind(account).fetch_all(db).await?
        });
        let read = |(id, payment, status, due_by): Row| {
            let corrupt = |column| StoreError::corrupt("disputes", column, &id);
            let payment = payment.parse().map_err(|_| corrupt("payment_id"))?;
            let status = DisputeStatus::from_name(&status).ok_or_else(|| corrupt("status"))?;
            Ok((id, KnownDispute { payment, status, due_by: due_by.map(|at| at.0) }))
        };
        rows.into_iter().map(read).collect()
    }
}

/// Whether a warning of fraud is on record.
pub(super) async fn is_warned(tx: &mut Tx, account: &str, id: &str) -> Result<bool, StoreError> {
    const TEXT: &str = "SELECT count(*) FROM fraud_warnings WHERE account = $1 AND id = $2";
    let found: i64 =
        on!(tx, |tx, _pick| sqlx::query_scalar(TEXT).bind(account).bind(id).fetch_one(&mut **tx).await?);
    Ok(found > 0)
}

pub(super) async fn save(tx: &mut Tx, rows: &[&DisputeRow]) -> Result<(), StoreError> {
    tx.write(SAVE, rows).await.map(drop)
}

pub(super) async fn warn(tx: &mut Tx, rows: &[WarningRow]) -> Result<(), StoreError> {
    tx.write(WARN, rows).await.map(drop)
}

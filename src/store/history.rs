//! History: every change of a payment, in order, with its cause.

use super::{
    Store, StoreError, Tx,
    change::{Change, ExchangeWrite},
    row::At,
    text::{Text, insert, on},
};
use crate::domain::{clock::Time, payment::Payment, refund::Refund, table::Kind};
use dunlin_jobs::PaymentId;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Debug, Serialize, sqlx::FromRow)]
pub(super) struct HistoryRow {
    payment_id: String,
    version: i64,
    change_id: String,
    from_status: Option<String>,
    to_status: String,
    attempt_n: i64,
    attempt_from: Option<String>,
    attempt_to: Option<String>,
    refund_id: Option<String>,
    refund_to: Option<String>,
    cause: String,
    detail: String,
    actor: String,
    exchange_id: Option<String>,
    at: At,
}

/// One line of a payment's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Transition {
    pub version: i64,
    pub at: Time,
    /// The payment's status before, and after.
    pub from: Option<String>,
    pub to: String,
    /// The attempt's number; 0 before the first one.
    pub attempt: i64,
    pub attempt_from: Option<String>,
    pub attempt_to: Option<String>,
    pub refund: Option<String>,
    pub refund_to: Option<String>,
    /// What happened.
    pub cause: String,
    /// Why, in words.
    pub detail: String,
    /// Who did it: `api`, `worker` or `sweep`.
    pub actor: String,
    /// The call that told of it.
    pub exchange: Option<String>,
}

const INSERT: Text = insert!(
    "history"
    (payment_id text, version bigint, change_id text, from_status text, to_status text, attempt_n bigint,
        attempt_from text, attempt_to text, refund_id text, refund_to text, cause text, detail text, actor text,
        exchange_id text, at timestamptz)
    ""
);

/// What a change leaves in the history, by which it can be told that it took effect.
#[derive(Debug)]
pub(super) struct Mark {
    payment_id: String,
    version: i64,
    change_id: String,
}

impl HistoryRow {
    pub(super) fn mark(&self) -> Mark {
        Mark { payment_id: self.payment_id.clone(), version: self.version, change_id: self.change_id.clone() }
    }

    pub(super) fn created(change: &Change, payment: &Payment) -> Self {
        let mut row = Self::row(change, payment, "created", "accepted".to_owned());
        row.attempt_to = None;
        row
    }

    pub(super) fn new(
        change: &Change,
        kind: Kind,
        before: &Payment,
        after: &Payment,
        detail: String,
    ) -> Self {
        let same_attempt = before.attempt.as_ref().map(|attempt| attempt.n)
            == after.attempt.as_ref().map(|attempt| attempt.n);
        let mut row = Self::row(change, after, kind.name(), detail);
        row.from_status = Some(before.status.name().to_owned());
        row.attempt_from =
            before.attempt.as_ref().filter(|_| same_attempt).map(|attempt| attempt.status.name().to_owned());
        row
    }

    pub(super) fn of_refund(
        change: &Change,
        cause: &str,
        payment: &Payment,
        refund: &Refund,
        detail: String,
    ) -> Self {
        let attempt = payment.attempt.as_ref().map(|attempt| attempt.status.name().to_owned());
        let row = Self::row(change, payment, cause, detail);
        Self {
            from_status: Some(payment.status.name().to_owned()),
            attempt_from: attempt,
            refund_id: Some(refund.id.to_string()),
            refund_to: Some(refund.status.name().to_owned()),
            ..row
        }
    }

    /// Something that stands beside the payment, and moves neither its status nor its attempt.
    pub(super) fn noted(change: &Change, cause: &str, payment: &Payment, detail: String) -> Self {
        let attempt = payment.attempt.as_ref().map(|attempt| attempt.status.name().to_owned());
        let row = Self::row(change, payment, cause, detail);
        Self { from_status: Some(payment.status.name().to_owned()), attempt_from: attempt, ..row }
    }

    fn row(change: &Change, payment: &Payment, cause: &str, detail: String) -> Self {
        Self {
            payment_id: payment.id.to_string(),
            version: payment.version.into(),
            change_id: change.id.to_string(),
            from_status: None,
            to_status: payment.status.name().to_owned(),
            attempt_n: payment.attempt.as_ref().map_or(0, |attempt| attempt.n.into()),
            attempt_from: None,
            attempt_to: payment.attempt.as_ref().map(|attempt| attempt.status.name().to_owned()),
            refund_id: None,
            refund_to: None,
            cause: cause.to_owned(),
            detail,
            actor: change.actor.name().into_owned(),
            exchange_id: change.exchanges.iter().map(ExchangeWrite::id).next_back().map(|id| id.to_string()),
            at: At(payment.updated_at),
        }
    }
}

impl Store {
    /// Every change of a payment, first one first.
    pub async fn list_history(&self, payment: PaymentId) -> Result<Vec<Transition>, StoreError> {
        const TEXT: &str = "SELECT payment_id, version, change_id, from_status, to_status, attempt_n, \
             attempt_from, attempt_to, refund_id, refund_to, cause, detail, actor, exchange_id, at FROM history \
             WHERE payment_id = $1 ORDER BY version";
        let id = payment.to_string();
        let rows: Vec<HistoryRow> =
            on!(&self.db, |db, _pick| sqlx::query_as(TEXT).bind(id).fetch_all(db).await?);
        let transitions = rows.into_iter().map(|row| Transition {
            version: row.version,
            at: row.at.0,
            from: row.from_status,
            to: row.to_status,
            attempt: row.attempt_n,
            attempt_from: row.attempt_from,
            attempt_to: row.attempt_to,
            refund: row.refund_id,
            refund_to: row.refund_to,
            cause: row.cause,
            detail: row.detail,
            actor: row.actor,
            exchange: row.exchange_id,
        });
        Ok(transitions.collect())
    }

    /// Whether a change took effect.
    pub(super) async fn happened(&self, mark: &Mark) -> Result<bool, StoreError> {
        const TEXT: &str =
            "SELECT count(*) FROM history WHERE payment_id = $1 AND version = $2 AND change_id = $3";
        let Mark { payment_id, version, change_id } = mark;
        let found: i64 = on!(&self.db, |db, _pick| {
            sqlx::query_scalar(TEXT).bind(payment_id).bind(version).bind(change_id).fetch_one(db).await?
        });
        Ok(found > 0)
    }
}

pub(super) async fn insert(tx: &mut Tx, rows: &[HistoryRow]) -> Result<(), StoreError> {
    tx.write(INSERT, rows).await.map(drop)
}

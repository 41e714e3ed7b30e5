//! Exchanges: every HTTP call to a gateway, opened before a byte leaves and closed when it is over.

use super::{
    Store, StoreError, Tx,
    change::{Closing, Exchange, ExchangeWrite},
    row::{At, count},
    text::{Text, bulk, insert, on},
};
use crate::domain::{attempt::ExchangeKind, exchange_result::ExchangeResult};
use dunlin_jobs::{ExchangeId, PaymentId};
use serde::Serialize;

#[derive(Debug, Serialize, sqlx::FromRow)]
struct ExchangeRow {
    id: String,
    payment_id: String,
    attempt_n: i64,
    refund_id: Option<String>,
    kind: String,
    resend: bool,
    method: String,
    path: String,
    idempotency_key: Option<String>,
    api_version: String,
    body: String,
    opened_at: At,
    #[serde(skip)]
    answered_at: Option<At>,
    #[serde(skip)]
    http_status: Option<i64>,
    #[serde(skip)]
    result: Option<String>,
    #[serde(skip)]
    verdict: Option<String>,
    #[serde(skip)]
    answer: Option<String>,
}

// A COMMIT whose answer was lost may make an exchange be opened twice: it is the same one.
const OPEN: Text = insert!(
    "exchanges"
    (id text, payment_id text, attempt_n bigint, refund_id text, kind text, resend boolean, method text, path text,
        idempotency_key text, api_version text, body text, opened_at timestamptz)
    "ON CONFLICT DO NOTHING"
);

const CLOSE: Text = bulk!(
    "UPDATE exchanges SET answered_at = r.answered_at, http_status = r.http_status, result = r.result, \
     verdict = r.verdict, answer = r.answer FROM "
    rows(payment_id text, id text, answered_at timestamptz, http_status bigint, result text, verdict text,
        answer text)
    " WHERE exchanges.payment_id = r.payment_id AND exchanges.id = r.id"
);

#[derive(Serialize)]
struct ClosingRow<'a> {
    payment_id: String,
    id: String,
    answered_at: At,
    http_status: Option<u16>,
    result: Option<&'static str>,
    verdict: &'a str,
    answer: Option<&'a str>,
}

impl Store {
    /// The exchanges of a payment, first one first.
    pub async fn list_exchanges(&self, payment: PaymentId) -> Result<Vec<Exchange>, StoreError> {
        const TEXT: &str = "SELECT id, payment_id, attempt_n, refund_id, kind, resend, method, path, idempotency_key, \
             api_version, body, opened_at, answered_at, http_status, result, verdict, answer FROM exchanges \
             WHERE payment_id = $1 ORDER BY opened_at, id";
        let id = payment.to_string();
        let rows: Vec<ExchangeRow> =
            on!(&self.db, |db, _pick| sqlx::query_as(TEXT).bind(id).fetch_all(db).await?);
        rows.into_iter().map(Exchange::try_from).collect()
    }
}

impl ExchangeWrite {
    pub fn id(&self) -> ExchangeId {
        match self {
            Self::Open(exchange) => exchange.id,
            Self::Close(closing) => closing.id,
        }
    }
}

impl TryFrom<ExchangeRow> for Exchange {
    type Error = StoreError;

    fn try_from(row: ExchangeRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::corrupt("exchanges", column, &row.id);
        let id = row.id.parse().map_err(|_| corrupt("id"))?;
        let payment = row.payment_id.parse().map_err(|_| corrupt("payment_id"))?;
        let kind = ExchangeKind::ALL.into_iter().find(|kind| kind.name() == row.kind);
        let result = match row.result.as_deref() {
            Some(name) => Some(ExchangeResult::from_name(name).ok_or_else(|| corrupt("result"))?),
            None => None,
        };
        let closed = row.answered_at.map(|at| Closing {
            id,
            payment,
            at: at.0,
            result,
            http_status: row.http_status.and_then(|status| u16::try_from(status).ok()),
            verdict: row.verdict.clone().unwrap_or_default(),
            answer: row.answer.clone(),
        });
        Ok(Self {
            id,
            payment,
            attempt: count(row.attempt_n).ok_or_else(|| corrupt("attempt_n"))?,
            refund: match &row.refund_id {
                Some(id) => Some(id.parse().map_err(|_| corrupt("refund_id"))?),
                None => None,
            },
            kind: kind.ok_or_else(|| corrupt("kind"))?,
            resend: row.resend,
            method: row.method.clone(),
            path: row.path.clone(),
            idempotency_key: row.idempotency_key.clone(),
            api_version: row.api_version.clone(),
            body: row.body.clone(),
            opened_at: row.opened_at.0,
            closed,
        })
    }
}

pub(super) async fn write(tx: &mut Tx, writes: &[ExchangeWrite]) -> Result<(), StoreError> {
    let mut opened = Vec::new();
    let mut closed = Vec::new();
    for write in writes {
        match write {
            ExchangeWrite::Open(exchange) => opened.push(row(exchange)),
            ExchangeWrite::Close(closing) => closed.push(ClosingRow {
                payment_id: closing.payment.to_string(),
                id: closing.id.to_string(),
                answered_at: At(closing.at),
                http_status: closing.http_status,
                result: closing.result.map(ExchangeResult::name),
                verdict: &closing.verdict,
                answer: closing.answer.as_deref(),
            }),
        }
    }
    tx.write(OPEN, &opened).await?;
    tx.write(CLOSE, &closed).await.map(drop)
}

fn row(exchange: &Exchange) -> ExchangeRow {
    ExchangeRow {
        id: exchange.id.to_string(),
        payment_id: exchange.payment.to_string(),
        attempt_n: exchange.attempt.into(),
        refund_id: exchange.refund.map(|id| id.to_string()),
        kind: exchange.kind.name().to_owned(),
        resend: exchange.resend,
        method: exchange.method.clone(),
        path: exchange.path.clone(),
        idempotency_key: exchange.idempotency_key.clone(),
        api_version: exchange.api_version.clone(),
        body: exchange.body.clone(),
        opened_at: At(exchange.opened_at),
        answered_at: None,
        http_status: None,
        result: None,
        verdict: None,
        answer: None,
    }
}

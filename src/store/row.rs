//! Rows: how domain values stand in the tables, and the one place where a row is doubted.

use super::{StoreError, recent::Stored};
use crate::domain::{
    attempt::{Attempt, AttemptStatus, Origin},
    clock::Time,
    payment::{ByHand, Payment, Start, Status},
    session::Session,
    table::{Open, Phase},
};
use chrono::SecondsFormat;
use dunlin_jobs::Money;
use serde::{Serialize, Serializer};
use sqlx::{
    Database, Decode, Encode, FromRow, Postgres, Sqlite, Type, encode::IsNull, error::BoxDynError,
    postgres::PgTypeInfo, sqlite::SqliteTypeInfo,
};

/// A moment in a table: `TIMESTAMPTZ`, or a text of fixed width that sorts like the time it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At(pub(super) Time);

impl At {
    fn text(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::Micros, true)
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl Type<Sqlite> for At {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }
}

impl Type<Postgres> for At {
    fn type_info() -> PgTypeInfo {
        <Time as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Sqlite> for At {
    fn encode_by_ref(
        &self,
        buffer: &mut <Sqlite as Database>::ArgumentBuffer,
    ) -> Result<IsNull, BoxDynError> {
        <String as Encode<'_, Sqlite>>::encode(self.text(), buffer)
    }
}

impl Encode<'_, Postgres> for At {
    fn encode_by_ref(
        &self,
        buffer: &mut <Postgres as Database>::ArgumentBuffer,
    ) -> Result<IsNull, BoxDynError> {
        <Time as Encode<'_, Postgres>>::encode_by_ref(&self.0, buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for At {
    fn decode(value: <Sqlite as Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
        let text = <&str as Decode<'r, Sqlite>>::decode(value)?;
        Ok(Self(chrono::DateTime::parse_from_rfc3339(text)?.to_utc()))
    }
}

impl<'r> Decode<'r, Postgres> for At {
    fn decode(value: <Postgres as Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
        <Time as Decode<'r, Postgres>>::decode(value).map(Self)
    }
}

/// A row of `payments`, beside its latest attempt where it is read.
#[derive(Debug, FromRow, Serialize)]
pub(super) struct PaymentRow {
    pub(super) id: String,
    tenant_id: String,
    livemode: bool,
    amount_minor: i64,
    currency: String,
    method: String,
    method_id: Option<String>,
    return_url: Option<String>,
    process_at: Option<At>,
    deferred: bool,
    customer: Option<String>,
    reference: Option<String>,
    description: Option<String>,
    metadata: String,
    account: String,
    status: String,
    version: i64,
    change_id: String,
    operation: Option<String>,
    attempt_n: i64,
    declines: i64,
    /// These are none, or 0, when it is made.
    #[serde(skip)]
    resolution: Option<String>,
    #[serde(skip)]
    failure: Option<String>,
    #[serde(skip)]
    hand_attempt_n: i64,
    #[serde(skip)]
    hand_declines: i64,
    refunded_minor: i64,
    refunding_minor: i64,
    #[serde(skip)]
    disputes: Option<String>,
    next_attempt_at: Option<At>,
    review_reason: Option<String>,
    created_at: At,
    updated_at: At,
    #[serde(skip)]
    attempt_id: Option<String>,
    #[serde(skip)]
    attempt_account: Option<String>,
    #[serde(skip)]
    attempt_status: Option<String>,
    #[serde(skip)]
    origin: Option<String>,
    #[serde(skip)]
    first_sent_at: Option<At>,
    #[serde(skip)]
    charge: Option<String>,
    #[serde(skip)]
    action_url: Option<String>,
    #[serde(skip)]
    decline: Option<String>,
}

/// The columns of a [`PaymentRow`] and where they come from, to be followed by a WHERE.
macro_rules! payment_columns {
    () => {
        "SELECT p.id, p.tenant_id, p.livemode, p.amount_minor, p.currency, p.method, p.method_id, p.return_url, \
         p.process_at, p.deferred, p.customer, p.reference, p.description, p.metadata, p.account, p.status, \
         p.version, p.change_id, p.operation, p.attempt_n, p.declines, p.resolution, p.failure, p.hand_attempt_n, \
         p.hand_declines, p.refunded_minor, p.refunding_minor, p.disputes, \
         p.next_attempt_at, p.review_reason, p.created_at, p.updated_at, a.id AS attempt_id, \
         a.account AS attempt_account, a.status AS attempt_status, a.origin, a.first_sent_at, a.charge, \
         a.action_url, a.decline \
         FROM payments p LEFT JOIN attempts a ON a.payment_id = p.id AND a.n = p.attempt_n "
    };
}
pub(super) use payment_columns;

impl PaymentRow {
    /// The row of a payment that a change has left so.
    pub(super) fn new(payment: &Payment, change: &str) -> Self {
        Self {
            id: payment.id.to_string(),
            tenant_id: payment.tenant.to_string(),
            livemode: payment.livemode,
            amount_minor: payment.money.minor(),
            currency: payment.money.currency().code().to_owned(),
            method: json(&payment.method),
            method_id: payment.method_id.map(|id| id.to_string()),
            return_url: payment.session.return_url().map(str::to_owned),
            process_at: payment.start.at().map(At),
            deferred: payment.start == Start::OnRequest,
            customer: payment.customer.clone(),
            reference: payment.reference.clone(),
            description: payment.description.clone(),
            metadata: json(&payment.metadata),
            account: payment.account.clone(),
            status: payment.status.name().to_owned(),
            version: payment.version.into(),
            change_id: change.to_owned(),
            operation: payment.operation.clone(),
            attempt_n: payment.attempt.as_ref().map_or(0, |attempt| attempt.n.into()),
            declines: payment.declines.into(),
            resolution: None,
            failure: None,
            hand_attempt_n: 0,
            hand_declines: 0,
            refunded_minor: payment.refunded,
            refunding_minor: payment.refunding,
            disputes: None,
            next_attempt_at: payment.status.next_attempt_at().map(At),
            review_reason: payment.status.review_reason().map(str::to_owned),
            created_at: At(payment.created_at),
            updated_at: At(payment.updated_at),
            attempt_id: None,
            attempt_account: None,
            attempt_status: None,
            origin: None,
            first_sent_at: None,
            charge: None,
            action_url: None,
            decline: None,
        }
    }
}

impl TryFrom<PaymentRow> for Stored {
    type Error = StoreError;

    fn try_from(mut row: PaymentRow) -> Result<Self, StoreError> {
        let change = std::mem::take(&mut row.change_id);
        Ok(Self { payment: row.try_into()?, change })
    }
}

impl TryFrom<PaymentRow> for Payment {
    type Error = StoreError;

    fn try_from(row: PaymentRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::corrupt("payments", column, &row.id);
        let status = match (row.status.as_str(), row.next_attempt_at, &row.review_reason) {
            ("pending", None, None) => Status::Pending,
            ("processing", None, None) => Status::Processing,
            ("requires_action", None, None) => Status::RequiresAction,
            ("retrying", Some(at), None) => Status::Retrying { next_attempt_at: at.0 },
            ("succeeded", None, None) => Status::Succeeded,
            ("failed", None, None) => Status::Failed,
            ("canceled", None, None) => Status::Canceled,
            ("needs_review", None, Some(reason)) => Status::NeedsReview { reason: reason.clone() },
            _ => return Err(corrupt("status")),
        };
        let currency = row.currency.parse().map_err(|_| corrupt("currency"))?;
        let payment = Self {
            id: row.id.parse().map_err(|_| corrupt("id"))?,
            tenant: row.tenant_id.parse().map_err(|_| corrupt("tenant_id"))?,
            livemode: row.livemode,
            money: Money::new(row.amount_minor, currency).map_err(|_| corrupt("amount_minor"))?,
            method: serde_json::from_str(&row.method).map_err(|_| corrupt("method"))?,
            method_id: row
                .method_id
                .as_deref()
                .map(str::parse)
                .transpose()
                .map_err(|_| corrupt("method_id"))?,
            session: match &row.return_url {
                Some(url) => Session::On(url.parse().map_err(|_| corrupt("return_url"))?),
                None => Session::Off,
            },
            start: match (row.deferred, row.process_at) {
                (false, None) => Start::Now,
                (false, Some(at)) => Start::At(at.0),
                (true, None) => Start::OnRequest,
                (true, Some(_)) => return Err(corrupt("deferred")),
            },
            metadata: serde_json::from_str(&row.metadata).map_err(|_| corrupt("metadata"))?,
            status,
            version: count(row.version).ok_or_else(|| corrupt("version"))?,
            declines: count(row.declines).ok_or_else(|| corrupt("declines"))?,
            by_hand: ByHand {
                attempt: count(row.hand_attempt_n).ok_or_else(|| corrupt("hand_attempt_n"))?,
                declines: count(row.hand_declines).ok_or_else(|| corrupt("hand_declines"))?,
            },
            resolution: match &row.resolution {
                Some(text) => Some(serde_json::from_str(text).map_err(|_| corrupt("resolution"))?),
                None => None,
            },
            failure: row
                .failure
                .as_deref()
                .map(serde_json::from_str)
                .transpose()
                .map_err(|_| corrupt("failure"))?,
            refunded: row.refunded_minor,
            refunding: row.refunding_minor,
            disputes: row
                .disputes
                .as_deref()
                .map_or(Ok(Vec::new()), serde_json::from_str)
                .map_err(|_| corrupt("disputes"))?,
            attempt: attempt(&row)?,
            customer: row.customer.clone(),
            reference: row.reference.clone(),
            description: row.description.clone(),
            account: row.account.clone(),
            operation: row.operation.clone(),
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
        };
        if agrees(&payment) { Ok(payment) } else { Err(corrupt("attempt_n")) }
    }
}

/// Whether the payment's status is one that its attempt allows.
fn agrees(payment: &Payment) -> bool {
    match payment.phase() {
        Phase::Open(Open::Acting) => payment.status == Status::RequiresAction,
        Phase::Open(_) => payment.status == Status::Processing,
        Phase::Review(_) => true,
        Phase::Disputed => payment.status != Status::Processing,
        Phase::Pending
        | Phase::Retrying
        | Phase::NeedsCustomer
        | Phase::Succeeded
        | Phase::Failed
        | Phase::Canceled => payment.open_attempt().is_none(),
    }
}

fn attempt(row: &PaymentRow) -> Result<Option<Attempt>, StoreError> {
    if row.attempt_n == 0 {
        return Ok(None);
    }
    let corrupt = |column| StoreError::corrupt("attempts", column, &row.id);
    let raw = AttemptRow {
        id: row.attempt_id.clone().ok_or_else(|| corrupt("id"))?,
        payment_id: row.id.clone(),
        n: row.attempt_n,
        account: row.attempt_account.clone().ok_or_else(|| corrupt("account"))?,
        status: row.attempt_status.clone().ok_or_else(|| corrupt("status"))?,
        origin: row.origin.clone().ok_or_else(|| corrupt("origin"))?,
        first_sent_at: row.first_sent_at.ok_or_else(|| corrupt("first_sent_at"))?,
        charge: row.charge.clone(),
        action_url: row.action_url.clone(),
        decline: row.decline.clone(),
    };
    raw.try_into().map(Some)
}

/// A row of `attempts`.
#[derive(Debug, FromRow, Serialize)]
pub(super) struct AttemptRow {
    id: String,
    payment_id: String,
    n: i64,
    account: String,
    status: String,
    first_sent_at: At,
    charge: Option<String>,
    action_url: Option<String>,
    decline: Option<String>,
    origin: String,
}

impl AttemptRow {
    pub(super) fn new(payment: &Payment, attempt: &Attempt) -> Self {
        Self {
            id: attempt.id.to_string(),
            payment_id: payment.id.to_string(),
            n: attempt.n.into(),
            account: attempt.account.clone(),
            status: attempt.status.name().to_owned(),
            first_sent_at: At(attempt.first_sent_at),
            charge: attempt.charge.clone(),
            action_url: attempt.action_url.clone(),
            decline: attempt.decline.as_ref().map(json),
            origin: attempt.origin.name().to_owned(),
        }
    }
}

impl TryFrom<AttemptRow> for Attempt {
    type Error = StoreError;

    fn try_from(row: AttemptRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::corrupt("attempts", column, &row.id);
        Ok(Self {
            id: row.id.parse().map_err(|_| corrupt("id"))?,
            n: count(row.n).ok_or_else(|| corrupt("n"))?,
            status: AttemptStatus::from_name(&row.status).ok_or_else(|| corrupt("status"))?,
            decline: match &row.decline {
                Some(text) => Some(serde_json::from_str(text).map_err(|_| corrupt("decline"))?),
                None => None,
            },
            origin: Origin::from_name(&row.origin).ok_or_else(|| corrupt("origin"))?,
            account: row.account.clone(),
            first_sent_at: row.first_sent_at.0,
            charge: row.charge.clone(),
            action_url: row.action_url.clone(),
        })
    }
}

/// A counter's value; the tables hold 64 bits, the domain counts in 32.
pub(super) fn count(value: i64) -> Option<u32> {
    u32::try_from(value).ok()
}

/// JSON for a column or a bound array. What is written here are plain structs and string maps.
pub(super) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data has a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_keep_their_width_so_that_text_sorts_like_time() {
        let at = |text: &str| At(chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc()).text();

        assert_eq!(at("2026-11-21T20:21:51Z"), "2026-11-21T20:21:51.000000Z");
        assert!(at("2026-11-21T20:21:51.000001Z") > at("2026-11-21T20:21:51Z"));
    }
}

//! Gateway events: what a gateway told of its own accord, kept as it came, and the job that looks into it.

use super::{
    Store, StoreError,
    jobs::JobRow,
    row::At,
    text::{Text, on},
};
use crate::domain::clock::Time;
use dunlin_jobs::{GatewayEvent, Job, PaymentId, RefundId};

/// One event of a gateway, in whose account it has its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub account: String,
    pub event: String,
    pub livemode: bool,
    pub kind: String,
    /// The payment to look at, if it is about one.
    pub payment: Option<PaymentId>,
    /// The gateway's id of the operation that it tells of, if it is about a charge.
    pub operation: Option<String>,
    /// The refund to look at, if it is about one.
    pub refund: Option<RefundId>,
    /// The gateway's id of the charge that it tells of, and the name of what of it is to be looked at.
    pub charge: Option<String>,
    pub topic: Option<String>,
    /// The signed bytes.
    pub body: String,
}

/// What became of the wish to have a job run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hurried {
    /// It is due.
    Due,
    /// A worker has it, and may have looked already.
    InHand,
    /// There is no such job that could run.
    Missing,
}

// A run that is brought forward is not one of its schedule, which goes on from where it was.
const HURRY: Text = Text {
    sqlite: "UPDATE jobs SET due_at = min(due_at, $2), \
         runs = CASE WHEN due_at > $2 AND runs >= 0 THEN runs - 1 ELSE runs END WHERE dedupe = $1 AND state = 'live' \
         RETURNING lease_owner IS NOT NULL",
    postgres: "UPDATE jobs SET due_at = least(due_at, $2), \
         runs = CASE WHEN due_at > $2 AND runs >= 0 THEN runs - 1 ELSE runs END WHERE dedupe = $1 AND state = 'live' \
         RETURNING lease_owner IS NOT NULL",
};

impl Store {
    /// Keeps an event and plants the job that looks into it, in one commit; false if it was known (S1.13).
    pub async fn keep_gateway_event(&self, told: &Told) -> Result<bool, StoreError> {
        const INSERT: &str = "INSERT INTO gateway_events (account, event_id, livemode, type, payment_id, operation, \
             refund_id, charge, topic, body, received_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
        let now = self.clock.now(told.livemode);
        let mut tx = self.begin().await?;
        let fresh = on!(&mut tx, |tx, _pick| {
            sqlx::query(INSERT)
                .bind(&told.account)
                .bind(&told.event)
                .bind(told.livemode)
                .bind(&told.kind)
                .bind(told.payment.map(|payment| payment.to_string()))
                .bind(&told.operation)
                .bind(told.refund.map(|refund| refund.to_string()))
                .bind(&told.charge)
                .bind(&told.topic)
                .bind(&told.body)
                .bind(At(now))
                .execute(&mut **tx)
                .await?
                .rows_affected()
        }) > 0;
        if fresh && (told.payment.is_some() || told.charge.is_some()) {
            let job = GatewayEvent { account: told.account.clone(), event: told.event.clone() };
            let row = JobRow::new(&self.clock, told.livemode, &Job::GatewayEvent(job), now)
                .with_account(&told.account);
            tx.insert_jobs(&[row]).await?;
        }
        tx.commit().await?;
        if fresh {
            self.enqueued().notify_waiters();
        }
        Ok(fresh)
    }

    /// The event of that id.
    pub async fn find_gateway_event(&self, account: &str, event: &str) -> Result<Option<Told>, StoreError> {
        const TEXT: &str = "SELECT livemode, type, payment_id, operation, refund_id, charge, topic, body FROM \
             gateway_events WHERE account = $1 AND event_id = $2";
        type Row = (
            bool,
            String,
            Option<String>,
            Option<String>,
            Option<String>,
            Option<String>,
            Option<String>,
            String,
        );
        let found: Option<Row> = on!(&self.db, |db, _pick| {
            sqlx::query_as(TEXT).bind(account).bind(event).fetch_optional(db).await?
        });
        let Some((livemode, kind, payment, operation, refund, charge, topic, body)) = found else {
            return Ok(None);
        };
        let corrupt = |column| StoreError::corrupt("gateway_events", column, event);
        let payment = payment.map(|id| id.parse().map_err(|_| corrupt("payment_id"))).transpose()?;
        let refund = refund.map(|id| id.parse().map_err(|_| corrupt("refund_id"))).transpose()?;
        let (account, event) = (account.to_owned(), event.to_owned());
        Ok(Some(Told { account, event, livemode, kind, payment, operation, refund, charge, topic, body }))
    }

    /// Has a question asked now rather than at its time.
    pub async fn hurry(&self, job: &Job, at: Time) -> Result<Hurried, StoreError> {
        let dedupe = job.dedupe();
        let leased: Option<bool> = on!(&self.writer, |db, pick| {
            sqlx::query_scalar(pick(HURRY)).bind(dedupe).bind(At(at)).fetch_optional(db).await?
        });
        Ok(match leased {
            Some(true) => Hurried::InHand,
            Some(false) => {
                self.enqueued().notify_waiters();
                Hurried::Due
            }
            None => Hurried::Missing,
        })
    }
}

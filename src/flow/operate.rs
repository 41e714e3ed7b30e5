//! What people do to payments, once under a key of theirs: another attempt now, or the first one before its time.

use super::{FlowError, Flows, payments::check_text};
use crate::{
    domain::payment::{Event, Payment},
    store::{
        KeyHolder,
        change::{CommitError, Key, Subject, Wish},
    },
};
use dunlin_jobs::PaymentId;

impl Flows {
    /// Makes the next attempt due now, once under its key; says whether it was the first time.
    pub async fn retry_payment(
        &self,
        by: &KeyHolder,
        id: PaymentId,
        reason: Option<String>,
        key: Key,
    ) -> Result<(Payment, bool), FlowError> {
        match self.retry(by, id, reason, key.clone()).await {
            Ok(wished) => {
                tracing::info!(payment.id = %id, key.id = %by.key, "{id} is to be tried again now");
                Ok(wished)
            }
            Err(error) => self.recall_wish(by.owner, &key, error.with(id)).await,
        }
    }

    async fn retry(
        &self,
        by: &KeyHolder,
        id: PaymentId,
        reason: Option<String>,
        key: Key,
    ) -> Result<(Payment, bool), FlowError> {
        check_text("reason", reason.as_deref())?;
        let payment = self.load_payment(by.owner, id).await?;
        self.account(&payment)?;
        Ok(self.wish(by, &payment, Event::Retry { reason }, key).await?)
    }

    /// Makes the first attempt due now of a payment that waits for its time or for this, once under its key.
    pub async fn process_payment(
        &self,
        by: &KeyHolder,
        id: PaymentId,
        key: Key,
    ) -> Result<(Payment, bool), FlowError> {
        match self.process(by, id, key.clone()).await {
            Ok(wished) => {
                tracing::info!(payment.id = %id, key.id = %by.key, "{id} is to be charged now");
                Ok(wished)
            }
            Err(error) => self.recall_wish(by.owner, &key, error).await,
        }
    }

    async fn process(&self, by: &KeyHolder, id: PaymentId, key: Key) -> Result<(Payment, bool), FlowError> {
        let payment = self.load_payment(by.owner, id).await?;
        self.account(&payment)?;
        match self.wish(by, &payment, Event::Process, key).await {
            Ok(wished) => Ok(wished),
            Err(CommitError::Refused(_)) => {
                let status = self.load_payment(by.owner, id).await?.status;
                let detail =
                    format!("the payment is {}: only one that is pending can be begun", status.name());
                Err(FlowError::Conflict { code: "payment_not_processable", detail, payment: Some(id) })
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn wish(
        &self,
        by: &KeyHolder,
        payment: &Payment,
        event: Event,
        key: Key,
    ) -> Result<(Payment, bool), CommitError> {
        let wish = Wish {
            payment: payment.id,
            tenant: payment.tenant,
            livemode: payment.livemode,
            event,
            key,
            asked_at: self.now(payment),
        };
        let change = self.change(by, Subject::Wish(Box::new(wish)));
        let committed = self.store.offer(change).await?;
        let payment = committed.payment.ok_or(CommitError::NotFound)?;
        Ok((payment, committed.fresh))
    }
}

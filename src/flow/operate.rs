//! What people do to payments: another attempt now, under a key and with a reason that history keeps.

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
        check_text("reason", reason.as_deref())?;
        let payment = self.load_payment(by.owner, id).await?;
        let wish = Wish {
            payment: id,
            tenant: payment.tenant,
            livemode: payment.livemode,
            event: Event::Retry { reason },
            key,
            asked_at: self.now(&payment),
        };
        let change = self.change(by.key.to_string(), Subject::Wish(Box::new(wish)));
        match self.store.offer(change).await {
            Ok(committed) => {
                let payment = committed.payment.ok_or(FlowError::NotFound("payment"))?;
                tracing::info!(payment.id = %id, key.id = %by.key, "{id} is to be tried again now");
                Ok((payment, committed.fresh))
            }
            Err(CommitError::NotRetriable(why)) => Err(FlowError::Conflict {
                code: "payment_not_retriable",
                detail: why.to_string(),
                payment: Some(id),
            }),
            Err(error) => Err(error.into()),
        }
    }
}

//! Retries: another refund in the place of one that failed.

use super::{Cause, NotRefundable, Order, Refund, RefundStatus};
use crate::domain::{clock::Time, payment::Payment};
use dunlin_jobs::RefundId;

/// Why a refund cannot be tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRetriable {
    #[error("the refund is {0}: only one that has failed can be tried again")]
    NotFailed(&'static str),
    #[error("it was tried again already, as {0}")]
    Retried(RefundId),
    #[error(transparent)]
    NotRefundable(#[from] NotRefundable),
}

impl Payment {
    /// Another refund like one that failed, among all refunds of the payment.
    pub fn retry_refund(
        &self,
        failed: &Refund,
        known: &[Refund],
        order: Order,
        now: Time,
    ) -> Result<Refund, NotRetriable> {
        if failed.status != RefundStatus::Failed {
            return Err(NotRetriable::NotFailed(failed.status.name()));
        }
        if let Some(again) = known.iter().find(|refund| refund.retry_of == Some(failed.id)) {
            return Err(NotRetriable::Retried(again.id));
        }
        let reason = order.reason.or_else(|| failed.reason.clone());
        let refund = match failed.cause {
            Cause::Requested => {
                let amount = Some(failed.money.minor());
                let metadata = failed.metadata.clone();
                self.refund(Order { id: order.id, amount, reason, metadata }, now)?
            }
            Cause::Duplicate => {
                let again = self.return_again(order.id, failed, now);
                self.covers(&again)?;
                Refund { reason, ..again }
            }
        };
        Ok(Refund { retry_of: Some(failed.id), ..refund })
    }
}

impl Refund {
    /// A failed refund once another one stands in its place: nobody has to look at it any more.
    #[must_use]
    pub fn retried(&self, now: Time) -> Self {
        Self { review_reason: None, version: self.version + 1, updated_at: now, ..self.clone() }
    }
}

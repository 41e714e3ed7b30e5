//! Refunds: taking orders for them in, and telling how they stand.

use super::{FlowError, Flows, payments};
use crate::{
    domain::refund::{NotRefundable, NotRetriable, Order, Refund, RefundStatus},
    failpoint::Point,
    store::{
        KeyHolder, Owner, RefundFilter,
        change::{Actor, Key, RefundCreate, Subject},
    },
};
use dunlin_jobs::{Money, PaymentId, RefundId};
use std::collections::BTreeMap;

/// What a caller asks for, its shape checked, its meaning not.
#[derive(Debug, Clone)]
pub struct Request {
    /// In minor units of the payment's currency; what is left if none is named.
    pub amount: Option<i64>,
    pub reason: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub key: Key,
}

impl Flows {
    /// Takes in a refund: its key, its row, its job and its event in one commit. True if it is new.
    pub async fn create_refund(
        &self,
        owner: Owner,
        payment: PaymentId,
        request: Request,
    ) -> Result<(Refund, bool), FlowError> {
        let key = request.key.clone();
        match self.give_back(owner, payment, request).await {
            Ok(refund) => Ok(refund),
            Err(error) => self.recall_refund(owner, &key, error).await,
        }
    }

    async fn give_back(
        &self,
        owner: Owner,
        payment: PaymentId,
        request: Request,
    ) -> Result<(Refund, bool), FlowError> {
        payments::check_text("reason", request.reason.as_deref())?;
        payments::check_metadata(&request.metadata)?;
        self.check_possible(owner, payment, request.amount.filter(|amount| *amount > 0)).await?;
        let now = self.clock().now(owner.livemode);
        let order = Order {
            id: RefundId::mint(now, self.clock().random()),
            amount: request.amount,
            reason: request.reason,
            metadata: request.metadata,
        };
        let (tenant, livemode) = (owner.tenant, owner.livemode);
        let key = request.key;
        let create = RefundCreate { payment, tenant, livemode, order, retry_of: None, key, asked_at: now };
        self.take_refund("api".into(), create).await
    }

    /// Tries a failed refund again, by another one in its place. True if it is new.
    pub async fn retry_refund(
        &self,
        holder: &KeyHolder,
        failed: RefundId,
        reason: Option<String>,
        key: Key,
    ) -> Result<(Refund, bool), FlowError> {
        match self.give_back_again(holder, failed, reason, key.clone()).await {
            Ok(refund) => Ok(refund),
            Err(error) => self.recall_refund(holder.owner, &key, error).await,
        }
    }

    async fn give_back_again(
        &self,
        holder: &KeyHolder,
        failed: RefundId,
        reason: Option<String>,
        key: Key,
    ) -> Result<(Refund, bool), FlowError> {
        payments::check_text("reason", reason.as_deref())?;
        let owner = holder.owner;
        let failed = self.load_refund(owner, failed).await?;
        self.check_possible(owner, failed.payment, None).await?;
        let now = self.clock().now(owner.livemode);
        let id = RefundId::mint(now, self.clock().random());
        let create = RefundCreate {
            payment: failed.payment,
            tenant: owner.tenant,
            livemode: owner.livemode,
            order: Order { id, amount: None, reason, metadata: BTreeMap::new() },
            retry_of: Some(failed.id),
            key,
            asked_at: now,
        };
        self.take_refund(holder.into(), create).await
    }

    async fn take_refund(&self, actor: Actor, create: RefundCreate) -> Result<(Refund, bool), FlowError> {
        let committed = self.store.offer(self.change(actor, Subject::Refund(Box::new(create)))).await;
        self.store.pass(Point::Accepted).await?;
        let committed = committed?;
        let refund = committed.refund.ok_or(FlowError::NotFound("refund"))?;
        Ok((refund, committed.fresh))
    }

    /// Whether there is a gateway account to give it back, and that amount can be given back there (S1.15).
    async fn check_possible(
        &self,
        owner: Owner,
        payment: PaymentId,
        amount: Option<i64>,
    ) -> Result<(), FlowError> {
        let payment = self.load_payment(owner, payment).await?;
        let account = self.account(&payment)?;
        let Some(amount) = amount else { return Ok(()) };
        let invalid = |detail: String| FlowError::Invalid { field: "amount".to_owned(), detail };
        let money =
            Money::new(amount, payment.money.currency()).map_err(|error| invalid(error.to_string()))?;
        account.gateway.check_amount(money).map_err(invalid)
    }

    pub async fn load_refund(&self, owner: Owner, id: RefundId) -> Result<Refund, FlowError> {
        self.store.find_owned_refund(owner, id).await?.ok_or(FlowError::NotFound("refund"))
    }

    pub async fn list_refunds(&self, owner: Owner, filter: &RefundFilter) -> Result<Vec<Refund>, FlowError> {
        if let Some(payment) = filter.payment {
            self.load_payment(owner, payment).await?;
        }
        Ok(self.store.list_refunds(owner, filter).await?)
    }
}

/// Reads a page's narrowing by status.
pub fn check_status(status: &str) -> Result<(), FlowError> {
    if RefundStatus::from_name(status).is_some() {
        return Ok(());
    }
    let names = RefundStatus::ALL.map(RefundStatus::name).join(", ");
    let detail = format!("{status:?} is not a refund's status: one of {names}");
    Err(FlowError::Invalid { field: "status".to_owned(), detail })
}

/// Says why a payment's money cannot go back: the field that is wrong, or the state that forbids it.
pub(super) fn explain(why: &NotRefundable) -> FlowError {
    match why {
        NotRefundable::TooMuch { .. } | NotRefundable::NotPositive => {
            FlowError::Invalid { field: "amount".to_owned(), detail: why.to_string() }
        }
        NotRefundable::Disputed { .. } => {
            FlowError::Conflict { code: "payment_disputed", detail: why.to_string(), payment: None }
        }
        NotRefundable::NotPaid(_)
        | NotRefundable::NothingLeft
        | NotRefundable::MovedElsewhere { .. }
        | NotRefundable::NoCharge => {
            FlowError::Conflict { code: "payment_not_refundable", detail: why.to_string(), payment: None }
        }
    }
}

/// Says why a refund cannot be tried again.
pub(super) fn explain_retry(why: &NotRetriable) -> FlowError {
    match why {
        NotRetriable::NotRefundable(why @ NotRefundable::Disputed { .. }) => explain(why),
        NotRetriable::NotFailed(_) | NotRetriable::Retried(_) | NotRetriable::NotRefundable(_) => {
            FlowError::Conflict { code: "refund_not_retriable", detail: why.to_string(), payment: None }
        }
    }
}

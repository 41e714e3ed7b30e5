//! Orders: what a caller wants back, and how much of it there is to give.

use super::{Cause, Origin, Refund, RefundStatus};
use crate::domain::{
    attempt::Attempt,
    clock::Time,
    dispute::{DisputeStatus, Stage},
    payment::{Payment, Status},
};
use dunlin_jobs::{Money, RefundId};
use std::collections::BTreeMap;

/// A refund that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub id: RefundId,
    /// In minor units of the payment's currency; what is left if none is named.
    pub amount: Option<i64>,
    pub reason: Option<String>,
    pub metadata: BTreeMap<String, String>,
}

/// Why a payment's money cannot go back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRefundable {
    #[error("the payment is {0}: only one that has succeeded can be refunded")]
    NotPaid(&'static str),
    #[error("all of it has gone back, is about to, or was lost in a dispute")]
    NothingLeft,
    #[error("{left} of it can still be refunded, in minor units")]
    TooMuch { left: i64 },
    #[error("the amount must be more than 0, in minor units")]
    NotPositive,
    #[error("the gateway's charge is not on record")]
    NoCharge,
    #[error(
        "its payer disputes the charge ({dispute} is {}), and their bank decides who has the money: answer the dispute at \
         the gateway, and refund what is left when it is closed{}", status.name(),
        if status.stage() == Stage::Inquiry { "; all that is left may go back now, which ends the inquiry" } else { "" }
    )]
    Disputed { dispute: String, status: DisputeStatus },
    #[error("other hands moved its money at the gateway: {left} of it can still be refunded, in minor units")]
    MovedElsewhere { left: i64 },
}

/// What was taken from the payer, and shall go back.
struct Taken<'a> {
    cause: Cause,
    money: Money,
    charge: String,
    account: &'a str,
}

impl Payment {
    /// What can still go back, in minor units: received - refunded - about to be - lost in disputes.
    pub fn refundable(&self) -> i64 {
        let received = if self.status == Status::Succeeded { self.money.minor() } else { 0 };
        received - self.refunded - self.refunding - self.lost_in_disputes()
    }

    /// Whether a dispute of a charge lets some of it go back: all that is left of it may, while the bank only asks.
    fn allows_refund(&self, charge: &str, is_all: bool) -> Result<(), NotRefundable> {
        let open = self.open_dispute(charge);
        match open.filter(|dispute| !(is_all && dispute.status.stage() == Stage::Inquiry)) {
            Some(found) => Err(NotRefundable::Disputed { dispute: found.id.clone(), status: found.status }),
            None => Ok(()),
        }
    }

    /// Whether a refund that was taken in may still go out, by all that is known now (S1.20).
    pub fn covers(&self, refund: &Refund) -> Result<(), NotRefundable> {
        let left = self.refundable();
        let is_all = refund.cause == Cause::Duplicate || left == 0;
        self.allows_refund(&refund.charge, is_all)?;
        match refund.cause {
            Cause::Requested if left < 0 => {
                Err(NotRefundable::MovedElsewhere { left: (left + refund.money.minor()).max(0) })
            }
            Cause::Requested | Cause::Duplicate => Ok(()),
        }
    }

    /// Makes the refund that is ordered.
    pub fn refund(&self, order: Order, now: Time) -> Result<Refund, NotRefundable> {
        if self.status != Status::Succeeded {
            return Err(NotRefundable::NotPaid(self.status.name()));
        }
        let left = self.refundable();
        let minor = match order.amount {
            _ if left <= 0 => return Err(NotRefundable::NothingLeft),
            None => left,
            Some(amount) if amount <= 0 => return Err(NotRefundable::NotPositive),
            Some(amount) if amount > left => return Err(NotRefundable::TooMuch { left }),
            Some(amount) => amount,
        };
        let money = Money::new(minor, self.money.currency()).map_err(|_| NotRefundable::NotPositive)?;
        let attempt = self.attempt.as_ref().ok_or(NotRefundable::NoCharge)?;
        let charge = attempt.charge.clone().ok_or(NotRefundable::NoCharge)?;
        self.allows_refund(&charge, minor == left)?;
        let taken = Taken { cause: Cause::Requested, money, charge, account: &attempt.account };
        let refund = self.give_back(order.id, taken, now);
        Ok(Refund { reason: order.reason, metadata: order.metadata, ..refund })
    }

    /// The refund of a charge that was made twice (S1.4), if the gateway has named it.
    pub fn refund_duplicate(
        &self,
        id: RefundId,
        duplicate: &Attempt,
        money: Money,
        now: Time,
    ) -> Option<Refund> {
        let charge = duplicate.charge.clone()?;
        let taken = Taken { cause: Cause::Duplicate, money, charge, account: &duplicate.account };
        Some(self.give_back(id, taken, now))
    }

    /// The return of a charge that was made twice, once more.
    pub(super) fn return_again(&self, id: RefundId, failed: &Refund, now: Time) -> Refund {
        let (money, charge, account) = (failed.money, failed.charge.clone(), failed.account.as_str());
        self.give_back(id, Taken { cause: Cause::Duplicate, money, charge, account }, now)
    }

    fn give_back(&self, id: RefundId, taken: Taken<'_>, now: Time) -> Refund {
        let Taken { cause, money, charge, account } = taken;
        Refund {
            id,
            payment: self.id,
            tenant: self.tenant,
            livemode: self.livemode,
            money,
            cause,
            origin: Origin::Api,
            retry_of: None,
            charge,
            account: account.to_owned(),
            reason: None,
            metadata: BTreeMap::new(),
            status: RefundStatus::Pending,
            operation: None,
            failure: None,
            review_reason: None,
            first_sent_at: None,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }
}

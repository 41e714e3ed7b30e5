//! The ledger is what was taken and what was given back, in order; nothing is ever taken out of it.

use crate::{
    charge::{Charge, ChargeState},
    object::Object,
    refund::{Refund, RefundState},
};
use std::{collections::BTreeMap, sync::Arc};

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    captures: Vec<Capture>,
    returns: Vec<Movement>,
    captured: BTreeMap<String, u64>,
    refunded: BTreeMap<String, u64>,
    disputes: usize,
    disputed: BTreeMap<String, u64>,
}

/// Money taken, once.
#[derive(Debug)]
pub(crate) struct Capture {
    pub account_tail: String,
    pub at: i64,
    pub charge: Arc<Charge>,
}

/// Money on its way to the customer, or back from there after a refund that failed.
#[derive(Debug)]
pub(crate) struct Movement {
    pub account_tail: String,
    pub at: i64,
    pub direction: Direction,
    pub refund: Arc<Refund>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Out,
    Back,
}

impl Ledger {
    /// A capture's number is its place, counted from 1.
    pub(crate) fn captures(&self) -> &[Capture] {
        &self.captures
    }

    /// A movement's number is its place, counted from 1.
    pub(crate) fn refunds(&self) -> &[Movement] {
        &self.returns
    }

    /// Minor units taken, by currency.
    pub(crate) fn captured(&self) -> &BTreeMap<String, u64> {
        &self.captured
    }

    /// Minor units given back and not returned, by currency.
    pub(crate) fn refunded(&self) -> &BTreeMap<String, u64> {
        &self.refunded
    }

    pub(crate) fn disputes(&self) -> usize {
        self.disputes
    }

    /// Minor units that banks have taken back in disputes and not returned, by currency.
    pub(crate) fn disputed(&self) -> &BTreeMap<String, u64> {
        &self.disputed
    }

    /// Notes the money that a change moved.
    pub(crate) fn note(&mut self, before: Option<&Object>, after: &Object, account_tail: &str, at: i64) {
        let account_tail = account_tail.to_owned();
        match (before, after) {
            (Some(Object::Charge(before)), Object::Charge(_)) if before.state == ChargeState::Succeeded => {}
            (_, Object::Charge(charge)) if charge.state == ChargeState::Succeeded => {
                let total = self.captured.entry(charge.intent.currency.clone()).or_default();
                *total = total.saturating_add(charge.amount);
                self.captures.push(Capture { account_tail, at, charge: Arc::clone(charge) });
            }
            (Some(Object::Refund(before)), Object::Refund(refund)) => {
                if refund.state == RefundState::Failed && before.state != RefundState::Failed {
                    let total = self.refunded.entry(refund.currency.clone()).or_default();
                    *total = total.saturating_sub(refund.amount);
                    let (direction, refund) = (Direction::Back, Arc::clone(refund));
                    self.returns.push(Movement { account_tail, at, direction, refund });
                }
            }
            (_, Object::Refund(refund)) => {
                let total = self.refunded.entry(refund.currency.clone()).or_default();
                *total = total.saturating_add(refund.amount);
                let (direction, refund) = (Direction::Out, Arc::clone(refund));
                self.returns.push(Movement { account_tail, at, direction, refund });
            }
            (before, Object::Dispute(dispute)) => {
                self.disputes = self.disputes.saturating_add(usize::from(before.is_none()));
                let held = match before {
                    Some(Object::Dispute(before)) if before.state.holds_funds() => before.amount,
                    Some(_) | None => 0,
                };
                let holds = if dispute.state.holds_funds() { dispute.amount } else { 0 };
                let total = self.disputed.entry(dispute.currency.clone()).or_default();
                *total = total.saturating_sub(held).saturating_add(holds);
            }
            (
                _,
                Object::Charge(_)
                | Object::Customer(_)
                | Object::Endpoint(_)
                | Object::Intent(_)
                | Object::Method(_)
                | Object::Setup(_)
                | Object::Warning(_),
            ) => {}
        }
    }
}

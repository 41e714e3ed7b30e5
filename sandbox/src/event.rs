//! An event tells what became of an object; which ones there are follows from the object before and after.

use crate::{
    charge::{Charge, ChargeState},
    customer::Customer,
    dispute::Dispute,
    intent::{Intent, Status},
    kept_method::KeptMethod,
    object::Object,
    refund::{Refund, RefundState},
    setup::{Setup, SetupStatus},
};
use std::sync::Arc;

#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub name: &'static str,
    pub at: i64,
    pub object: Object,
    /// As it was before, where the event tells what changed.
    pub before: Option<Object>,
    /// The idempotency key of the request that caused it.
    pub key: Option<Arc<str>>,
}

/// What happened, before it has a time.
#[derive(Debug)]
pub(crate) struct Happened {
    pub name: &'static str,
    pub object: Object,
    pub before: Option<Object>,
}

/// Every name that an endpoint may ask for.
pub(crate) const NAMES: [&str; 32] = [
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "charge.failed",
    "charge.pending",
    "charge.refunded",
    "charge.succeeded",
    "customer.created",
    "customer.deleted",
    "customer.updated",
    "payment_intent.canceled",
    "payment_intent.created",
    "payment_intent.payment_failed",
    "payment_intent.processing",
    "payment_intent.requires_action",
    "payment_intent.succeeded",
    "payment_method.attached",
    "payment_method.automatically_updated",
    "payment_method.detached",
    "payment_method.updated",
    "radar.early_fraud_warning.created",
    "refund.created",
    "refund.failed",
    "refund.updated",
    "setup_intent.canceled",
    "setup_intent.created",
    "setup_intent.requires_action",
    "setup_intent.setup_failed",
    "setup_intent.succeeded",
    "*",
];

/// What is to be told of an object, in order.
pub(crate) fn between(before: Option<&Object>, after: &Object) -> Vec<Happened> {
    let tell = |name: &'static str| Happened { name, object: after.clone(), before: None };
    match (before, after) {
        (Some(Object::Intent(before)), Object::Intent(after)) => {
            outcome(&before.status, after).map(tell).into_iter().collect()
        }
        (_, Object::Intent(intent)) => {
            let newborn = intent.newborn();
            let moved = outcome(&newborn.status, intent).map(tell);
            let created = Happened { name: "payment_intent.created", object: newborn.into(), before: None };
            std::iter::once(created).chain(moved).collect()
        }
        (Some(Object::Charge(old)), Object::Charge(new)) if new.refunded > old.refunded => {
            vec![Happened { before: before.cloned(), ..tell("charge.refunded") }]
        }
        (Some(Object::Charge(old)), Object::Charge(new)) => {
            charged(Some(old), new).map(tell).into_iter().collect()
        }
        (_, Object::Charge(new)) => charged(None, new).map(tell).into_iter().collect(),
        (Some(Object::Refund(old)), Object::Refund(new)) => {
            let name = refunded(old, new);
            name.map(|name| Happened { before: before.cloned(), ..tell(name) }).into_iter().collect()
        }
        (_, Object::Refund(_)) => vec![tell("refund.created")],
        (Some(Object::Dispute(old)), Object::Dispute(new)) => disputed(Some(old), new)
            .into_iter()
            .map(|name| Happened { before: before.cloned(), ..tell(name) })
            .collect(),
        (_, Object::Dispute(new)) => disputed(None, new).into_iter().map(tell).collect(),
        (None, Object::Warning(_)) => vec![tell("radar.early_fraud_warning.created")],
        (Some(Object::Setup(old)), Object::Setup(new)) => {
            set_up(Some(old), new).map(tell).into_iter().collect()
        }
        (_, Object::Setup(new)) => {
            std::iter::once("setup_intent.created").chain(set_up(None, new)).map(tell).collect()
        }
        (Some(Object::Customer(old)), Object::Customer(new)) => customer(old, new)
            .map(|name| Happened { before: before.cloned(), ..tell(name) })
            .into_iter()
            .collect(),
        (_, Object::Customer(_)) => vec![tell("customer.created")],
        (Some(Object::Method(old)), Object::Method(new)) => {
            let name = kept(old, new);
            name.map(|name| Happened { before: before.cloned(), ..tell(name) }).into_iter().collect()
        }
        (_, Object::Method(new)) if new.customer().is_some() => vec![tell("payment_method.attached")],
        (_, Object::Method(_) | Object::Endpoint(_) | Object::Warning(_)) => Vec::new(),
    }
}

fn outcome(before: &Status, after: &Intent) -> Option<&'static str> {
    if *before == after.status {
        return None;
    }
    match after.status {
        Status::RequiresPaymentMethod { failure: Some(_) } => Some("payment_intent.payment_failed"),
        Status::RequiresAction { .. } => Some("payment_intent.requires_action"),
        Status::Processing { .. } => Some("payment_intent.processing"),
        Status::Succeeded { .. } => Some("payment_intent.succeeded"),
        Status::Canceled { .. } => Some("payment_intent.canceled"),
        Status::RequiresPaymentMethod { failure: None } | Status::RequiresConfirmation { .. } => None,
    }
}

fn charged(before: Option<&Charge>, after: &Charge) -> Option<&'static str> {
    if before.is_some_and(|before| before.state == after.state) {
        return None;
    }
    Some(match after.state {
        ChargeState::Pending => "charge.pending",
        ChargeState::Succeeded => "charge.succeeded",
        ChargeState::Failed(_) => "charge.failed",
    })
}

fn refunded(before: &Refund, after: &Refund) -> Option<&'static str> {
    if before == after {
        return None;
    }
    match after.state {
        RefundState::Failed if before.state != RefundState::Failed => Some("refund.failed"),
        RefundState::Pending { .. } | RefundState::Succeeded { .. } | RefundState::Failed => {
            Some("refund.updated")
        }
    }
}

/// What a bank's word means, and what it does to the money.
fn disputed(before: Option<&Dispute>, after: &Dispute) -> Vec<&'static str> {
    let mut names = Vec::new();
    match before {
        None => names.push("charge.dispute.created"),
        Some(before) if before == after => {}
        Some(before) if after.state.is_closed() && !before.state.is_closed() => {
            names.push("charge.dispute.closed");
        }
        Some(_) => names.push("charge.dispute.updated"),
    }
    let held = before.is_some_and(|before| before.state.holds_funds());
    match (held, after.state.holds_funds()) {
        (false, true) => names.push("charge.dispute.funds_withdrawn"),
        (true, false) => names.push("charge.dispute.funds_reinstated"),
        (true, true) | (false, false) => {}
    }
    names
}

fn set_up(before: Option<&Setup>, after: &Setup) -> Option<&'static str> {
    if before.is_some_and(|before| before.status == after.status) {
        return None;
    }
    match after.status {
        SetupStatus::RequiresPaymentMethod { failure: Some(_) } => Some("setup_intent.setup_failed"),
        SetupStatus::RequiresAction { .. } => Some("setup_intent.requires_action"),
        SetupStatus::Succeeded { .. } => Some("setup_intent.succeeded"),
        SetupStatus::Canceled { .. } => Some("setup_intent.canceled"),
        SetupStatus::RequiresPaymentMethod { failure: None } | SetupStatus::RequiresConfirmation { .. } => {
            None
        }
    }
}

fn customer(before: &Customer, after: &Customer) -> Option<&'static str> {
    match (before == after, after.is_deleted) {
        (true, _) => None,
        (false, true) => Some("customer.deleted"),
        (false, false) => Some("customer.updated"),
    }
}

fn kept(before: &KeptMethod, after: &KeptMethod) -> Option<&'static str> {
    match (before.customer(), after.customer()) {
        _ if before == after => None,
        _ if before.renewals != after.renewals => Some("payment_method.automatically_updated"),
        (None, Some(_)) => Some("payment_method.attached"),
        (Some(_), None) => Some("payment_method.detached"),
        (None, None) | (Some(_), Some(_)) => Some("payment_method.updated"),
    }
}

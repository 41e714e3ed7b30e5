//! A view is how an object looks on Stripe's wire.

mod charge;
mod dispute;
mod event;
mod intent;
mod others;

pub(crate) use charge::{charge, refund};
pub(crate) use dispute::{dispute, warning};
pub(crate) use event::event;
pub(crate) use intent::{IntentView, decline, intent};
pub(crate) use others::{account, customer, endpoint, method, new_endpoint, setup};

use crate::object::Object;
use serde_json::Value;

pub(crate) fn object(object: &Object) -> Value {
    match object {
        Object::Charge(it) => charge(it),
        Object::Customer(it) => customer(it),
        Object::Dispute(it) => dispute(it),
        Object::Endpoint(it) => endpoint(it),
        Object::Intent(it) => serde_json::to_value(intent(it)).unwrap_or_default(),
        Object::Method(it) => method(it),
        Object::Refund(it) => refund(it),
        Object::Setup(it) => setup(it),
        Object::Warning(it) => warning(it),
    }
}

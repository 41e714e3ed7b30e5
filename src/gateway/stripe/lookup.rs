//! Lookups at Stripe: a charge by its id (docs.stripe.com/api/charges/object).

use super::{
    super::{Call, Lookup, Reply, text},
    REFERENCE, get, money, origin,
    webhook::is_id,
};
use crate::domain::payment::NamedCharge;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
struct Object {
    id: String,
    status: String,
    amount: i64,
    #[serde(default)]
    amount_captured: i64,
    currency: String,
    #[serde(default)]
    captured: bool,
    #[serde(default)]
    livemode: bool,
    #[serde(default)]
    payment_intent: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

pub(super) fn question(charge: &str) -> Option<Call> {
    is_id(charge).then(|| get(format!("/v1/charges/{charge}")))
}

pub(super) fn read(charge: &str, reply: &Reply) -> Lookup {
    let nothing = |why: &str| Lookup::Nothing(format!("HTTP {}: {why}", reply.status));
    match reply.status {
        200 => match text::read::<Object>(&reply.body) {
            Some(object) if object.id == charge => Lookup::Found(named(object)),
            Some(_) => nothing("the answer is about another charge"),
            None => nothing("the answer cannot be read"),
        },
        404 if origin::is_missing(reply) => Lookup::Missing,
        _ => nothing("the question was not answered"),
    }
}

fn named(object: Object) -> NamedCharge {
    let is_captured = object.captured && object.status == "succeeded";
    let amount = if is_captured { object.amount_captured } else { object.amount };
    NamedCharge {
        livemode: object.livemode,
        amount: money::named(amount, &object.currency),
        is_captured,
        reference: object.metadata.get(REFERENCE).cloned(),
        operation: object.payment_intent.map(|id| text::id(&id)),
    }
}

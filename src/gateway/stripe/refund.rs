//! Refunds at Stripe: by the charge that is given back, found again by our reference in their metadata.

use super::{
    super::{
        Call, Finding, Reply,
        classify::{Heard, Said},
        text,
    },
    form, get, listing, money, origin,
    read::{is_kept, unexecuted, unreadable},
};
use crate::domain::{
    attempt::ExchangeKind,
    refund::{Answer, Cause, Refund},
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Where our reference stands in a refund's metadata.
pub(super) const REFERENCE: &str = "dunlin_refund";

/// docs.stripe.com/api/refunds/object
#[derive(Debug, Deserialize)]
struct Object {
    id: String,
    status: Option<String>,
    amount: i64,
    currency: String,
    #[serde(default)]
    failure_reason: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

pub(super) fn order(refund: &Refund, key: String) -> Result<Call, String> {
    let (amount, _) = money::to_stripe(refund.money)?;
    let (reference, of) = (format!("metadata[{REFERENCE}]"), format!("metadata[{}]", super::REFERENCE));
    let mut fields = vec![
        ("charge", refund.charge.clone()),
        ("amount", amount.to_string()),
        (reference.as_str(), refund.id.to_string()),
        (of.as_str(), refund.payment.to_string()),
    ];
    if refund.cause == Cause::Duplicate {
        fields.push(("reason", "duplicate".to_owned()));
    }
    let path = "/v1/refunds".to_owned();
    Ok(Call {
        kind: ExchangeKind::Refund,
        method: "POST",
        path,
        idempotency_key: Some(key),
        body: form(&fields),
    })
}

/// Says in our words what the answer to an order says.
pub(super) fn read(reply: &Reply) -> Heard<Answer> {
    let said = match reply.status {
        200..=299 => match text::read::<Object>(&reply.body) {
            Some(object) => Said::Result(answer(&object)),
            None => unreadable(reply, "re_"),
        },
        _ => unexecuted(reply),
    };
    Heard { said, replayed: is_kept(reply) }
}

pub(super) fn question(refund: &Refund, starting_after: Option<&str>) -> Call {
    if let Some(id) = &refund.operation {
        return get(format!("/v1/refunds/{id}"));
    }
    let mut query = vec![("charge", refund.charge.clone()), ("limit", "100".to_owned())];
    query.extend(starting_after.map(|last| ("starting_after", last.to_owned())));
    get(format!("/v1/refunds?{}", form(&query)))
}

pub(super) fn find(refund: &Refund, call: &Call, reply: &Reply) -> Finding<Answer> {
    let nothing = |why: &str| Finding::Nothing(format!("HTTP {}: {why}", reply.status));
    if reply.status != 200 {
        return nothing("the question was not answered");
    }
    if refund.operation.is_some() {
        return match text::read::<Object>(&reply.body) {
            Some(object) if refund.operation != Some(text::id(&object.id)) => {
                nothing("the answer is about another refund")
            }
            Some(object) => Finding::Answered(answer(&object)),
            None => nothing("the answer cannot be read"),
        };
    }
    let Some(page) = origin::page::<Object>(reply) else {
        return nothing("the answer cannot be read");
    };
    let ours = refund.id.to_string();
    match (page.data.iter().find(|object| object.metadata.get(REFERENCE) == Some(&ours)), page.data.last()) {
        (Some(object), _) => Finding::Answered(answer(object)),
        (None, _) if !page.has_more => Finding::Absent,
        (None, None) => nothing("an empty page claims that there is more"),
        (None, Some(last)) if call.path.contains(&*last.id) => nothing("the listing does not get further"),
        (None, Some(last)) => Finding::More(question(refund, Some(&last.id))),
    }
}

fn answer(object: &Object) -> Answer {
    let outcome = listing::outcome(object.status.as_deref(), object.failure_reason.as_deref());
    let amount = Some(money::named(object.amount, &object.currency));
    Answer { operation: Some(text::id(&object.id)), amount, outcome }
}

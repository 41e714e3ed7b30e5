//! The facts of a decline, from Stripe's error and, where it was asked for, its charge
//! (docs.stripe.com/api/errors, docs.stripe.com/api/charges/object#charge_object-outcome).

use super::{
    super::{Reply, text},
    FACTS,
    read::plain,
};
use crate::domain::decline::{Assessment, CardFacts, Decline};
use serde_json::Value;

/// What an error says of a decline.
pub(super) struct Words<'a> {
    pub(super) code: Option<&'a str>,
    pub(super) network_code: Option<&'a str>,
    pub(super) advice: Option<&'a str>,
    pub(super) network_advice: Option<&'a str>,
    pub(super) message: Option<&'a str>,
    pub(super) charge: Option<&'a str>,
    /// The payment method, where the error names one.
    pub(super) method: &'a Value,
}

/// The facts that an error gives, and its own charge where the answer holds that.
pub(super) fn decline(words: &Words<'_>, charge: &Value) -> Decline {
    let mut decline = Decline {
        code: words.code.unwrap_or("card_declined").to_owned(),
        network_code: words.network_code.map(str::to_owned),
        advice: words.advice.map(str::to_owned),
        message: words.message.map(plain),
        network_advice: words.network_advice.map(Into::into),
        gateway: Some(FACTS.name.into()),
        card: None,
        outcome: None,
        decided_by: None,
    };
    add_card(&mut decline, words.method.get("card").unwrap_or(&Value::Null));
    // An intent may still name the charge of an earlier attempt.
    if words.charge.is_some_and(|charged| Some(charged) == charge.get("id").and_then(Value::as_str)) {
        add_charge(&mut decline, charge);
    }
    decline
}

/// Adds what the answer to a question about the decline's charge tells; false where it tells nothing of it.
pub(super) fn complete(decline: &mut Decline, charge: &str, reply: &Reply) -> bool {
    let Some(told) = text::read::<Value>(&reply.body).filter(|_| reply.status == 200) else { return false };
    if id_of(&told).as_deref() != Some(charge) {
        return false;
    }
    add_charge(decline, &told);
    decline.outcome.is_some()
}

/// The id of an object, whether or not it stands there whole.
pub(super) fn id_of(value: &Value) -> Option<String> {
    let id = value.as_str().or_else(|| value.get("id").and_then(Value::as_str));
    id.map(text::id)
}

fn add_charge(decline: &mut Decline, charge: &Value) {
    add_card(decline, charge.pointer("/payment_method_details/card").unwrap_or(&Value::Null));
    let Some(outcome) = charge.get("outcome").filter(|outcome| outcome.is_object()) else { return };
    decline.outcome = Some(Box::new(Assessment {
        network_status: word(outcome, "network_status"),
        kind: word(outcome, "type"),
        reason: word(outcome, "reason"),
        risk_level: word(outcome, "risk_level"),
    }));
    decline.network_code = decline.network_code.take().or_else(|| word(outcome, "network_decline_code"));
    decline.advice = decline.advice.take().or_else(|| word(outcome, "advice_code"));
    let advice = || word(outcome, "network_advice_code").map(String::into_boxed_str);
    decline.network_advice = decline.network_advice.take().or_else(advice);
}

fn add_card(decline: &mut Decline, card: &Value) {
    if !card.is_object() {
        return;
    }
    let mut known = decline.card.take().map(|card| *card).unwrap_or_default();
    for (kept, name) in [
        (&mut known.brand, "brand"),
        (&mut known.funding, "funding"),
        (&mut known.fingerprint, "fingerprint"),
        (&mut known.network, "network"),
    ] {
        *kept = word(card, name).or(kept.take());
    }
    decline.card = Some(known).filter(|known| *known != CardFacts::default()).map(Box::new);
}

fn word(from: &Value, name: &str) -> Option<String> {
    from.get(name).and_then(Value::as_str).map(str::to_owned)
}

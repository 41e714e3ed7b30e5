//! What Stripe's answers prove.

use super::{
    super::{Finding, Reading, Reply, Send, Tried},
    REFERENCE, money,
};
use crate::domain::{
    attempt::{Answer, Outcome, Rejection},
    card::looks_like_card_number,
    decline::Decline,
    payment::Payment,
};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
struct Intent {
    id: String,
    status: String,
    amount: i64,
    #[serde(default)]
    amount_received: i64,
    currency: String,
    #[serde(default)]
    livemode: bool,
    #[serde(default)]
    latest_charge: Option<String>,
    #[serde(default)]
    last_payment_error: Option<CardError>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Failed {
    pub(super) error: CardError,
}

#[derive(Debug, Deserialize)]
pub(super) struct CardError {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    decline_code: Option<String>,
    #[serde(default)]
    network_decline_code: Option<String>,
    #[serde(default)]
    advice_code: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    charge: Option<String>,
    #[serde(default)]
    payment_intent: Option<Box<Intent>>,
}

#[derive(Debug, Deserialize)]
struct List {
    data: Vec<Intent>,
    has_more: bool,
}

/// One look at a listing or an intent.
pub(super) enum Looked {
    Found(Finding),
    /// Not on this page; the id that the next one starts after.
    More(String),
}

/// Sorts the answer to a create or a confirm by what it proves (S1.8).
pub(super) fn charge(payment: &Payment, send: Send, reply: &Reply) -> Reading {
    let error = serde_json::from_slice::<Failed>(&reply.body).ok().map(|failed| failed.error);
    match reply.status {
        200..=299 => match serde_json::from_slice::<Intent>(&reply.body) {
            Ok(intent) => confirmed(payment, &intent),
            Err(_) => Reading::Unknown(format!("HTTP {}: the answer cannot be read", reply.status)),
        },
        402 => match error {
            Some(error) if error.kind == "card_error" => Reading::Answered(declined(payment, &error)),
            _ => Reading::Unknown("HTTP 402: a decline that cannot be read".to_owned()),
        },
        _ => unexecuted(error.as_ref(), send, reply),
    }
}

/// What an answer proves that is neither a success nor a decline (S1.8).
pub(super) fn unexecuted<A>(error: Option<&CardError>, send: Send, reply: &Reply) -> Reading<A> {
    let code = error.and_then(|error| error.code.as_deref());
    let say = |what: &str| {
        let message = error.and_then(|error| error.message.as_deref()).unwrap_or(what);
        format!("HTTP {}: {message}", reply.status)
    };
    match (reply.status, send) {
        (401 | 403, Send::First) => Reading::Rejected(Rejection::Credentials(say("the key was refused"))),
        // A limiter's 429 stands before execution; a lock's does not.
        (429, Send::First) if code != Some("lock_timeout") => Reading::NotSent(say("too many requests")),
        (400 | 404 | 422, _) if is_about_another_call(error) => {
            Reading::Unknown(say("the answer is not about this call"))
        }
        // A refusal that the key did not keep is not about the first send: the key may be another account's.
        (400 | 404 | 422, Send::Again) if !reply.headers.contains_key("idempotent-replayed") => {
            Reading::Unknown(say("the request was refused this time"))
        }
        (400 | 404 | 422, _) => Reading::Rejected(Rejection::Invalid(say("the request was refused"))),
        // 409, 429, 5xx, redirects, and a resend's 401 and 403 say nothing about the first send.
        (_, Send::First | Send::Again) => Reading::Unknown(say("no result")),
    }
}

/// A key that was used with other parameters, or an intent that stands elsewhere than expected: the attempt's
/// own result is still out there.
fn is_about_another_call(error: Option<&CardError>) -> bool {
    error.is_none_or(|error| {
        error.kind == "idempotency_error" || error.code.as_deref() == Some("payment_intent_unexpected_state")
    })
}

fn confirmed(payment: &Payment, intent: &Intent) -> Reading {
    if intent.livemode != payment.livemode {
        return Reading::Unknown(format!("the answer for {} is of the other environment", payment.id));
    }
    match intent.status.as_str() {
        "succeeded" => Reading::Answered(answer(intent, Outcome::Succeeded)),
        "processing" => Reading::Answered(answer(intent, Outcome::Pending)),
        "requires_action" => Reading::Answered(answer(intent, Outcome::RequiresAction)),
        "requires_payment_method" => match decline_of(intent) {
            Some(decline) => Reading::Answered(answer(intent, Outcome::Declined(decline))),
            None => Reading::Unknown(format!("the intent of {} was not confirmed", payment.id)),
        },
        other => Reading::Unknown(format!("the intent of {} is {other}", payment.id)),
    }
}

/// Looks for the attempt in an intent or in a page of a listing.
pub(super) fn query(tried: Tried<'_>, reply: &Reply) -> Looked {
    let nothing = |why: &str| Looked::Found(Finding::Nothing(format!("HTTP {}: {why}", reply.status)));
    if reply.status != 200 {
        return nothing("the question was not answered");
    }
    if tried.payment.operation.is_some() {
        return match serde_json::from_slice::<Intent>(&reply.body) {
            Ok(intent) => Looked::Found(found(tried, &intent)),
            Err(_) => nothing("the answer cannot be read"),
        };
    }
    let Ok(page) = serde_json::from_slice::<List>(&reply.body) else {
        return nothing("the answer cannot be read");
    };
    let ours = tried.payment.id.to_string();
    match page.data.iter().find(|candidate| candidate.metadata.get(REFERENCE) == Some(&ours)) {
        Some(intent) => Looked::Found(found(tried, intent)),
        None if !page.has_more => Looked::Found(Finding::Absent),
        None => match page.data.last() {
            Some(last) => Looked::More(last.id.clone()),
            None => nothing("an empty page claims that there is more"),
        },
    }
}

fn found(tried: Tried<'_>, intent: &Intent) -> Finding {
    if intent.livemode != tried.payment.livemode {
        return Finding::Nothing("the answer is of the other environment".to_owned());
    }
    match intent.status.as_str() {
        "succeeded" => Finding::Answered(answer(intent, Outcome::Succeeded)),
        "processing" => Finding::Answered(answer(intent, Outcome::Pending)),
        "requires_action" => Finding::Answered(answer(intent, Outcome::RequiresAction)),
        "canceled" => Finding::Canceled,
        "requires_payment_method" => match decline_of(intent) {
            // A failure that the attempt before left there is not this one's.
            Some(_) if tried.n > 1 && intent.latest_charge.as_deref() == tried.earlier_charge => {
                Finding::Absent
            }
            Some(decline) => Finding::Answered(answer(intent, Outcome::Declined(decline))),
            None => Finding::Absent,
        },
        "requires_confirmation" => Finding::Absent,
        other => Finding::Nothing(format!("the intent is {other}")),
    }
}

fn answer(intent: &Intent, outcome: Outcome) -> Answer {
    let amount = if outcome == Outcome::Succeeded { intent.amount_received } else { intent.amount };
    Answer {
        operation: Some(intent.id.clone()),
        charge: intent.latest_charge.clone(),
        amount: Some(money::named(amount, &intent.currency)),
        outcome,
    }
}

fn declined(payment: &Payment, error: &CardError) -> Answer {
    let intent = error.payment_intent.as_deref();
    // An intent that is kept from an earlier attempt still names that one's charge (S1.17).
    let latest =
        || intent.filter(|_| payment.operation.is_none()).and_then(|intent| intent.latest_charge.clone());
    Answer {
        operation: intent.map(|intent| intent.id.clone()),
        charge: error.charge.clone().or_else(latest),
        amount: intent.map(|intent| money::named(intent.amount, &intent.currency)),
        outcome: Outcome::Declined(decline(error)),
    }
}

/// A gateway's words, short, on one line, and without what must not be kept.
pub(super) fn plain(message: &str) -> String {
    if looks_like_card_number(message) {
        return "(left out: it looks like a card number)".to_owned();
    }
    message.chars().filter(|character| !character.is_control()).take(500).collect()
}

fn decline_of(intent: &Intent) -> Option<Decline> {
    intent.last_payment_error.as_ref().map(decline)
}

fn decline(error: &CardError) -> Decline {
    let code = error.decline_code.as_ref().or(error.code.as_ref());
    Decline {
        code: code.cloned().unwrap_or_else(|| "card_declined".to_owned()),
        network_code: error.network_decline_code.clone(),
        advice: error.advice_code.clone(),
        message: error.message.as_deref().map(plain),
    }
}

/// Ids, statuses and codes.
pub(super) fn redact(reply: &Reply) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(&reply.body).ok()?;
    let pick = |from: &serde_json::Value, names: &[&str]| -> serde_json::Map<String, serde_json::Value> {
        let kept = names.iter().filter_map(|name| Some(((*name).to_owned(), from.get(*name)?.clone())));
        kept.filter(|(_, value)| !value.is_null() && !value.is_object() && !value.is_array()).collect()
    };
    let mut kept = pick(
        &body,
        &["id", "object", "status", "amount", "amount_received", "currency", "latest_charge", "has_more"],
    );
    if let Some(error) = body.get("error") {
        let names =
            ["type", "code", "decline_code", "network_decline_code", "advice_code", "charge", "param"];
        kept.insert("error".to_owned(), pick(error, &names).into());
    }
    if let Some(request) = reply.headers.get("request-id") {
        kept.insert("request_id".to_owned(), request.clone().into());
    }
    if reply.headers.contains_key("idempotent-replayed") {
        kept.insert("replayed".to_owned(), true.into());
    }
    serde_json::to_string(&kept).ok()
}

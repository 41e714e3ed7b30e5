//! What Stripe's answers prove.

use super::{
    super::{
        Cancellation, Finding, Reply, Tried, Wanted,
        classify::{Heard, Said},
        text,
    },
    REFERENCE, SKEW, facts, money, origin,
    webhook::is_id,
};
use crate::domain::{
    attempt::{Answer, AttemptStatus, Outcome},
    card::looks_like_card_number,
    decline::Decline,
    payment::Payment,
    rejection::Refusal,
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Deserialize)]
struct Intent {
    id: String,
    status: String,
    #[serde(default)]
    created: i64,
    amount: i64,
    #[serde(default)]
    amount_received: i64,
    currency: String,
    #[serde(default)]
    livemode: bool,
    /// An id, or the charge itself where that was asked for.
    #[serde(default)]
    latest_charge: Value,
    /// Of many shapes, most of them for Stripe's own script: an unknown one must not make the intent unreadable.
    #[serde(default)]
    next_action: Value,
    #[serde(default)]
    last_payment_error: Option<CardError>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

impl<'a> From<&'a CardError> for facts::Words<'a> {
    fn from(error: &'a CardError) -> Self {
        Self {
            code: error.decline_code.as_deref().or(error.code.as_deref()),
            network_code: error.network_decline_code.as_deref(),
            advice: error.advice_code.as_deref(),
            network_advice: error.network_advice_code.as_deref(),
            message: error.message.as_deref(),
            charge: error.charge.as_deref(),
            method: &error.payment_method,
        }
    }
}

impl Intent {
    fn charge(&self) -> Option<String> {
        facts::id_of(&self.latest_charge)
    }

    /// Whether it has the payer's money, or will.
    fn has_taken(&self) -> bool {
        matches!(self.status.as_str(), "succeeded" | "processing")
    }

    /// Off session a demand for authentication makes no charge: its failure is not that of the charge before.
    fn is_uncharged(&self) -> bool {
        let error = self.last_payment_error.as_ref();
        error.is_some_and(|error| error.charge.is_none() && error.code.as_deref() == Some(UNCHARGED))
    }
}

#[derive(Debug, Deserialize)]
struct Failed {
    error: CardError,
}

#[derive(Debug, Clone, Deserialize)]
struct CardError {
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
    network_advice_code: Option<String>,
    /// The method that was declined, of many shapes.
    #[serde(default)]
    payment_method: Value,
    #[serde(default)]
    param: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    charge: Option<String>,
    #[serde(default)]
    payment_intent: Option<Box<Intent>>,
}

/// One look at a listing or an intent.
pub(super) enum Looked {
    Found(Finding),
    /// Not on this page; the id that the next one starts after.
    More(String),
}

/// Says in our words what an answer to a create or a confirm says.
pub(super) fn charge(payment: &Payment, reply: &Reply) -> Heard<Answer> {
    let error = error_of(reply);
    let said = match reply.status {
        200..=299 => match text::read::<Intent>(&reply.body) {
            Some(intent) => confirmed(payment, &intent),
            None => unreadable(reply, "pi_"),
        },
        402 => match error.as_ref().filter(|error| error.kind == "card_error") {
            Some(error) => Said::Result(declined(payment, error)),
            None => Said::Nothing("HTTP 402: a decline that cannot be read".to_owned()),
        },
        400 => paid_before(payment, error.as_ref()).unwrap_or_else(|| unexecuted(reply)),
        _ => unexecuted(reply),
    };
    Heard { said, replayed: is_kept(reply) }
}

/// A success that is not as it should be. Where it names what was made, that is there and can be asked after.
pub(super) fn unreadable<A>(reply: &Reply, prefix: &str) -> Said<A> {
    #[derive(Deserialize)]
    struct Named {
        id: String,
    }
    let why = format!("HTTP {}: the answer cannot be read", reply.status);
    let named = text::read::<Named>(&reply.body).map(|named| named.id);
    match named.filter(|id| id.starts_with(prefix) && is_id(id)) {
        Some(operation) => Said::Unreadable { operation, why },
        None => Said::Nothing(why),
    }
}

/// What an answer says that is neither a result nor a decline.
pub(super) fn unexecuted<A>(reply: &Reply) -> Said<A> {
    let error = error_of(reply);
    let code = error.as_ref().and_then(|error| error.code.as_deref());
    let kind = error.as_ref().map(|error| error.kind.as_str());
    let is_own = kind.is_some_and(|kind| origin::is_refusal(reply.status, kind));
    let say = |what: &str| say(reply.status, error.as_ref(), what);
    match reply.status {
        401 | 403 if is_own => Said::Credentials(say("the key was refused")),
        // A lock's 429 comes after the limiter, out of the execution.
        429 if code == Some("lock_timeout") => Said::Nothing(say("another request holds the object")),
        429 if is_own => Said::Limited(say("too many requests")),
        400 | 404 | 422 if kind == Some("idempotency_error") => {
            Said::Mismatch(say("the key was used for another request"))
        }
        // An intent that stands elsewhere than expected: the attempt's own result is still out there.
        400 | 404 | 422 if !is_own || code == Some(UNEXPECTED_STATE) => {
            Said::Nothing(say("the answer is not about this call"))
        }
        400 | 404 | 422 => Said::Refused(Refusal {
            code: code.map(short),
            param: error.as_ref().and_then(|error| error.param.as_deref()).map(short),
            message: say("the request was refused"),
        }),
        500..=599 => Said::Failed(say("no result")),
        // What stands before Stripe may have passed the request on and answered by itself.
        401 | 403 | 429 => Said::Nothing(say("the answer is not Stripe's own")),
        // 409 and redirects say nothing about the first send.
        _ => Said::Nothing(say("no result")),
    }
}

/// The longest address that a customer is sent to.
const MAX_ADDRESS: usize = 4096;

/// The code of a decline that leaves no charge.
const UNCHARGED: &str = "authentication_required";

/// The code of a refusal because the intent has a status that does not take the call.
const UNEXPECTED_STATE: &str = "payment_intent_unexpected_state";

pub(super) fn is_replayed(reply: &Reply) -> bool {
    reply.headers.contains_key("idempotent-replayed")
}

/// Whether Stripe keeps the answer under the key: it says so of one that it has given before, and of a failure by telling
/// that sending it again is of no use (docs.stripe.com/error-low-level).
pub(super) fn is_kept(reply: &Reply) -> bool {
    let is_final = reply.headers.get("stripe-should-retry").is_some_and(|retry| retry == "false");
    is_replayed(reply) || (reply.status >= 500 && is_final)
}

fn error_of(reply: &Reply) -> Option<CardError> {
    text::read::<Failed>(&reply.body).map(|failed| failed.error)
}

fn say(status: u16, error: Option<&CardError>, what: &str) -> String {
    let message = error.and_then(|error| error.message.as_deref()).map(plain);
    format!("HTTP {status}: {}", message.as_deref().unwrap_or(what))
}

/// An intent that cannot be confirmed since it has succeeded: whoever paid it, the payment is paid (S1.21).
fn paid_before(payment: &Payment, error: Option<&CardError>) -> Option<Said<Answer>> {
    let error = error.filter(|error| error.code.as_deref() == Some(UNEXPECTED_STATE))?;
    let intent = error.payment_intent.as_deref().filter(|intent| intent.status == "succeeded")?;
    let is_ours = Some(&intent.id) == payment.operation.as_ref() && intent.livemode == payment.livemode;
    is_ours.then(|| Said::Result(answer(intent, Outcome::Succeeded)))
}

fn confirmed(payment: &Payment, intent: &Intent) -> Said<Answer> {
    if intent.livemode != payment.livemode {
        return Said::Nothing(format!("the answer for {} is of the other environment", payment.id));
    }
    match intent.status.as_str() {
        "succeeded" => Said::Result(answer(intent, Outcome::Succeeded)),
        "processing" => Said::Result(answer(intent, Outcome::Pending)),
        "requires_action" => Said::Result(answer(intent, acting(intent))),
        "requires_payment_method" => match decline_of(intent) {
            Some(decline) => {
                let own = intent.last_payment_error.as_ref().and_then(|error| error.charge.as_deref());
                let latest = || intent.charge().filter(|_| payment.operation.is_none());
                let charge = own.map(text::id).or_else(latest);
                Said::Result(Answer { charge, ..answer(intent, Outcome::Declined(decline)) })
            }
            None => Said::Nothing(format!("the intent of {} was not confirmed", payment.id)),
        },
        other => Said::Unreadable {
            operation: text::id(&intent.id),
            why: format!("the intent of {} is {other}", payment.id),
        },
    }
}

/// What became of an intent that was to be canceled. A refusal names the intent as it stands; one that the key
/// has kept names it as it stood, of which only an end can still be true.
pub(super) fn cancel(payment: &Payment, reply: &Reply) -> Cancellation {
    let error = error_of(reply);
    let refused = error.as_ref().is_some_and(|error| error.code.as_deref() == Some(UNEXPECTED_STATE));
    let intent = match reply.status {
        200 => text::read::<Intent>(&reply.body),
        400 if refused => error.as_ref().and_then(|error| error.payment_intent.as_deref().cloned()),
        _ => None,
    };
    let ours = intent.filter(|intent| {
        Some(&intent.id) == payment.operation.as_ref() && intent.livemode == payment.livemode
    });
    let unknown = |what: &str| {
        let why = say(reply.status, error.as_ref(), what);
        if is_replayed(reply) { Cancellation::StoredError(why) } else { Cancellation::Unknown(why) }
    };
    let Some(intent) = ours else { return unknown("the cancellation was not confirmed") };
    match intent.status.as_str() {
        "canceled" => Cancellation::Canceled,
        "succeeded" => Cancellation::Answered(answer(&intent, Outcome::Succeeded)),
        "processing" if !is_replayed(reply) => Cancellation::Answered(answer(&intent, Outcome::Pending)),
        _ => unknown("the cancellation was refused"),
    }
}

/// Looks for the attempt in an intent or in a page of a listing.
pub(super) fn query(tried: Tried<'_>, reply: &Reply) -> Looked {
    let nothing = |why: &str| Looked::Found(Finding::Nothing(format!("HTTP {}: {why}", reply.status)));
    if reply.status != 200 {
        return nothing("the question was not answered");
    }
    let ours = tried.payment.id.to_string();
    if tried.payment.operation.is_some() {
        return match text::read::<Intent>(&reply.body) {
            Some(intent) if tried.payment.operation != Some(text::id(&intent.id)) => {
                nothing("the answer is about another intent")
            }
            Some(intent) if tried.must_bear_reference && intent.metadata.get(REFERENCE) != Some(&ours) => {
                nothing("the intent does not bear the payment's reference")
            }
            Some(intent) => Looked::Found(found(tried, &intent)),
            None => nothing("the answer cannot be read"),
        };
    }
    let Some(page) = origin::page::<Intent>(reply) else {
        return nothing("the answer cannot be read");
    };
    // What was canceled took nothing and never will; it may be what an earlier attempt had left (S1.17).
    let is_earlier = |intent: &Intent| tried.n > 1 && intent.status == "canceled";
    let is_wanted = |intent: &&Intent| match tried.wanted {
        Wanted::Any => !is_earlier(intent),
        Wanted::Since(sent_at) => {
            let is_its_own = intent.created >= (sent_at - SKEW).timestamp();
            !is_earlier(intent) && (is_its_own || intent.has_taken())
        }
        Wanted::Beside(known) => {
            let is_known = |charge| known.contains(&charge);
            intent.status == "succeeded" && !intent.charge().is_some_and(is_known)
        }
    };
    let mut bearing = page.data.iter().filter(|intent| intent.metadata.get(REFERENCE) == Some(&ours));
    match bearing.find(is_wanted) {
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
        "requires_action" => Finding::Answered(answer(intent, acting(intent))),
        "canceled" => Finding::Canceled,
        "requires_payment_method" => match decline_of(intent) {
            // A failure that the attempt before left there is not this one's.
            Some(_)
                if tried.n > 1
                    && !was_acting(tried)
                    && !intent.is_uncharged()
                    && intent.charge().as_deref() == tried.earlier_charge =>
            {
                Finding::Absent
            }
            Some(decline) => {
                // Who fails to authenticate leaves no charge, and the intent names the one before (S1.17).
                let charge = intent.charge().filter(|charge| Some(charge.as_str()) != tried.earlier_charge);
                Finding::Answered(Answer { charge, ..answer(intent, Outcome::Declined(decline)) })
            }
            None => unconfirmed(tried),
        },
        "requires_confirmation" => unconfirmed(tried),
        other => Finding::Nothing(format!("the intent is {other}")),
    }
}

/// The first attempt makes its intent and confirms it in one call, and an answer gives its id only with a result:
/// such an intent has been confirmed, whatever it says now (S1.17).
fn unconfirmed(tried: Tried<'_>) -> Finding {
    if tried.n == 1 && tried.payment.operation.is_some() {
        return Finding::Nothing("the intent, which was confirmed, waits for a confirmation".to_owned());
    }
    Finding::Absent
}

/// Whether the customer was asked to act for this attempt: the intent had left the failure before behind, and who
/// fails to authenticate leaves one without a charge.
fn was_acting(tried: Tried<'_>) -> bool {
    let attempt = tried.payment.attempt.as_ref().filter(|attempt| attempt.n == tried.n);
    attempt.is_some_and(|attempt| attempt.status == AttemptStatus::RequiresAction)
}

fn acting(intent: &Intent) -> Outcome {
    let url = intent.next_action.pointer("/redirect_to_url/url").and_then(Value::as_str);
    Outcome::RequiresAction { url: url.filter(|url| is_address(url)).map(str::to_owned) }
}

/// Whether a browser can be sent there.
fn is_address(url: &str) -> bool {
    let known = ["https://", "http://"].iter().any(|scheme| url.starts_with(scheme));
    known && url.len() <= MAX_ADDRESS && url.bytes().all(|byte| byte.is_ascii_graphic())
}

fn answer(intent: &Intent, outcome: Outcome) -> Answer {
    let amount = if outcome == Outcome::Succeeded { intent.amount_received } else { intent.amount };
    Answer {
        operation: Some(text::id(&intent.id)),
        charge: intent.charge(),
        amount: Some(money::named(amount, &intent.currency)),
        outcome,
    }
}

fn declined(payment: &Payment, error: &CardError) -> Answer {
    let intent = error.payment_intent.as_deref();
    // An intent that is kept from an earlier attempt still names that one's charge (S1.17).
    let latest = || intent.filter(|_| payment.operation.is_none()).and_then(Intent::charge);
    Answer {
        operation: intent.map(|intent| text::id(&intent.id)),
        charge: error.charge.as_deref().map(text::id).or_else(latest),
        amount: intent.map(|intent| money::named(intent.amount, &intent.currency)),
        outcome: Outcome::Declined(facts::decline(&error.into(), &Value::Null)),
    }
}

/// A gateway's name for something.
fn short(name: &str) -> String {
    plain(name).chars().take(100).collect()
}

/// A gateway's words, short, on one line, and without what must not be kept.
pub(super) fn plain(message: &str) -> String {
    if looks_like_card_number(message) {
        return "(left out: it looks like a card number)".to_owned();
    }
    message.chars().filter(|character| !character.is_control()).take(500).collect()
}

fn decline_of(intent: &Intent) -> Option<Decline> {
    let error = intent.last_payment_error.as_ref()?;
    Some(facts::decline(&error.into(), &intent.latest_charge))
}

/// The id of the account that a key is of.
pub(super) fn identity(reply: &Reply) -> Option<String> {
    #[derive(Deserialize)]
    struct Owner {
        id: String,
    }
    let owner = text::read::<Owner>(&reply.body);
    let owner = owner.filter(|owner| reply.status == 200 && owner.id.starts_with("acct_"));
    owner.map(|owner| text::id(&owner.id))
}

/// Ids, statuses and codes.
pub(super) fn redact(reply: &Reply) -> Option<String> {
    let body: Value = text::read(&reply.body)?;
    let pick = |from: &Value, names: &[&str]| -> serde_json::Map<String, Value> {
        let kept = names.iter().filter_map(|name| Some(((*name).to_owned(), from.get(*name)?.clone())));
        kept.filter(|(_, value)| !value.is_null() && !value.is_object() && !value.is_array()).collect()
    };
    let mut kept = pick(
        &body,
        &["id", "object", "status", "amount", "amount_received", "currency", "latest_charge", "has_more"],
    );
    // Where it was asked for whole, its id is enough.
    if let Some(charge) = body.get("latest_charge").and_then(facts::id_of) {
        kept.insert("latest_charge".to_owned(), charge.into());
    }
    if let Some(error) = body.get("error") {
        let names = [
            "type",
            "code",
            "decline_code",
            "network_decline_code",
            "advice_code",
            "network_advice_code",
            "charge",
            "param",
        ];
        kept.insert("error".to_owned(), pick(error, &names).into());
    }
    if let Some(request) = reply.headers.get("request-id") {
        kept.insert("request_id".to_owned(), text::fit(request.clone()).into());
    }
    if reply.headers.contains_key("idempotent-replayed") {
        kept.insert("replayed".to_owned(), true.into());
    }
    serde_json::to_string(&kept).ok()
}

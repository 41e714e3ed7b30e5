//! A payment's story for people: how it stands, what that asks of them, and how it came there.

mod happened;
mod standing;

pub(super) use happened::heard;

use super::words::{Paint, moment, money};
use crate::domain::{clock::Time, decline::Decline, event::Capture, payment::Resolution};
use dunlin_jobs::Currency;
use serde::Deserialize;

/// All that a server tells of a payment.
#[derive(Debug, Deserialize)]
pub(super) struct Facts {
    payment: Payment,
    attempts: Vec<Attempt>,
    timeline: Vec<Entry>,
    jobs: Vec<Job>,
    refunds: Vec<Refund>,
}

#[derive(Debug, Deserialize)]
struct Payment {
    id: String,
    status: String,
    amount: i64,
    currency: Currency,
    amount_refunded: i64,
    amount_refunding: i64,
    #[serde(default)]
    dispute: Option<Dispute>,
    customer: Option<String>,
    reference: Option<String>,
    description: Option<String>,
    method: Method,
    off_session: bool,
    capture: Capture,
    gateway: String,
    attempt_count: u32,
    next_attempt_at: Option<Time>,
    failure: Option<Decline>,
    next_action: Option<NextAction>,
    review_reason: Option<String>,
    #[serde(default)]
    resolution: Option<Resolution>,
    livemode: bool,
}

#[derive(Debug, Deserialize)]
struct Method {
    #[serde(rename = "type")]
    kind: String,
    payment_method: String,
}

#[derive(Debug, Deserialize)]
struct NextAction {
    url: String,
}

#[derive(Debug, Deserialize)]
struct Attempt {
    number: u32,
    status: String,
    /// An older server does not tell.
    #[serde(default)]
    origin: String,
    gateway_charge: Option<String>,
    decline: Option<Decline>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "object", rename_all = "snake_case")]
enum Entry {
    Transition(Transition),
    Exchange(Exchange),
    /// What a later server tells beside.
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Transition {
    at: Time,
    to: String,
    attempt: u32,
    attempt_to: Option<String>,
    refund: Option<String>,
    cause: String,
    detail: String,
    actor: String,
    exchange: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Exchange {
    id: String,
    kind: String,
    resend: bool,
    at: Time,
    verdict: Option<String>,
    #[serde(default)]
    result: Option<String>,
}

/// A payer's objection.
#[derive(Debug, Deserialize)]
struct Dispute {
    id: String,
    status: String,
    amount: i64,
    currency: Currency,
    reason: String,
    due_by: Option<Time>,
}

#[derive(Debug, Deserialize)]
struct Job {
    id: String,
    kind: String,
    state: String,
    due_at: Time,
    leased: bool,
    last_error: Option<String>,
    parked_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Refund {
    id: String,
    status: String,
    amount: i64,
    currency: Currency,
    reason: Option<String>,
    failure: Option<String>,
    review_reason: Option<String>,
}

impl Facts {
    /// The story, line by line. Without the time of the payment's environment nothing is told in "3 h".
    pub(super) fn tell(&self, now: Option<Time>, paint: Paint) -> Vec<String> {
        let mut lines = self.head(paint);
        lines.push(String::new());
        lines.extend(self.standing(now));
        lines.push(String::new());
        lines.push(paint.faint("What happened (UTC)"));
        for (at, sentences) in self.happened() {
            let at = moment(at);
            let mut sentences = sentences.into_iter();
            lines.extend(sentences.next().map(|first| format!("{}  {first}", paint.faint(&at))));
            lines.extend(sentences.map(|next| format!("{:at$}  {next}", "", at = at.len())));
        }
        lines
    }

    fn head(&self, paint: Paint) -> Vec<String> {
        let Payment { id, status, customer, reference, description, method, gateway, .. } = &self.payment;
        let mode = if self.payment.livemode { "live" } else { "test" };
        let mut lines = vec![format!("{id}  {}  {}  {mode}", self.amount(), paint.status(status))];
        let presence = if self.payment.off_session { "" } else { ", the customer being there" };
        let facts = [
            ("customer", customer.clone()),
            ("reference", reference.clone()),
            ("description", description.clone()),
            ("pays by", Some(format!("{} {}, at {gateway}{presence}", method.kind, method.payment_method))),
        ];
        let told = facts.into_iter().filter_map(|(name, fact)| Some(format!("  {name:<11}  {}", fact?)));
        lines.extend(told);
        lines
    }

    fn amount(&self) -> String {
        money(self.payment.amount, self.payment.currency)
    }

    fn attempt(&self, number: u32) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.number == number)
    }
}

/// A decline in words: what the gateway said, what the network said, and the gateway's advice.
fn in_words(decline: &Decline) -> String {
    let Decline { code, network_code, network_advice, advice, message, .. } = decline;
    let aside: Vec<_> = [
        network_code.as_ref().map(|code| format!("network code {code}")),
        network_advice.as_ref().map(|advice| format!("network advice {advice}")),
        advice.as_ref().map(|advice| format!("advice {advice}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    let aside = if aside.is_empty() { String::new() } else { format!(" ({})", aside.join(", ")) };
    let message = message.as_ref().map(|message| format!(": \"{message}\"")).unwrap_or_default();
    format!("{code}{aside}{message}")
}

/// A text with a capital at its beginning and a full stop at its end.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first: String = characters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    let end = if text.ends_with(['.', '"', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", characters.as_str())
}

#[cfg(test)]
mod tests;

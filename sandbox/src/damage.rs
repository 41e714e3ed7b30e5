//! Damage and refusals as the caller meets them: what a fault makes of an answer.

use crate::{
    fault::{Damage, Fault, Refusal},
    message::{Closing, Manner, Outcome, Reply, Request},
    problem::Problem,
};
use serde_json::Value;

impl Refusal {
    pub(crate) fn outcome(self, request: &Request) -> Outcome {
        let key = request.header("idempotency-key").unwrap_or_default();
        let reply = match self {
            Self::Cut => return Outcome::Cut,
            Self::Reset => return Outcome::Reset,
            Self::Deaf(pause) => return Outcome::Closed(None, Closing { manner: Manner::Deaf, pause }),
            Self::Resetting(pause) => {
                return Outcome::Closed(None, Closing { manner: Manner::Resetting, pause });
            }
            Self::Error => failure().with("stripe-should-retry", "true"),
            Self::Unavailable => Problem::unavailable().reply(),
            Self::RateLimited => {
                Problem::rate_limited().reply().with("stripe-rate-limited-reason", "global-rate")
            }
            Self::LockTimeout => Problem::lock_timeout().reply(),
            Self::KeyInUse => Problem::key_in_use(key).reply(),
            Self::KeyReused => Problem::key_reused(key).reply(),
            Self::Revoked => Problem::revoked().reply(),
            Self::Forbidden => Problem::forbidden(
                "The provided key does not have the required permissions for this endpoint.",
            )
            .reply(),
            Self::Version => Problem::invalid("Invalid Stripe API version: it was retired.").reply(),
            Self::UnheardOf => {
                Problem::parameter("unheard_of", "request", "Nobody has heard of this.").reply()
            }
            Self::Redirect => Reply {
                status: 307,
                headers: vec![("location".to_owned(), format!("https://sandbox.invalid{}", request.path))],
                body: Vec::new(),
            },
        };
        Outcome::Reply(reply)
    }
}

impl Damage {
    /// What becomes of an outcome; a line that is cut already stays so, and a delay before is lost.
    pub(crate) fn done_to(self, outcome: Outcome, request: &Request) -> Outcome {
        match outcome {
            Outcome::Reply(reply) | Outcome::Late(reply, _) | Outcome::Drip(reply, _) => {
                self.done_to_reply(reply, request)
            }
            gone @ (Outcome::Torn(_) | Outcome::Cut | Outcome::Reset | Outcome::Closed(..)) => gone,
        }
    }

    fn done_to_reply(self, mut reply: Reply, request: &Request) -> Outcome {
        let key = request.header("idempotency-key").unwrap_or_default();
        match self {
            Self::Cut => return Outcome::Cut,
            Self::Reset => return Outcome::Reset,
            Self::Late(delay) => return Outcome::Late(reply, delay),
            Self::Torn => return Outcome::Torn(reply),
            Self::Drip(pause) => return Outcome::Drip(reply, pause),
            Self::Masked => return Outcome::Reply(failure().with("stripe-should-retry", "true")),
            Self::Unavailable => return Outcome::Reply(Problem::unavailable().reply()),
            Self::KeyInUse => return Outcome::Reply(Problem::key_in_use(key).reply()),
            Self::Garbage => {
                reply.status = 200;
                reply.body = b"<html><body>welcome</body></html>".to_vec();
            }
            Self::Truncated => reply.body.truncate(reply.body.len() / 2),
            Self::WrongCurrency => exchange_currency(&mut reply),
            Self::Nul => change_texts(&mut reply, |text| format!("{text}\u{0}")),
            Self::Endless => change_texts(&mut reply, |text| format!("{text}{}", "x".repeat(9000))),
            Self::SeenCharge => change_charges(&mut reply),
        }
        Outcome::Reply(reply)
    }
}

/// The fields whose texts a caller keeps, but for the statuses and the metadata that it could do nothing without.
const KEPT: [&str; 9] = [
    "charge",
    "code",
    "decline_code",
    "advice_code",
    "network_advice_code",
    "network_decline_code",
    "latest_charge",
    "message",
    "failure_reason",
];

fn change_texts(reply: &mut Reply, change: fn(&str) -> String) {
    change_fields(reply, &|name, text| KEPT.contains(&name).then(|| change(text)));
}

/// The charge, and the refund, that all answers name then.
const SEEN: &str = "ch_seen_before";

fn change_charges(reply: &mut Reply) {
    let is_charge = |name: &str| ["charge", "latest_charge"].contains(&name);
    let is_own =
        |name: &str, text: &str| name == "id" && ["ch_", "re_"].iter().any(|prefix| text.starts_with(prefix));
    change_fields(reply, &|name, text| (is_charge(name) || is_own(name, text)).then(|| SEEN.to_owned()));
}

fn change_fields(reply: &mut Reply, change: &dyn Fn(&str, &str) -> Option<String>) {
    let Ok(mut body) = serde_json::from_slice::<Value>(&reply.body) else { return };
    walk(&mut body, change);
    if let Ok(changed) = serde_json::to_vec(&body) {
        reply.body = changed;
    }
}

fn walk(value: &mut Value, change: &dyn Fn(&str, &str) -> Option<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str().and_then(|text| change(name, text)) {
                    Some(changed) => *field = changed.into(),
                    None => walk(field, change),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Says another currency than the books do.
fn exchange_currency(reply: &mut Reply) {
    let Ok(mut body) = serde_json::from_slice::<Value>(&reply.body) else { return };
    let Some(currency) = body.get_mut("currency") else { return };
    *currency = if *currency == "eur" { "usd".into() } else { "eur".into() };
    if let Ok(changed) = serde_json::to_vec(&body) {
        reply.body = changed;
    }
}

impl Fault {
    /// How connections are refused, where the fault is about them.
    pub(crate) fn closing(self) -> Option<Closing> {
        match self {
            Self::Instead(Refusal::Deaf(pause)) => Some(Closing { manner: Manner::Deaf, pause }),
            Self::Instead(Refusal::Resetting(pause)) => Some(Closing { manner: Manner::Resetting, pause }),
            Self::Instead(_) | Self::Within(_) | Self::After(_) => None,
        }
    }
}

/// The 500 that a fault asks for: it does not say whether anything was done.
pub(crate) fn failure() -> Reply {
    Problem::broken("An unknown error occurred.").reply()
}

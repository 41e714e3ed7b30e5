//! The wire to the bank, and what goes wrong on it and at its other end, within what a gateway may do: a request or its
//! answer is lost, refusals of every kind, a day of 429 or 401, an error that is kept under a cancel's key, listings
//! that are late or come in short pages.

use super::dice::Dice;
use crate::support::world;
use chrono::TimeDelta;
use dunlin::{
    domain::clock::{Clock, Time},
    gateway::{
        Call, Reply,
        client::{Client, SendError},
    },
};
use dunlin_sandbox::Bank;
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// How long a gateway keeps a key, and what it has answered under it.
const KEPT_FOR: TimeDelta = TimeDelta::hours(24);
/// How late its listings may be.
const LISTED_WITHIN: TimeDelta = TimeDelta::hours(2);

/// What the gateway answers to everybody, for as long as it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Fair,
    /// Its limiter turns everything away.
    Limited,
    /// It takes no key of ours.
    Unauthorized,
    /// Nothing is heard of it, whether or not it does what it is asked.
    Silent,
}

impl Weather {
    pub(super) const ALL: [Self; 5] =
        [Self::Fair, Self::Fair, Self::Limited, Self::Unauthorized, Self::Silent];
}

/// Status, type and code of refusals that are given without execution, and that no key keeps.
const REFUSALS: [(u16, &str, &str); 10] = [
    (400, "invalid_request_error", "parameter_unknown"),
    (400, "invalid_request_error", "amount_too_small"),
    (400, "invalid_request_error", "payment_method_unexpected_state"),
    (404, "invalid_request_error", "resource_missing"),
    (401, "invalid_request_error", "api_key_expired"),
    (403, "invalid_request_error", "more_permissions_required"),
    (409, "idempotency_error", "idempotency_key_in_use"),
    (429, "invalid_request_error", "lock_timeout"),
    (429, "invalid_request_error", "rate_limit"),
    (422, "invalid_request_error", "parameter_invalid_empty"),
];

#[derive(Debug, Clone)]
pub(super) struct Wire {
    dice: Dice,
    bank: Arc<Bank>,
    clock: Clock,
    weather: Arc<Mutex<Weather>>,
    /// Cancels whose key keeps an error, since when.
    broken_cancels: Arc<Mutex<BTreeMap<String, Time>>>,
}

impl Wire {
    pub(super) fn new(dice: Dice, bank: Arc<Bank>, clock: Clock) -> Self {
        let weather = Arc::new(Mutex::new(Weather::Fair));
        Self { dice, bank, clock, weather, broken_cancels: Arc::default() }
    }

    pub(super) fn client(&self) -> Client {
        let wire = self.clone();
        Client::in_process(Arc::new(move |call| std::future::ready(wire.answer(call)).boxed()))
    }

    pub(super) fn set_weather(&self, weather: Weather) {
        *self.weather.lock().unwrap() = weather;
    }

    fn answer(&self, call: &Call) -> Result<Reply, SendError> {
        match *self.weather.lock().unwrap() {
            Weather::Fair => {}
            Weather::Limited => return Ok(refusal(429, "invalid_request_error", "rate_limit")),
            Weather::Silent => {
                if self.dice.throw(2) == 0 {
                    let _ = world::answer(&self.bank, call);
                }
                return Err(SendError::Lost("nothing was heard".to_owned()));
            }
            Weather::Unauthorized => return Ok(refusal(401, "invalid_request_error", "api_key_expired")),
        }
        if let Some(kept) = self.broken_cancel(call) {
            return Ok(kept);
        }
        match self.dice.trouble(4).then(|| self.dice.throw(4)) {
            Some(0) => Err(SendError::NotSent("connection refused".to_owned())),
            Some(1) => Err(SendError::Lost("lost on the way".to_owned())),
            Some(2) => {
                let _ = world::answer(&self.bank, call);
                Err(SendError::Lost("lost on the way back".to_owned()))
            }
            Some(_) => {
                let (status, kind, code) = self.dice.pick(&REFUSALS);
                Ok(refusal(status, kind, code))
            }
            None => Ok(self.cut_short(call, world::answer(&self.bank, call)?)),
        }
    }

    /// What the key of a cancel keeps, where that is an error.
    fn broken_cancel(&self, call: &Call) -> Option<Reply> {
        let key = call.idempotency_key.as_ref().filter(|_| call.path.ends_with("/cancel"))?;
        let (mut broken, now) = (self.broken_cancels.lock().unwrap(), self.clock.now(false));
        let mut reply = refusal(500, "api_error", "");
        match broken.get(key) {
            Some(since) if now - *since < KEPT_FOR => {
                reply.headers.insert("idempotent-replayed".to_owned(), "true".to_owned());
                Some(reply)
            }
            Some(_) => None,
            None => self.dice.trouble(6).then(|| {
                broken.insert(key.clone(), now);
                reply
            }),
        }
    }

    /// A listing need not show what is young, and its pages may be shorter than was asked for.
    fn cut_short(&self, call: &Call, mut reply: Reply) -> Reply {
        let is_listing = call.method == "GET" && call.path.contains('?') && reply.status == 200;
        if !is_listing || !self.dice.trouble(3) {
            return reply;
        }
        let mut page: Value = serde_json::from_slice(&reply.body).unwrap();
        let Some(data) = page["data"].as_array_mut() else { return reply };
        let young = (self.clock.now(false) - LISTED_WITHIN).timestamp();
        data.retain(|object| object["created"].as_i64() < Some(young) || self.dice.throw(2) == 0);
        if data.len() > 1 && self.dice.throw(2) == 0 {
            let kept = 1 + self.dice.throw(data.len() - 1);
            data.truncate(kept);
            page["has_more"] = true.into();
        }
        reply.body = page.to_string().into_bytes();
        reply
    }
}

fn refusal(status: u16, kind: &str, code: &str) -> Reply {
    let error = json!({ "error": { "type": kind, "code": code, "message": "refused by the simulation" } });
    Reply { status, headers: BTreeMap::new(), body: error.to_string().into_bytes() }
}

//! A caller speaks to a bank in process, as a client of Stripe would over the wire.

use dunlin_sandbox::{Bank, Outcome, Reply, Request};
use serde_json::Value;

pub(crate) const START: i64 = 1_800_000_000;

pub(crate) fn bank() -> Bank {
    Bank::simulated(7, START)
}

pub(crate) struct Caller<'a> {
    bank: &'a Bank,
    secret: &'a str,
}

pub(crate) fn caller(bank: &Bank) -> Caller<'_> {
    Caller { bank, secret: "sk_test_first" }
}

pub(crate) fn other_caller(bank: &Bank) -> Caller<'_> {
    Caller { bank, secret: "sk_test_other" }
}

/// The parameters of a charge of 10.00 with this card.
pub(crate) fn charge(card: &str) -> String {
    format!("amount=1000&currency=usd&confirm=true&payment_method={card}")
}

impl Caller<'_> {
    pub(crate) fn send(&self, method: &str, target: &str, key: Option<&str>, body: &str) -> Outcome {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = vec![("authorization".to_owned(), format!("Bearer {}", self.secret))];
        headers.extend(key.map(|key| ("idempotency-key".to_owned(), key.to_owned())));
        let (method, path, query) = (method.to_owned(), path.to_owned(), query.to_owned());
        self.bank.handle(&Request { method, path, query, headers, body: body.as_bytes().to_vec() })
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        answer(self.send("GET", target, None, ""))
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        answer(self.send("POST", path, None, body))
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        answer(self.send("DELETE", path, None, ""))
    }

    pub(crate) fn create(&self, body: &str) -> Answer {
        self.post("/v1/payment_intents", body)
    }

    pub(crate) fn create_under(&self, key: &str, body: &str) -> Outcome {
        self.send("POST", "/v1/payment_intents", Some(key), body)
    }

    pub(crate) fn confirm(&self, id: &str, body: &str) -> Answer {
        self.post(&format!("/v1/payment_intents/{id}/confirm"), body)
    }

    pub(crate) fn retrieve(&self, id: &str) -> Answer {
        self.get(&format!("/v1/payment_intents/{id}"))
    }

    pub(crate) fn list(&self, query: &str) -> Answer {
        self.get(&format!("/v1/payment_intents?{query}"))
    }

    /// Asks the bank for a fault.
    pub(crate) fn order(&self, order: &str) -> Answer {
        self.post("/_sandbox/faults", order)
    }

    pub(crate) fn captures(&self) -> Value {
        self.get("/_sandbox/ledger").body["captures"].clone()
    }

    pub(crate) fn travel(&self, offset_seconds: i64) -> Answer {
        self.post("/_sandbox/clock", &format!("{{\"offset_seconds\": {offset_seconds}}}"))
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: Value,
    pub reply: Reply,
}

impl Answer {
    pub(crate) fn id(&self) -> String {
        self.body["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn is_replay(&self) -> bool {
        self.reply.header("idempotent-replayed") == Some("true")
    }
}

pub(crate) fn answer(outcome: Outcome) -> Answer {
    let reply = outcome.into_reply().expect("the line was cut");
    let body = serde_json::from_slice(&reply.body).unwrap();
    Answer { status: reply.status, body, reply }
}

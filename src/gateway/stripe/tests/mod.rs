//! Stripe's answers as they are on the wire, and what each of them proves.

mod declines;
mod questions;
mod sends;
mod strangers;

use super::*;
use crate::domain::{
    attempt::{Answer, Outcome},
    decline::Decline,
    payment::{Status, fixtures::pending},
};
use chrono::{DateTime, TimeDelta, Utc};
use dunlin_jobs::{PaymentId, TenantId};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn at(hours: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::hours(hours)
}

fn stripe() -> Stripe {
    Stripe::new(&AccountConfig {
        gateway: crate::gateway::GatewayName::Stripe,
        livemode: false,
        base_url: "https://api.stripe.com".to_owned(),
        secret_key: "sk_test_1".to_owned().into(),
        webhook_secret: Some("whsec_1".to_owned().into()),
        follows_test_clock: true,
    })
}

fn money(minor: i64, code: &str) -> Money {
    Money::new(minor, code.parse().unwrap()).unwrap()
}

fn payment() -> Payment {
    Payment { status: Status::Processing, version: 2, ..pending() }
}

/// The payment after its first attempt was declined.
fn second() -> Payment {
    Payment { operation: Some("pi_1".to_owned()), declines: 1, ..payment() }
}

fn reply(status: u16, body: &Value) -> Reply {
    Reply { status, headers: BTreeMap::new(), body: body.to_string().into_bytes() }
}

fn intent(status: &str, charge: Option<&str>) -> Value {
    json!({
        "id": "pi_1", "object": "payment_intent", "status": status, "amount": 1250,
        "amount_received": if status == "succeeded" { 1250 } else { 0 }, "currency": "eur",
        "latest_charge": charge, "last_payment_error": null,
        "metadata": { "dunlin_payment": payment().id.to_string() },
    })
}

fn with_error(mut intent: Value) -> Value {
    intent["last_payment_error"] = json!({
        "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
        "network_decline_code": "51", "advice_code": "try_again_later", "message": "no funds",
    });
    intent
}

fn error(kind: &str, code: &str) -> Value {
    json!({ "error": { "type": kind, "code": code, "message": "said so" } })
}

fn decline(charge: Option<&str>, intent: &Value) -> Value {
    let mut error = with_error(intent.clone())["last_payment_error"].clone();
    error["charge"] = json!(charge);
    error["payment_intent"] = intent.clone();
    json!({ "error": error })
}

fn answer(charge: Option<&str>, outcome: Outcome) -> Answer {
    Answer {
        operation: Some("pi_1".to_owned()),
        charge: charge.map(str::to_owned),
        amount: Some(money(1250, "EUR")),
        outcome,
    }
}

fn no_funds() -> Outcome {
    Outcome::Declined(Decline {
        code: "insufficient_funds".to_owned(),
        network_code: Some("51".to_owned()),
        advice: Some("try_again_later".to_owned()),
        message: Some("no funds".to_owned()),
        gateway: Some("stripe".into()),
        ..Decline::default()
    })
}

//! What a payment is made from: the body of `POST /v1/payments`, and what an envelope carries.

use crate::{
    Currency, Money, NotIdentifier, optional_moment, read_identifier,
    strict::{minor_units, optional_object, said},
};
use chrono::{DateTime, Utc};
#[cfg(feature = "schema")]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a payment is made from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(example = NewPayment::example()))]
#[serde(deny_unknown_fields)]
pub struct NewPayment {
    /// In minor units of `currency`: more than 0.
    #[serde(deserialize_with = "minor_units")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = Money::MAX_MINOR)))]
    pub amount: i64,
    /// Left out, it is the customer's own, where they are known here.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Currency"))]
    pub currency: Option<Currency>,
    /// Left out, it is the default one of a customer who is known here. Its `payment_method` may be the id of one of a
    /// customer's.
    #[serde(default, deserialize_with = "optional_object", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Method"))]
    pub method: Option<Method>,
    /// Whether the customer is away.
    // What was not said is left out of the fingerprint, as it was before it could be.
    #[serde(default = "away", skip_serializing_if = "is_true")]
    pub off_session: bool,
    /// Where a customer who is there comes back to: with `off_session: false`, and only then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = NewPayment::MAX_URL), extend("format" = "uri")))]
    pub return_url: Option<String>,
    /// Whether it is charged by itself, or only by a call of `/process`.
    #[serde(default, skip_serializing_if = "is_now")]
    pub capture: Capture,
    /// When it is charged, at most 366 days ahead; a time that has passed is now.
    #[serde(default, deserialize_with = "optional_moment", skip_serializing_if = "Option::is_none")]
    pub process_at: Option<DateTime<Utc>>,
    /// The gateway account; else that of the customer's method, or the environment's first one.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = NewPayment::MAX_REFERENCE)))]
    pub gateway: Option<String>,
    /// Your id of the customer, or the `id` of one who is known here.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = NewPayment::MAX_REFERENCE)))]
    pub customer: Option<String>,
    /// Your id of the payment.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = NewPayment::MAX_REFERENCE)))]
    pub reference: Option<String>,
    /// A text of yours.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = NewPayment::MAX_TEXT)))]
    pub description: Option<String>,
    /// Texts of yours, by names of yours.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(schema_with = "metadata_schema"))]
    pub metadata: BTreeMap<String, String>,
}

impl NewPayment {
    /// The longest text in a free field, in characters.
    pub const MAX_TEXT: usize = 500;
    /// The longest name or id, in characters.
    pub const MAX_REFERENCE: usize = 255;
    /// The longest address, in bytes.
    pub const MAX_URL: usize = 2048;
    /// How many entries `metadata` may have.
    pub const MAX_METADATA: usize = 50;
    /// How long a key of `metadata` may be, in characters.
    pub const MAX_METADATA_KEY: usize = 40;

    /// A payment of that much, with nothing else said: of a customer who is away, charged at once.
    pub fn of(money: Money) -> Self {
        Self {
            amount: money.minor(),
            currency: Some(money.currency()),
            method: None,
            off_session: true,
            return_url: None,
            capture: Capture::Now,
            process_at: None,
            gateway: None,
            customer: None,
            reference: None,
            description: None,
            metadata: BTreeMap::new(),
        }
    }

    /// Brings its identifiers into the form in which they are compared ([`read_identifier`]).
    ///
    /// # Errors
    /// Which field is wrong, and why.
    pub fn tidy(&mut self) -> Result<(), (&'static str, NotIdentifier)> {
        fn tidy(text: &mut String) -> Result<(), NotIdentifier> {
            let read = read_identifier(text)?;
            if read != *text {
                *text = read.into_owned();
            }
            Ok(())
        }
        let method = self.method.as_mut();
        let (token, owner) =
            method.map(|method| (&mut method.payment_method, &mut method.gateway_customer)).unzip();
        let fields = [
            ("gateway", self.gateway.as_mut()),
            ("customer", self.customer.as_mut()),
            ("reference", self.reference.as_mut()),
            ("method.payment_method", token),
            ("method.gateway_customer", owner.and_then(Option::as_mut)),
        ];
        for (field, text) in fields {
            text.map_or(Ok(()), tidy).map_err(|why| (field, why))?;
        }
        Ok(())
    }

    /// One that the sandbox takes, as JSON.
    #[cfg(feature = "schema")]
    pub fn example() -> serde_json::Value {
        serde_json::json!({
            "amount": 1250, "currency": "EUR", "customer": "cus_1",
            "method": { "type": "card", "payment_method": "pm_card_visa" },
        })
    }
}

/// How the customer pays: the gateway's token, never a card number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// What the token stands for.
    #[serde(rename = "type")]
    pub kind: MethodKind,
    /// The gateway's token of the instrument.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = NewPayment::MAX_REFERENCE)))]
    pub payment_method: String,
    /// The gateway's own id of the customer, where it needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = NewPayment::MAX_REFERENCE)))]
    pub gateway_customer: Option<String>,
}

impl Method {
    /// A card, by the gateway's token of it.
    pub fn card(token: impl Into<String>) -> Self {
        Self { kind: MethodKind::Card, payment_method: token.into(), gateway_customer: None }
    }
}

/// The kinds of instruments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MethodKind {
    /// A card.
    Card,
}

/// When a payment is charged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// By itself: at once, or at its time.
    #[default]
    Now,
    /// When somebody says so.
    Deferred,
}

/// What may stand in `metadata`, wherever there is one.
#[cfg(feature = "schema")]
pub fn metadata_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "description": "Texts of yours, by names of yours.",
        "maxProperties": NewPayment::MAX_METADATA,
        "propertyNames": { "minLength": 1, "maxLength": NewPayment::MAX_METADATA_KEY },
        "additionalProperties": { "type": "string", "maxLength": NewPayment::MAX_TEXT },
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_now(capture: &Capture) -> bool {
    *capture == Capture::Now
}

fn away() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_true(value: &bool) -> bool {
    *value
}

//! The envelope: what a producer that speaks no HTTP leaves for dunlin to find.

use crate::{NewPayment, strict};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// What the name of the Redis stream for envelopes ends with, after the prefix and a colon.
pub const STREAM_NAME: &str = "intake";
/// The one field of an entry of that stream.
pub const STREAM_FIELD: &str = "envelope";

/// An order to dunlin, with the name under which it is carried out once.
///
/// ```
/// use dunlin_jobs::{Envelope, Method, Money, NewPayment, Order};
///
/// let payment = NewPayment {
///     customer: Some("cus_1".to_owned()),
///     method: Some(Method::card("pm_card_visa")),
///     ..NewPayment::of(Money::parse_major("12.50", "EUR".parse()?)?)
/// };
/// let envelope = Envelope::new("invoice-2026-117", "default", false, Order::Charge(payment));
/// assert!(envelope.to_json().starts_with(r#"{"v":1,"id":"invoice-2026-117","#));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct Envelope {
    /// Your name of the order, 1 to 255 bytes of text. Under one name it is carried out once, however often it arrives;
    /// the same name with another order in it is a mistake, and becomes a dead letter.
    pub id: String,
    /// Whose order it is: the tenant's name, as `dunlin keys create --tenant` has it.
    pub tenant: String,
    /// Whether it is about real money, or about the test environment.
    pub livemode: bool,
    /// What is to be done.
    pub order: Order,
    /// The W3C trace context of whoever asks for it.
    pub traceparent: Option<String>,
}

/// What is to be done. The kinds are names that are sent, so they are for ever; more may come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// Make a payment: `"type": "charge"`, and the payment beside it.
    Charge(NewPayment),
}

impl Envelope {
    /// The version of the wire.
    pub const VERSION: u64 = 1;

    /// An envelope without a trace.
    pub fn new(id: impl Into<String>, tenant: impl Into<String>, livemode: bool, order: Order) -> Self {
        Self { id: id.into(), tenant: tenant.into(), livemode, order, traceparent: None }
    }

    /// The text that is left for dunlin.
    #[expect(clippy::missing_panics_doc, reason = "texts, numbers and flags always are JSON")]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts, numbers and flags are JSON")
    }
}

/// The envelope as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: Version,
    id: String,
    tenant: String,
    livemode: bool,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(deserialize_with = "strict::object")]
    payment: NewPayment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Charge,
}

struct Version;

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(Envelope::VERSION)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            Envelope::VERSION => Ok(Self),
            other => {
                Err(Error::custom(format_args!("version {other} of the envelope is not known here: send 1")))
            }
        }
    }
}

impl From<Envelope> for Wire {
    fn from(envelope: Envelope) -> Self {
        let Envelope { id, tenant, livemode, order: Order::Charge(payment), traceparent } = envelope;
        Self { v: Version, id, tenant, livemode, kind: Kind::Charge, payment, traceparent }
    }
}

impl From<Wire> for Envelope {
    fn from(wire: Wire) -> Self {
        let Wire { v: Version, id, tenant, livemode, kind: Kind::Charge, payment, traceparent } = wire;
        Self { id, tenant, livemode, order: Order::Charge(payment), traceparent }
    }
}

//! Typed identifiers: a prefix that says what it names, and a `UUIDv7` that sorts by time of creation.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};
use uuid::{Builder, Uuid};

/// A text that is not an id of the kind it was read as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind} id: expected {prefix}_ and 32 hexadecimal digits")]
pub struct IdError {
    kind: &'static str,
    prefix: &'static str,
    text: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes an id from a moment and 80 random bits; ids sort by that moment, to the millisecond.
            pub fn mint(at: DateTime<Utc>, random: [u8; 10]) -> Self {
                let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
                Self(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|hex| hex.len() == 32 && !hex.bytes().any(|byte| byte.is_ascii_uppercase()))
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or_else(|| IdError {
                        kind: $kind,
                        prefix: $prefix,
                        text: text.chars().take(64).collect(),
                    })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": concat!("^", $prefix, "_[0-9a-f]{32}$"),
                })
            }
        }
    )*};
}

ids! {
    /// A payment: the intent to collect one amount from one customer.
    PaymentId "pay" "payment";
    /// An attempt: one business try of a payment at one gateway.
    AttemptId "att" "attempt";
    /// A refund: money of a payment that goes back.
    RefundId "rfd" "refund";
    /// An exchange: one HTTP call made to a gateway for an attempt.
    ExchangeId "exc" "exchange";
    /// A job: one row of work.
    JobId "job" "job";
    /// An event: a fact told to the merchant.
    EventId "evt" "event";
    /// A change: one atomic step that was committed.
    ChangeId "chg" "change";
    /// A tenant: the merchant whose data this is.
    TenantId "ten" "tenant";
    /// A customer: whom a tenant charges.
    CustomerId "cus" "customer";
    /// A payment method that a customer keeps: a gateway's token under a name of our own.
    MethodId "met" "payment method";
    /// A resolution: what a person said of a payment's outcome, or proposes.
    ResolutionId "res" "resolution";
    /// An API key's row, never the key itself.
    KeyId "key" "API key";
    /// A dead letter: an envelope that could not be taken, and why.
    LetterId "dlt" "dead letter";
    /// One HTTP request, for logs and support.
    RequestId "req" "request";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(millis).unwrap()
    }

    #[test]
    fn an_id_survives_its_text() {
        let id = PaymentId::mint(at(1_700_000_000_000), [7; 10]);

        assert_eq!(id.to_string().parse::<PaymentId>(), Ok(id));
        assert!(id.to_string().starts_with("pay_"));
    }

    #[test]
    fn ids_sort_by_time_as_text_too() {
        let early = JobId::mint(at(1_700_000_000_000), [255; 10]);
        let late = JobId::mint(at(1_700_000_000_001), [0; 10]);

        assert!(early < late && early.to_string() < late.to_string());
    }

    #[test]
    fn another_kind_of_id_is_refused_by_name() {
        let job = JobId::mint(at(0), [1; 10]).to_string();

        let error = job.parse::<PaymentId>().unwrap_err();

        assert!(error.to_string().contains("is not a payment id"));
        assert!("pay_".parse::<PaymentId>().is_err());
        assert!("pay_zz".parse::<PaymentId>().is_err());
    }
}

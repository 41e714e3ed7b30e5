//! The facts of a decline, as the gateway gave them, and beside them the rule that decided on it.

use super::DecidedBy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a gateway calls a charge that it never passed on: no attempt as the networks count them (S3.3).
pub const NOT_SENT_TO_NETWORK: &str = "not_sent_to_network";

/// The facts of a decline.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decline {
    /// The gateway's code, such as `insufficient_funds`.
    pub code: String,
    /// The network's own code, such as `51`.
    #[serde(default)]
    pub network_code: Option<String>,
    /// The gateway's advice, such as `do_not_try_again`.
    #[serde(default)]
    pub advice: Option<String>,
    #[serde(default)]
    pub message: Option<String>,
    /// The network's advice, such as `03`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_advice: Option<Box<str>>,
    /// The gateway whose codes these are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Box<str>>,
    /// What is known of the card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Box<CardFacts>>,
    /// How the gateway judged the charge itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Box<Assessment>>,
    /// The rule that decided what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Box<DecidedBy>>,
}

/// What a gateway tells of a card without its number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CardFacts {
    /// Such as `visa`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand: Option<String>,
    /// `credit`, `debit`, `prepaid` or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funding: Option<String>,
    /// The gateway's name for this very card, the same for each token of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The network that the charge went over; a card may have two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

/// How a gateway judged a charge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Assessment {
    /// Such as `declined_by_network` or `not_sent_to_network`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_status: Option<String>,
    /// Such as `issuer_declined` or `blocked`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Such as `normal`, `elevated` or `highest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk_level: Option<String>,
}

impl Decline {
    /// A decline of which only the code is known.
    pub fn of(code: &str) -> Self {
        Self { code: code.to_owned(), ..Self::default() }
    }

    /// The network that the charge went over, as far as is known.
    pub fn network(&self) -> Option<&str> {
        let card = self.card.as_ref()?;
        card.network.as_deref().or(card.brand.as_deref())
    }

    pub fn network_status(&self) -> Option<&str> {
        self.outcome.as_ref()?.network_status.as_deref()
    }

    /// Whether a network counts it against the card (S3.3): what the gateway blocked by itself never came to one.
    pub fn counts_at_the_network(&self) -> bool {
        self.network_status() != Some(NOT_SENT_TO_NETWORK)
    }
}

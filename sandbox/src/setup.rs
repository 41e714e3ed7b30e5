//! A setup is Stripe's `SetupIntent`: a payment method made ready for later, without money.

use crate::intent::{Challenge, Failure, Usage};
use crate::kind::Kind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub id: String,
    pub client_secret: String,
    pub created: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<Kind>,
    pub usage: Usage,
    pub status: SetupStatus,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SetupStatus {
    RequiresPaymentMethod {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    RequiresConfirmation {
        method: String,
    },
    RequiresAction {
        method: String,
        challenge: Challenge,
    },
    Succeeded {
        method: String,
    },
    Canceled {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

impl Setup {
    pub(crate) fn has_status(&self, status: SetupStatus) -> Self {
        Self { status, ..self.clone() }
    }
}

impl SetupStatus {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod { .. } => "requires_payment_method",
            Self::RequiresConfirmation { .. } => "requires_confirmation",
            Self::RequiresAction { .. } => "requires_action",
            Self::Succeeded { .. } => "succeeded",
            Self::Canceled { .. } => "canceled",
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::RequiresPaymentMethod { .. }
            | Self::RequiresConfirmation { .. }
            | Self::RequiresAction { .. } => true,
            Self::Succeeded { .. } | Self::Canceled { .. } => false,
        }
    }

    pub(crate) fn method(&self) -> Option<&str> {
        match self {
            Self::RequiresConfirmation { method }
            | Self::RequiresAction { method, .. }
            | Self::Succeeded { method } => Some(method),
            Self::RequiresPaymentMethod { .. } | Self::Canceled { .. } => None,
        }
    }

    pub(crate) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::RequiresPaymentMethod { failure } => failure.as_ref(),
            Self::RequiresConfirmation { .. }
            | Self::RequiresAction { .. }
            | Self::Succeeded { .. }
            | Self::Canceled { .. } => None,
        }
    }

    pub(crate) fn challenge(&self) -> Option<&Challenge> {
        match self {
            Self::RequiresAction { challenge, .. } => Some(challenge),
            Self::RequiresPaymentMethod { .. }
            | Self::RequiresConfirmation { .. }
            | Self::Succeeded { .. }
            | Self::Canceled { .. } => None,
        }
    }
}

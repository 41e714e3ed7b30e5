//! An intent is one payment the caller wants: facts fixed at birth, and a status that moves.

use crate::decline::Decline;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// A snapshot; a change makes the next one, so that a stored answer keeps what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Intent {
    pub facts: Arc<Facts>,
    /// How often the intent was confirmed.
    pub attempts: u32,
    pub status: Status,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub id: String,
    pub client_secret: String,
    pub amount: u64,
    pub currency: String,
    pub created: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    pub confirmation_method: Confirmation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Confirmation {
    Automatic,
    Manual,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    RequiresPaymentMethod {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    RequiresConfirmation {
        method: String,
    },
    RequiresAction {
        method: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        return_url: Option<String>,
    },
    Succeeded {
        method: String,
        charge: String,
        received: u64,
    },
    Canceled {
        at: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
}

/// The last attempt that was declined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub decline: Decline,
    pub charge: String,
    pub method: String,
}

impl Intent {
    pub(crate) fn next(&self, attempts: u32, status: Status) -> Self {
        Self { facts: Arc::clone(&self.facts), attempts, status }
    }

    pub(crate) fn id(&self) -> &str {
        &self.facts.id
    }
}

impl Status {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod { .. } => "requires_payment_method",
            Self::RequiresConfirmation { .. } => "requires_confirmation",
            Self::RequiresAction { .. } => "requires_action",
            Self::Succeeded { .. } => "succeeded",
            Self::Canceled { .. } => "canceled",
        }
    }

    /// Whether the intent can still be confirmed or canceled.
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
            | Self::Succeeded { method, .. } => Some(method),
            Self::RequiresPaymentMethod { .. } | Self::Canceled { .. } => None,
        }
    }

    pub(crate) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::RequiresPaymentMethod { failure } | Self::Canceled { failure, .. } => failure.as_ref(),
            Self::RequiresConfirmation { .. } | Self::RequiresAction { .. } | Self::Succeeded { .. } => None,
        }
    }

    pub(crate) fn latest_charge(&self) -> Option<&str> {
        match self {
            Self::Succeeded { charge, .. } => Some(charge),
            Self::RequiresPaymentMethod { failure } | Self::Canceled { failure, .. } => {
                failure.as_ref().map(|failure| failure.charge.as_str())
            }
            Self::RequiresConfirmation { .. } | Self::RequiresAction { .. } => None,
        }
    }
}

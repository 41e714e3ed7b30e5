//! An intent is one payment the caller wants: facts, and a status that moves.

use crate::{debit::Return, decline::Decline, kind::Kind};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// A snapshot; a change makes the next one, so that a stored answer keeps what it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub facts: Arc<Facts>,
    /// How often the intent was confirmed.
    #[serde(default, skip_serializing_if = "is_zero")]
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
    /// Empty: whatever the currency allows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<Kind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup_future_usage: Option<Usage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_descriptor_suffix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Confirmation {
    Automatic,
    Manual,
}

/// What a payment method is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Usage {
    OffSession,
    OnSession,
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
        challenge: Challenge,
    },
    /// Confirmed, and not settled yet.
    Processing {
        method: String,
        charge: String,
        /// When it settles; without a time it never does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_at: Option<i64>,
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

/// Where a customer is asked, and where the answer leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Challenge {
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
    /// The idempotency key of the confirmation that led here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The last attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub cause: Cause,
    /// Nothing was charged where the customer refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<String>,
    pub method: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cause {
    Declined(Decline),
    Returned(Return),
    /// The customer refused, or was not recognised.
    Unauthenticated,
}

impl Intent {
    pub(crate) fn next(&self, attempts: u32, status: Status) -> Self {
        Self { facts: Arc::clone(&self.facts), attempts, status }
    }

    pub(crate) fn id(&self) -> &str {
        &self.facts.id
    }

    /// As it was when it was created, for an intent that was confirmed in the same breath.
    pub(crate) fn newborn(&self) -> Self {
        match self.status {
            Status::RequiresPaymentMethod { failure: None } | Status::RequiresConfirmation { .. } => {
                self.clone()
            }
            Status::RequiresPaymentMethod { failure: Some(_) }
            | Status::RequiresAction { .. }
            | Status::Processing { .. }
            | Status::Succeeded { .. }
            | Status::Canceled { .. } => self.next(0, Status::RequiresPaymentMethod { failure: None }),
        }
    }

    /// When the intent moves by itself, if ever.
    pub(crate) fn due_at(&self) -> Option<i64> {
        match self.status {
            Status::Processing { due_at, .. } => due_at,
            Status::RequiresPaymentMethod { .. }
            | Status::RequiresConfirmation { .. }
            | Status::RequiresAction { .. }
            | Status::Succeeded { .. }
            | Status::Canceled { .. } => None,
        }
    }
}

impl Status {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod { .. } => "requires_payment_method",
            Self::RequiresConfirmation { .. } => "requires_confirmation",
            Self::RequiresAction { .. } => "requires_action",
            Self::Processing { .. } => "processing",
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
            Self::Processing { .. } | Self::Succeeded { .. } | Self::Canceled { .. } => false,
        }
    }

    pub(crate) fn method(&self) -> Option<&str> {
        match self {
            Self::RequiresConfirmation { method }
            | Self::RequiresAction { method, .. }
            | Self::Processing { method, .. }
            | Self::Succeeded { method, .. } => Some(method),
            Self::RequiresPaymentMethod { .. } | Self::Canceled { .. } => None,
        }
    }

    pub(crate) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::RequiresPaymentMethod { failure } | Self::Canceled { failure, .. } => failure.as_ref(),
            Self::RequiresConfirmation { .. }
            | Self::RequiresAction { .. }
            | Self::Processing { .. }
            | Self::Succeeded { .. } => None,
        }
    }

    pub(crate) fn challenge(&self) -> Option<&Challenge> {
        match self {
            Self::RequiresAction { challenge, .. } => Some(challenge),
            Self::RequiresPaymentMethod { .. }
            | Self::RequiresConfirmation { .. }
            | Self::Processing { .. }
            | Self::Succeeded { .. }
            | Self::Canceled { .. } => None,
        }
    }

    pub(crate) fn latest_charge(&self) -> Option<&str> {
        match self {
            Self::Processing { charge, .. } | Self::Succeeded { charge, .. } => Some(charge),
            Self::RequiresPaymentMethod { failure } | Self::Canceled { failure, .. } => {
                failure.as_ref().and_then(|failure| failure.charge.as_deref())
            }
            Self::RequiresConfirmation { .. } | Self::RequiresAction { .. } => None,
        }
    }
}

impl Usage {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "off_session" => Some(Self::OffSession),
            "on_session" => Some(Self::OnSession),
            _ => None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

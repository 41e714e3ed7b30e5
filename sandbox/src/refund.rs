//! A refund gives back what a charge took, at once, later, or in vain.

use crate::{debit, kind::Kind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub id: String,
    pub charge: String,
    pub intent: String,
    pub created: i64,
    pub amount: u64,
    pub currency: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    pub state: RefundState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefundState {
    Pending {
        due_at: i64,
    },
    Succeeded {
        /// When the bank will send the money back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fails_at: Option<i64>,
    },
    Failed,
}

const LATER_SECONDS: i64 = 5;

impl RefundState {
    /// How a refund of a charge begins: Stripe's cards for it say, and bank debits take their time.
    pub(crate) fn of(token: &str, now: i64) -> Self {
        let later = now.saturating_add(LATER_SECONDS);
        if token.ends_with("_pendingRefund") {
            return Self::Pending { due_at: later };
        }
        if token.ends_with("_refundFail") {
            return Self::Succeeded { fails_at: Some(later) };
        }
        match debit::kind(token) {
            Kind::Card => Self::Succeeded { fails_at: None },
            Kind::SepaDebit | Kind::UsBankAccount => Self::Pending { due_at: later },
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed => "failed",
        }
    }

    /// When it moves by itself, if ever.
    pub(crate) fn due_at(self) -> Option<i64> {
        match self {
            Self::Pending { due_at } => Some(due_at),
            Self::Succeeded { fails_at } => fails_at,
            Self::Failed => None,
        }
    }

    /// What it becomes then.
    pub(crate) fn settled(self) -> Self {
        match self {
            Self::Pending { .. } | Self::Succeeded { fails_at: None } => Self::Succeeded { fails_at: None },
            Self::Succeeded { fails_at: Some(_) } | Self::Failed => Self::Failed,
        }
    }
}

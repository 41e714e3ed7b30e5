//! A dispute is a payer's objection to a charge by way of their bank (docs.stripe.com/api/disputes/object).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dispute {
    pub id: String,
    pub charge: String,
    pub intent: String,
    pub created: i64,
    pub amount: u64,
    pub currency: String,
    pub reason: String,
    /// Until when evidence may be sent.
    pub due_by: i64,
    #[serde(default)]
    pub has_evidence: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    pub state: DisputeState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DisputeState {
    /// An inquiry: the bank asks before it takes the money back.
    WarningNeedsResponse,
    WarningUnderReview,
    WarningClosed,
    NeedsResponse,
    UnderReview,
    Won,
    Lost,
}

/// An early warning of the card's network that a charge is thought to be fraud
/// (<https://docs.stripe.com/api/radar/early_fraud_warnings/object>).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Warning {
    pub id: String,
    pub charge: String,
    pub intent: String,
    pub created: i64,
    pub fraud_type: String,
}

/// How long a merchant may take to answer.
pub(crate) const ANSWER_SECONDS: i64 = 7 * 86_400;

/// What a charge by a test card is disputed with, if it is (docs.stripe.com/testing#disputes).
pub(crate) fn of_card(token: &str) -> Option<(&'static str, DisputeState)> {
    Some(match token.strip_prefix("pm_card_")? {
        "createDispute" => ("fraudulent", DisputeState::NeedsResponse),
        "createDisputeProductNotReceived" => ("product_not_received", DisputeState::NeedsResponse),
        "createDisputeInquiry" => ("fraudulent", DisputeState::WarningNeedsResponse),
        _ => return None,
    })
}

impl DisputeState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WarningNeedsResponse => "warning_needs_response",
            Self::WarningUnderReview => "warning_under_review",
            Self::WarningClosed => "warning_closed",
            Self::NeedsResponse => "needs_response",
            Self::UnderReview => "under_review",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }

    pub(crate) fn is_closed(self) -> bool {
        match self {
            Self::WarningClosed | Self::Won | Self::Lost => true,
            Self::WarningNeedsResponse
            | Self::WarningUnderReview
            | Self::NeedsResponse
            | Self::UnderReview => false,
        }
    }

    /// Whether the bank has taken the money back.
    pub(crate) fn holds_funds(self) -> bool {
        match self {
            Self::NeedsResponse | Self::UnderReview | Self::Lost => true,
            Self::WarningNeedsResponse | Self::WarningUnderReview | Self::WarningClosed | Self::Won => false,
        }
    }

    /// What it becomes once evidence was sent.
    pub(crate) fn answered(self) -> Self {
        match self {
            Self::WarningNeedsResponse | Self::WarningUnderReview => Self::WarningUnderReview,
            Self::NeedsResponse | Self::UnderReview => Self::UnderReview,
            Self::WarningClosed | Self::Won | Self::Lost => self,
        }
    }
}

//! A charge is one attempt at an intent's money: taken, refused, or on its way.

use crate::intent::{Cause, Facts};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Charge {
    pub id: String,
    /// The intent's facts as they were then.
    pub intent: Arc<Facts>,
    pub created: i64,
    pub amount: u64,
    pub method: String,
    /// The test token behind the method.
    pub token: String,
    /// The idempotency key of the request that charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    pub state: ChargeState,
    /// What was given back of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refunded: u64,
    /// Whether its payer has objected to it, however that ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disputed: bool,
    /// Whether its payer will, as soon as they see it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_to_be_disputed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChargeState {
    Pending,
    Succeeded,
    Failed(Cause),
}

impl Charge {
    pub(crate) fn left(&self) -> u64 {
        self.amount.saturating_sub(self.refunded)
    }

    pub(crate) fn has_state(&self, state: ChargeState) -> Self {
        Self { state, ..self.clone() }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

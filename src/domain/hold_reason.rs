//! Hold reasons: why a job waits that nobody works on. What releases it goes by these alone; the words beside them are
//! for people (S1.23).

use schemars::JsonSchema;
use serde::Serialize;

/// Why a job is parked. The names are stored and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The gateway rejected it, for a reason that no rule knows.
    Rejected,
    /// It lost its worker again and again.
    Quarantine,
    /// What it is about is not there, cannot be read, or cannot be said to the gateway.
    Invalid,
}

impl HoldReason {
    pub const ALL: [Self; 3] = [Self::Rejected, Self::Quarantine, Self::Invalid];

    pub fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Quarantine => "quarantine",
            Self::Invalid => "invalid",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_stored_and_sent_by_one_name() {
        for reason in HoldReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
    }
}

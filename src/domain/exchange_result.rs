//! Exchange results: what an exchange with a gateway proved. Later looks decide by these alone; the words beside them
//! are for people (S1.23).

use schemars::JsonSchema;
use serde::Serialize;

/// What was proven. The names are stored and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeResult {
    /// The gateway has executed it.
    Succeeded,
    /// It was declined.
    Declined,
    /// The gateway has it, and waits for the customer.
    RequiresAction,
    /// The gateway has it, and its end comes later.
    Pending,
    /// A refund that the gateway had has failed.
    Failed,
    /// The request was refused without being executed.
    Rejected,
    /// Our credentials were refused, and nothing was executed.
    Credentials,
    /// Nothing was executed, and the same request may go again.
    NotSent,
    /// It may have been executed.
    Unknown,
    /// It may have been executed, and the gateway keeps an error under the key.
    StoredError,
    /// It was taken, by an answer that cannot be read but for the gateway's id: it is asked after by that.
    Unreadable,
    /// It may have been executed, and the key was used for other bytes than ours.
    Mismatch,
    /// The gateway has canceled, or says that it has.
    Canceled,
    /// A complete look found nothing.
    Absent,
    /// A complete look found nothing, which with the looks before it proves that nothing sent earlier was executed.
    ProvenAbsent,
    /// A look at a part of a listing found nothing, and another page comes.
    NotOnPage,
    /// A part of a list was shown, of what was moved there by whomever.
    Listed,
    /// A question that brought nothing of an outcome.
    NoAnswer,
}

impl ExchangeResult {
    pub const ALL: [Self; 18] = [
        Self::Succeeded,
        Self::Declined,
        Self::RequiresAction,
        Self::Pending,
        Self::Failed,
        Self::Rejected,
        Self::Credentials,
        Self::NotSent,
        Self::Unknown,
        Self::StoredError,
        Self::Unreadable,
        Self::Mismatch,
        Self::Canceled,
        Self::Absent,
        Self::ProvenAbsent,
        Self::NotOnPage,
        Self::Listed,
        Self::NoAnswer,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Declined => "declined",
            Self::RequiresAction => "requires_action",
            Self::Pending => "pending",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Credentials => "credentials",
            Self::NotSent => "not_sent",
            Self::Unknown => "unknown",
            Self::StoredError => "stored_error",
            Self::Unreadable => "unreadable",
            Self::Mismatch => "mismatch",
            Self::Canceled => "canceled",
            Self::Absent => "absent",
            Self::ProvenAbsent => "proven_absent",
            Self::NotOnPage => "not_on_page",
            Self::Listed => "listed",
            Self::NoAnswer => "no_answer",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|result| result.name() == name)
    }

    /// Whether the gateway has said that it has what was sent.
    pub fn is_accepted(self) -> bool {
        match self {
            Self::RequiresAction | Self::Pending => true,
            Self::Succeeded
            | Self::Declined
            | Self::Failed
            | Self::Rejected
            | Self::Credentials
            | Self::NotSent
            | Self::Unknown
            | Self::StoredError
            | Self::Unreadable
            | Self::Mismatch
            | Self::Canceled
            | Self::Absent
            | Self::ProvenAbsent
            | Self::NotOnPage
            | Self::Listed
            | Self::NoAnswer => false,
        }
    }

    /// Whether a send that ended so is proven to have executed nothing.
    pub fn is_unexecuted(self) -> bool {
        match self {
            Self::NotSent | Self::Credentials | Self::Rejected => true,
            Self::Succeeded
            | Self::Declined
            | Self::RequiresAction
            | Self::Pending
            | Self::Failed
            | Self::Unknown
            | Self::StoredError
            | Self::Unreadable
            | Self::Mismatch
            | Self::Canceled
            | Self::Absent
            | Self::ProvenAbsent
            | Self::NotOnPage
            | Self::Listed
            | Self::NoAnswer => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_is_stored_and_sent_by_one_name() {
        for result in ExchangeResult::ALL {
            assert_eq!(ExchangeResult::from_name(result.name()), Some(result));
            assert_eq!(serde_json::to_value(result).unwrap(), result.name());
        }
        assert_eq!(ExchangeResult::from_name("unknown: HTTP 500"), None);
    }

    #[test]
    fn only_a_request_that_was_turned_away_is_proven_unexecuted() {
        let unexecuted = ExchangeResult::ALL.into_iter().filter(|result| result.is_unexecuted());

        assert_eq!(
            unexecuted.collect::<Vec<_>>(),
            [ExchangeResult::Rejected, ExchangeResult::Credentials, ExchangeResult::NotSent]
        );
    }
}

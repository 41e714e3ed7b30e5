//! Verdicts: how an exchange ended, as the value that later looks go by, and in the words of its row.

use crate::{
    domain::{attempt, exchange_result::ExchangeResult, refund},
    gateway::{Cancellation, Finding, Reading},
    store::change::{Closing, ExchangeWrite},
};

/// How an exchange ended.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) result: ExchangeResult,
    /// For people.
    pub(super) words: String,
}

impl Ended {
    pub(super) fn new(result: ExchangeResult, words: &str) -> Self {
        Self { result, words: words.to_owned() }
    }
}

impl ExchangeWrite {
    /// The end of a look that found nothing, and with those before it proves that there is nothing.
    pub(super) fn proven_absent(self) -> Self {
        self.with(ExchangeResult::ProvenAbsent)
    }

    /// The same where what it proves was not committed with it: something may have been sent since.
    pub(super) fn unproven(self) -> Self {
        match self {
            Self::Close(Closing { result: Some(ExchangeResult::ProvenAbsent), .. }) => {
                self.with(ExchangeResult::Absent)
            }
            Self::Close(_) | Self::Open(_) => self,
        }
    }

    fn with(self, result: ExchangeResult) -> Self {
        match self {
            Self::Close(closing) => Self::Close(Closing { result: Some(result), ..closing }),
            Self::Open(_) => self,
        }
    }
}

/// What was heard from a gateway.
pub(super) trait Verdict {
    fn verdict(&self) -> Ended;
}

impl Verdict for attempt::Answer {
    fn verdict(&self) -> Ended {
        match &self.outcome {
            attempt::Outcome::Succeeded => Ended::new(ExchangeResult::Succeeded, "succeeded"),
            attempt::Outcome::Declined(decline) => {
                Ended::new(ExchangeResult::Declined, &format!("declined: {}", decline.code))
            }
            attempt::Outcome::RequiresAction { .. } => {
                Ended::new(ExchangeResult::RequiresAction, "requires_action")
            }
            attempt::Outcome::Pending => Ended::new(ExchangeResult::Pending, "pending"),
        }
    }
}

impl Verdict for refund::Answer {
    fn verdict(&self) -> Ended {
        match &self.outcome {
            refund::Outcome::Succeeded => Ended::new(ExchangeResult::Succeeded, "succeeded"),
            refund::Outcome::Processing => Ended::new(ExchangeResult::Pending, "processing"),
            refund::Outcome::Failed(reason) => {
                Ended::new(ExchangeResult::Failed, &format!("failed: {reason}"))
            }
        }
    }
}

impl<A: Verdict> Verdict for Reading<A> {
    fn verdict(&self) -> Ended {
        match self {
            Self::Answered(answer) => answer.verdict(),
            Self::Rejected(attempt::Rejection::Refused(_)) => {
                Ended::new(ExchangeResult::Rejected, "rejected")
            }
            Self::Rejected(attempt::Rejection::Credentials(_)) => {
                Ended::new(ExchangeResult::Credentials, "rejected")
            }
            Self::NotSent(reason) => Ended::new(ExchangeResult::NotSent, &format!("not sent: {reason}")),
            Self::Unknown(reason) => Ended::new(ExchangeResult::Unknown, &format!("unknown: {reason}")),
            Self::StoredError(reason) => {
                Ended::new(ExchangeResult::StoredError, &format!("stored error: {reason}"))
            }
            Self::Unreadable { reason, .. } => Ended::new(ExchangeResult::Unreadable, reason),
            Self::Mismatch(reason) => Ended::new(ExchangeResult::Mismatch, &format!("mismatch: {reason}")),
        }
    }
}

impl<A: Verdict> Verdict for Finding<A> {
    fn verdict(&self) -> Ended {
        match self {
            Self::Answered(answer) => answer.verdict(),
            Self::Canceled => Ended::new(ExchangeResult::Canceled, "canceled"),
            Self::Absent => Ended::new(ExchangeResult::Absent, "absent"),
            Self::More(_) => Ended::new(ExchangeResult::NoAnswer, "not on this page, and there are too many"),
            Self::Nothing(why) => Ended::new(ExchangeResult::NoAnswer, why),
        }
    }
}

impl Verdict for Cancellation {
    fn verdict(&self) -> Ended {
        match self {
            Self::Canceled => Ended::new(ExchangeResult::Canceled, "canceled"),
            Self::Answered(answer) => answer.verdict(),
            Self::Unknown(why) => Ended::new(ExchangeResult::Unknown, &format!("unknown: {why}")),
            Self::StoredError(why) => {
                Ended::new(ExchangeResult::StoredError, &format!("stored error: {why}"))
            }
        }
    }
}

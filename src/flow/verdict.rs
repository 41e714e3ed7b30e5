//! Verdicts: how an exchange ended, in the words of its row. Those that a later look goes by are constants.

use crate::{
    domain::{attempt, refund},
    gateway::{Cancellation, Finding, Reading},
};

/// The gateway has canceled, or says that it has.
pub(super) const CANCELED: &str = "canceled";
/// A complete look found nothing.
pub(super) const ABSENT: &str = "absent";
/// What the verdict of a send begins with whose error the gateway keeps: asking that way again is of no use.
pub(super) const STORED_ERROR: &str = "stored error";

/// What was heard from a gateway, in a few words.
pub(super) trait Verdict {
    fn verdict(&self) -> String;
}

impl Verdict for attempt::Answer {
    fn verdict(&self) -> String {
        match &self.outcome {
            attempt::Outcome::Succeeded => "succeeded".to_owned(),
            attempt::Outcome::Declined(decline) => format!("declined: {}", decline.code),
            attempt::Outcome::RequiresAction { .. } => "requires_action".to_owned(),
            attempt::Outcome::Pending => "pending".to_owned(),
        }
    }
}

impl Verdict for refund::Answer {
    fn verdict(&self) -> String {
        match &self.outcome {
            refund::Outcome::Succeeded => "succeeded".to_owned(),
            refund::Outcome::Processing => "processing".to_owned(),
            refund::Outcome::Failed(reason) => format!("failed: {reason}"),
        }
    }
}

impl<A: Verdict> Verdict for Reading<A> {
    fn verdict(&self) -> String {
        match self {
            Self::Answered(answer) => answer.verdict(),
            Self::Rejected(_) => "rejected".to_owned(),
            Self::NotSent(reason) => format!("not sent: {reason}"),
            Self::Unknown(reason) => format!("unknown: {reason}"),
            Self::StoredError(reason) => format!("{STORED_ERROR}: {reason}"),
            Self::Mismatch(reason) => format!("mismatch: {reason}"),
        }
    }
}

impl<A: Verdict> Verdict for Finding<A> {
    fn verdict(&self) -> String {
        match self {
            Self::Answered(answer) => answer.verdict(),
            Self::Canceled => CANCELED.to_owned(),
            Self::Absent => ABSENT.to_owned(),
            Self::More(_) => "not on this page, and there are too many".to_owned(),
            Self::Nothing(why) => why.clone(),
        }
    }
}

impl Verdict for Cancellation {
    fn verdict(&self) -> String {
        match self {
            Self::Canceled => CANCELED.to_owned(),
            Self::Answered(answer) => answer.verdict(),
            Self::Unknown(why) => format!("unknown: {why}"),
        }
    }
}

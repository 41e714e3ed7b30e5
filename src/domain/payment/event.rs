//! What can happen to a payment, with the facts of it; [`crate::domain::table`] has the bare names.

use super::{Edit, resolution::Word};
use crate::domain::{
    attempt::Answer,
    rejection::{Fate, Refusal},
    table::Kind,
};
use dunlin_jobs::{AttemptId, JobId, KeyId};

/// What can happen to a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The time of its next attempt has come.
    Due { attempt: u32, id: AttemptId },
    /// The planned attempt may go again.
    Send { attempt: u32 },
    /// The request is proven not to have left.
    NotSent { attempt: u32, reason: String },
    /// The request may have been executed, and no answer is held but, by chance, the gateway's id of it.
    Lost { attempt: u32, reason: String, operation: Option<String> },
    /// The gateway has answered.
    Answered { attempt: u32, answer: Answer },
    /// The gateway refused the request without executing it, and what becomes of the payment.
    Rejected { attempt: u32, refusal: Refusal, fate: Fate },
    /// The gateway is proven not to know the attempt (S1.9).
    Absent { attempt: u32 },
    /// The merchant wants it stopped.
    Cancel,
    /// The gateway has canceled it.
    Canceled { attempt: u32 },
    /// The gateway has canceled what this attempt, which is over, had left payable there.
    Withdrawn { attempt: u32 },
    /// A person has to look.
    Review { reason: String },
    /// What the gateway says cannot be, beside what is on record: a person has to look, wherever the payment stands.
    Contradicted { reason: String },
    /// A person wants the next attempt now, and may have said why.
    Retry { reason: Option<String> },
    /// What was deferred, or set for a later time, is to be charged now.
    Process,
    /// The merchant writes something else beside it.
    Edit(Edit),
    /// A person, known by their API key, says what became of it.
    Resolve { by: KeyId, word: Word },
    /// A person wants this job of its to run now.
    Hurry { job: JobId, kind: String, reason: Option<String> },
    /// A person wants this job of its to run again, which was set aside.
    Release { job: JobId, kind: String, reason: Option<String> },
    /// The payment method that it names was taken from its customer.
    Detached,
}

impl Event {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Due { .. } => Kind::Due,
            Self::Send { .. } => Kind::Send,
            Self::NotSent { .. } => Kind::NotSent,
            Self::Lost { .. } => Kind::Lost,
            Self::Answered { .. } => Kind::Answered,
            Self::Rejected { .. } => Kind::Rejected,
            Self::Absent { .. } => Kind::Absent,
            Self::Cancel => Kind::Cancel,
            Self::Canceled { .. } => Kind::Canceled,
            Self::Withdrawn { .. } => Kind::Withdrawn,
            Self::Review { .. } => Kind::Review,
            Self::Contradicted { .. } => Kind::Contradicted,
            Self::Retry { .. } => Kind::Retry,
            Self::Process => Kind::Process,
            Self::Edit(_) => Kind::Edit,
            Self::Resolve { word, .. } => Kind::Resolve(word.ruling()),
            Self::Hurry { .. } => Kind::Hurry,
            Self::Release { .. } => Kind::Release,
            Self::Detached => Kind::Detached,
        }
    }

    /// Whether it may be told only by the holder of the job's lease (S1.1): a fact from the gateway counts
    /// whoever brings it, while starting a call or denying one needs the right to.
    pub fn needs_lease(&self) -> bool {
        match self {
            Self::Due { .. }
            | Self::Send { .. }
            | Self::NotSent { .. }
            | Self::Lost { .. }
            | Self::Absent { .. }
            | Self::Review { .. }
            // Whoever has taken over may have sent the same since then, and have had it executed.
            | Self::Rejected { .. }
            | Self::Detached => true,
            Self::Answered { .. }
            | Self::Contradicted { .. }
            | Self::Cancel
            | Self::Canceled { .. }
            | Self::Withdrawn { .. }
            | Self::Retry { .. }
            | Self::Process
            | Self::Edit(_)
            | Self::Resolve { .. }
            | Self::Hurry { .. }
            | Self::Release { .. } => false,
        }
    }
}

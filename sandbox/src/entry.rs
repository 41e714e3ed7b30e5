//! An entry is one line of the journal: everything that one exchange changed, or none of it.

use crate::{
    auth::AccountId,
    fault::Twist,
    intent::{Facts, Status},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// The first line: what the ids of this journal are made from.
    Opened {
        salt: u64,
    },
    Clock {
        offset_seconds: i64,
    },
    /// A fault was given under this key, and is not given again.
    Fault {
        account: AccountId,
        key: String,
        at: i64,
    },
    /// A 500 is stored under this key, and nothing was executed.
    Failed {
        account: AccountId,
        key: String,
        fingerprint: String,
        at: i64,
    },
    Executed(Box<Executed>),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Executed {
    pub account: AccountId,
    pub at: i64,
    pub subject: Subject,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<Captured>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answered>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twist: Option<Twist>,
}

/// The intent that was executed; only a new one brings its facts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Subject {
    New(Arc<Facts>),
    Known(String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Captured {
    pub seq: u64,
    pub charge: String,
    pub amount: u64,
}

/// What is stored under an idempotency key; the body follows from the intent and the ending.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub key: String,
    pub fingerprint: String,
    pub ending: Ending,
}

/// How an executed exchange ended for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    Done,
    Declined,
    /// An error was answered although the work was done.
    Failed,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

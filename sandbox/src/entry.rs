//! An entry is one line of the journal: everything that one exchange changed, or none of it.

use crate::{auth::AccountId, fault::Twist, object::Object};
use serde::{Deserialize, Serialize};

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
    /// The execution refused it: nothing was done, and the refusal is stored under this key.
    Refused {
        account: AccountId,
        key: String,
        fingerprint: String,
        at: i64,
        status: u16,
        body: String,
    },
    Executed(Box<Executed>),
    /// An event reached its endpoint, or never will.
    Closed {
        delivery: u64,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Executed {
    pub account: AccountId,
    pub at: i64,
    /// What changed, as it is afterwards; the first is what the caller is shown.
    pub objects: Vec<Object>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answered>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twist: Option<Twist>,
    /// Its events are lost: no endpoint is told of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untold: bool,
}

/// What is stored under an idempotency key; the body follows from the object and the ending.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub key: String,
    pub fingerprint: String,
    pub ending: Ending,
    /// Only where objects were expanded: they may look different later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
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

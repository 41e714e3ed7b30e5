//! Changes: what is asked of the committer, and what it answers.

use super::KeyHolder;
use crate::domain::{
    attempt::ExchangeKind,
    clock::Time,
    dispute::{Dispute, FraudWarning},
    exchange_result::ExchangeResult,
    hold_reason::HoldReason,
    payment::{Event, NotResolvable, NotRetriable, Payment, Refused, TooManyEntries},
    refund::{self, NotRefundable, Refund},
};
use dunlin_jobs::{ChangeId, ExchangeId, JobId, KeyId, PaymentId, RefundId, RequestId, TenantId};
use std::borrow::Cow;

/// One atomic step: all of it is committed, or nothing is.
#[derive(Debug, Clone)]
pub struct Change {
    pub id: ChangeId,
    pub actor: Actor,
    pub subject: Subject,
    pub exchanges: Vec<ExchangeWrite>,
    pub job: Option<(Lease, JobEnd)>,
}

/// Who does it, for the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A part of the program: `api`, `worker` or `sweep`; `dunlin` for what its commands do in the database.
    Program(&'static str),
    /// Whoever has the API key.
    Key(KeyId, Option<RequestId>),
}

impl Actor {
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Program(name) => Cow::Borrowed(*name),
            Self::Key(key, _) => Cow::Owned(key.to_string()),
        }
    }

    /// The request by which it is done.
    pub fn request(&self) -> Option<RequestId> {
        match self {
            Self::Program(_) => None,
            Self::Key(_, request) => *request,
        }
    }
}

impl From<&'static str> for Actor {
    fn from(name: &'static str) -> Self {
        Self::Program(name)
    }
}

impl From<&KeyHolder> for Actor {
    fn from(holder: &KeyHolder) -> Self {
        Self::Key(holder.key, holder.request)
    }
}

#[derive(Debug, Clone)]
pub enum Subject {
    /// A new payment with the job that charges it.
    Create(Box<Create>),
    /// Something happened to a payment.
    Event(PaymentId, Event),
    /// What a person wants to happen to a payment, once under its key.
    Wish(Box<Wish>),
    /// What a person wants to happen to a job of a payment.
    Job(JobWish),
    /// A refund of a payment, with the job that carries it out.
    Refund(Box<RefundCreate>),
    /// Something happened to a refund of a payment.
    RefundEvent(PaymentId, RefundId, refund::Event),
    /// What a gateway shows of money that others moved.
    Fact(PaymentId, Fact),
    /// Nothing happened to the payment; an exchange is noted or the job moves.
    Note,
}

#[derive(Debug, Clone)]
pub struct Create {
    pub payment: Payment,
    pub key: Option<Key>,
    /// A window in which an alike payment counts as a mistake (S2.7).
    pub twin_since: Option<Time>,
    pub priority: Priority,
    pub traceparent: Option<String>,
}

/// What a gateway shows of a payment's money; whoever brings it, it is so (S1.20).
#[derive(Debug, Clone)]
pub enum Fact {
    Refund(Box<refund::Seen>),
    Dispute(Box<Dispute>),
    Warning(Box<FraudWarning>),
}

#[derive(Debug, Clone)]
pub struct RefundCreate {
    pub payment: PaymentId,
    pub tenant: TenantId,
    pub livemode: bool,
    pub order: refund::Order,
    /// The failed refund that is tried again.
    pub retry_of: Option<RefundId>,
    pub key: Key,
    pub asked_at: Time,
}

#[derive(Debug, Clone)]
pub struct Wish {
    pub payment: PaymentId,
    pub tenant: TenantId,
    pub livemode: bool,
    pub event: Event,
    pub key: Key,
    pub asked_at: Time,
}

#[derive(Debug, Clone)]
pub struct JobWish {
    pub payment: PaymentId,
    pub job: JobId,
    pub act: JobAct,
    pub reason: Option<String>,
}

/// What a person can do to a job. To do it twice is as good as once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobAct {
    /// It is due now.
    Retry,
    /// It was set aside, and runs again.
    Release,
}

/// Whether somebody waits for it, or it is one of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    Interactive,
    Bulk,
}

/// A caller's idempotency key, within its tenant and environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The operation that is done under it, by whichever way it is asked for (S2.2).
    pub scope: String,
    pub key: String,
    /// SHA-256 over what was asked.
    pub fingerprint: String,
}

/// The right to work on a job until a moment of the database's clock, told apart from every other by its epoch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lease {
    pub job: JobId,
    pub owner: String,
    pub epoch: i64,
}

/// What becomes of the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnd {
    /// The lease goes on.
    Keep,
    Done,
    /// Done, unless the payment has moved on from the version that was looked at: then it looks again, since what
    /// happened since may need it.
    DoneAt(u32),
    Again(Time),
    /// Done when this change leaves nothing of the payment to ask after, else again then.
    AgainWhileOpen(Time),
    /// Something technical went wrong; the error is kept.
    Failed(Time, String),
    /// Nobody claims it until it is released; the words are for people.
    Park(HoldReason, String),
}

/// One HTTP call to a gateway, written before a byte leaves and once more when it is over.
#[derive(Debug, Clone)]
pub enum ExchangeWrite {
    Open(Exchange),
    Close(Closing),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub id: ExchangeId,
    pub payment: PaymentId,
    pub attempt: u32,
    /// The refund that it is about, where it is about one.
    pub refund: Option<RefundId>,
    pub kind: ExchangeKind,
    pub resend: bool,
    pub method: String,
    pub path: String,
    pub idempotency_key: Option<String>,
    pub api_version: String,
    /// The exact body; sent again, it is the same byte for byte (S1.5).
    pub body: String,
    pub opened_at: Time,
    pub closed: Option<Closing>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    pub id: ExchangeId,
    pub payment: PaymentId,
    pub at: Time,
    pub http_status: Option<u16>,
    /// What it proved; none where a version before this one has closed it.
    pub result: Option<ExchangeResult>,
    /// The same in words, for people.
    pub verdict: String,
    /// The fields of the answer that may be kept.
    pub answer: Option<String>,
}

/// A change that took effect.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The payment after it; none for a change that is about no payment.
    pub payment: Option<Payment>,
    /// The refund after it, where it is about one.
    pub refund: Option<Refund>,
    /// False where nothing was new: a replayed key, or a fact that was known.
    pub fresh: bool,
}

/// Why a change did not take effect. It failed alone, and nothing of it remains.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    RefundRefused(#[from] refund::Refused),
    #[error(transparent)]
    NotRefundable(#[from] NotRefundable),
    #[error(transparent)]
    RefundNotRetriable(#[from] refund::NotRetriable),
    #[error(transparent)]
    NotRetriable(#[from] NotRetriable),
    #[error(transparent)]
    TooManyEntries(#[from] TooManyEntries),
    #[error(transparent)]
    NotResolvable(#[from] NotResolvable),
    /// The charge that a person names is another attempt's.
    #[error("the charge is another attempt's")]
    ChargeTaken,
    #[error("a worker has it in hand just now: try again in a moment")]
    InHand,
    #[error("the job is parked: release it")]
    Parked,
    /// No attempt is made by a method that is gone.
    #[error("the payment's method was detached")]
    MethodDetached,
    /// Nothing begins at an account that is on hold.
    #[error("the gateway account is on hold")]
    OnHold,
    #[error("the job's lease has passed to another worker")]
    LeaseLost,
    #[error("the idempotency key was used for another request")]
    KeyReused { first: PaymentId },
    #[error("an alike payment was made a moment ago")]
    Twin { first: PaymentId },
    #[error("no such payment")]
    NotFound,
    /// The waiting line is full.
    #[error("too many changes are waiting to be committed")]
    Busy,
    /// Whether it took effect is not known; the job's lease, or the caller's key, finds out.
    #[error("the database cannot be reached")]
    Unavailable,
    #[error(transparent)]
    Store(#[from] super::StoreError),
}

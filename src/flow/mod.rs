//! Flows: the use cases. A flow reads, decides, commits what it is about to do, calls with no transaction
//! open, decides again, and commits the result, its effects and the finished job together.

mod abandoned;
pub mod api_keys;
mod backoff;
mod cancel;
pub mod charge;
mod charge_lookup;
pub mod clock;
pub mod customers;
mod decline;
mod edit;
mod evidence;
mod exchange;
pub mod gateway_events;
mod gateway_refunds;
pub mod gateway_sweep;
mod holds;
pub mod identity;
mod inquiry;
pub mod intake;
pub mod jobs;
pub mod key;
mod late_charge;
mod named;
mod named_operation;
mod naming;
mod operate;
mod order;
mod other_operation;
pub mod payment_methods;
pub mod payments;
pub mod readiness;
pub mod reconcile;
pub mod refund;
pub mod refunds;
mod replays;
pub mod resolve;
mod restored;
mod second_look;
pub mod sweep;
mod trail;
mod turns;
mod unfit;
mod verdict;
pub mod withdraw;

use crate::{
    domain::{
        clock::{Clock, Time},
        hold_reason::HoldReason,
        payment::{Event, Payment},
        refund::{self as refunding, Refund},
        rejection::Rules,
        scope::Scope,
    },
    gateway::{Account, Registry, client::Client},
    redis::Line,
    store::{
        Store, StoreError,
        change::{Actor, Change, CommitError, Committed, ExchangeWrite, JobEnd, Lease, Subject},
        claim::Claimed,
    },
};
use chrono::TimeDelta;
use dunlin_jobs::{ChangeId, PaymentId};
pub use named::Named;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Duration};
pub use turns::{Rate, Turns};
use unfit::Rest;

/// What every flow works with.
#[derive(Debug, Clone)]
pub struct Flows {
    pub store: Store,
    pub gateways: Registry,
    pub client: Client,
    pub turns: Turns,
    /// What joins this replica to the others, if anything does.
    pub redis: Option<Line>,
    pub settings: Settings,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// When an unknown outcome is asked after, each delay from the ask before; the last one repeats.
    pub unknown_polls_s: Vec<u64>,
    /// After this long a person is asked to look at an unknown outcome.
    pub review_after_s: u64,
    /// How long a customer has to act before what they were asked for is canceled.
    pub action_expires_s: u64,
    /// How long what was declined may still be paid at the gateway, where only the customer can; then it is canceled.
    pub payable_days: u32,
    /// How often a job may lose its worker before it is set aside.
    pub max_rescues: u32,
    /// What must be left of a lease, beside the gateway's timeout, to begin a call.
    pub lease_margin_ms: u64,
    /// Alike payments of a customer within this long are refused; 0 turns the check off.
    pub duplicate_window_s: u64,
    /// A payment that nothing holds is an orphan after this long.
    pub orphan_after_s: u64,
    /// What a rejection asks for; a table of its own, and shared, since each request and job has the settings.
    #[serde(skip)]
    pub rejections: Arc<Rules>,
    /// How far the database's clock may be from ours; `worker.max_clock_skew_ms`.
    #[serde(skip)]
    pub max_clock_skew: Duration,
}

impl Settings {
    pub fn payable(&self) -> TimeDelta {
        TimeDelta::days(self.payable_days.into())
    }
}

/// Why a flow could not be carried out, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A field is wrong; said with its name and the remedy.
    #[error("{field}: {detail}")]
    Invalid { field: String, detail: String },
    /// It collides with what is there.
    #[error("{detail}")]
    Conflict { code: &'static str, detail: String, payment: Option<PaymentId> },
    /// The idempotency key was used for something else.
    #[error("the Idempotency-Key was used before for another request")]
    KeyReused { made: Named },
    /// What there may be one of is there.
    #[error("{detail}")]
    Exists { code: &'static str, detail: String, thing: Named },
    /// An API key gives no scope that it lacks.
    #[error(
        "the API key does not have the scope {0}, so it cannot give it: leave it out, or use a key that has it"
    )]
    Ungivable(Scope),
    /// It is not proven to come from whom it claims to come from.
    #[error("{0}")]
    Unproven(String),
    /// Come back later.
    #[error("dunlin cannot take this now: {0}")]
    Later(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the caller of a flow can do about its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    Caller,
    Conflict,
    Later,
    Broken,
}

impl FlowError {
    /// The same with the payment that it collides with, where it collides.
    fn with(mut self, id: PaymentId) -> Self {
        if let Self::Conflict { payment, .. } = &mut self {
            payment.get_or_insert(id);
        }
        self
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_)
            | Self::Invalid { .. }
            | Self::Ungivable(_)
            | Self::Unproven(_)
            | Self::KeyReused { .. } => ErrorKind::Caller,
            Self::Conflict { .. } | Self::Exists { .. } => ErrorKind::Conflict,
            Self::Later(_)
            | Self::Store(StoreError::Unavailable | StoreError::Unwritable | StoreError::Conflict) => {
                ErrorKind::Later
            }
            Self::Store(StoreError::Corrupt { .. } | StoreError::Unfit(_) | StoreError::Sql(_)) => {
                ErrorKind::Broken
            }
        }
    }
}

impl From<CommitError> for FlowError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Refused(refused) => {
                Self::Conflict { code: "illegal_transition", detail: refused.to_string(), payment: None }
            }
            CommitError::RefundRefused(refused) => {
                Self::Conflict { code: "illegal_transition", detail: refused.to_string(), payment: None }
            }
            CommitError::NotRefundable(why) => refunds::explain(&why),
            CommitError::RefundNotRetriable(why) => refunds::explain_retry(&why),
            CommitError::NotRetriable(why) => {
                Self::Conflict { code: "payment_not_retriable", detail: why.to_string(), payment: None }
            }
            CommitError::TooManyEntries(why) => {
                Self::Invalid { field: "metadata".to_owned(), detail: why.to_string() }
            }
            CommitError::NotResolvable(why) => resolve::explain(&why),
            CommitError::ChargeTaken => resolve::taken(),
            CommitError::InHand => {
                Self::Conflict { code: "work_in_hand", detail: error.to_string(), payment: None }
            }
            CommitError::Parked => {
                Self::Conflict { code: "job_parked", detail: error.to_string(), payment: None }
            }
            CommitError::MethodDetached => {
                Self::Conflict { code: "payment_method_detached", detail: error.to_string(), payment: None }
            }
            CommitError::OnHold => {
                Self::Conflict { code: "gateway_on_hold", detail: error.to_string(), payment: None }
            }
            CommitError::LeaseLost => {
                Self::Conflict { code: "lease_lost", detail: error.to_string(), payment: None }
            }
            CommitError::KeyReused { first } => Self::KeyReused { made: Named::Payment(first) },
            CommitError::Twin { first } => Self::Conflict {
                code: "duplicate_payment",
                detail: format!(
                    "{first} was made a moment ago for the same customer, amount, currency and reference; if a \
                     second one is meant, send the header X-Allow-Duplicate: true"
                ),
                payment: Some(first),
            },
            CommitError::NotFound => Self::NotFound("payment"),
            CommitError::Busy => Self::Later("too many requests are waiting".to_owned()),
            CommitError::Unavailable => Self::Later("the database cannot be reached".to_owned()),
            CommitError::Store(error) => Self::Store(error),
        }
    }
}

impl Flows {
    pub fn clock(&self) -> &Clock {
        self.store.clock()
    }

    /// Business time of the payment's environment.
    fn now(&self, payment: &Payment) -> Time {
        self.clock().now(payment.livemode)
    }

    /// The time by which the age of what was sent to a gateway counts.
    fn evidence_time(&self, payment: &Payment) -> Time {
        self.clock().evidence(payment.livemode)
    }

    fn change(&self, actor: impl Into<Actor>, subject: Subject) -> Change {
        let id = ChangeId::mint(self.clock().now(true), self.clock().random());
        Change { id, actor: actor.into(), subject, exchanges: Vec::new(), job: None }
    }

    /// Something happened to a payment while a job was worked on.
    async fn happen(&self, claimed: &Claimed, step: Worked) -> Result<Committed, CommitError> {
        let rest = Rest::of(&step);
        match self.commit_worked(claimed, step).await {
            Err(CommitError::Store(StoreError::Unfit(why))) => {
                Box::pin(self.do_without(claimed, rest, &why)).await
            }
            result => result,
        }
    }

    async fn commit_worked(&self, claimed: &Claimed, step: Worked) -> Result<Committed, CommitError> {
        let mut change = self.change("worker", step.subject);
        change.exchanges = step.exchanges;
        change.job = Some((claimed.lease.clone(), step.end));
        self.store.commit(change).await
    }

    /// Ends a job about which there is nothing more to do.
    pub async fn end_job(&self, lease: &Lease, end: JobEnd) -> Result<(), FlowError> {
        let mut change = self.change("worker", Subject::Note);
        change.job = Some((lease.clone(), end));
        match self.store.commit(change).await {
            // Whoever has the lease now decides what becomes of the job.
            Ok(_) | Err(CommitError::LeaseLost) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a job of an account that is on hold back as it was: nothing of it was begun, and it costs nothing.
    async fn put_back(&self, claimed: &Claimed, account: &str) -> Result<(), FlowError> {
        Ok(self.store.leave_on_hold(&claimed.lease, account).await?)
    }

    fn account(&self, payment: &Payment) -> Result<&Account, FlowError> {
        self.configured(&payment.account, payment.livemode)
    }

    /// The account of that name in that environment: what is of one never meets the other.
    fn configured(&self, name: &str, livemode: bool) -> Result<&Account, FlowError> {
        let account = self.gateways.find(name).filter(|account| account.livemode == livemode);
        account.ok_or_else(|| FlowError::Invalid {
            field: "gateway".to_owned(),
            detail: format!("{name} is not configured here: add it under [gateways]"),
        })
    }

    /// The moment of the next look at something open, by how often it was looked at: the schedule's delay, give or
    /// take a fifth by a hash of its id, so that it can be replayed (S1.10).
    fn next_look(&self, livemode: bool, id: &str, looks: u32) -> Time {
        let polls = &self.settings.unknown_polls_s;
        let index = usize::try_from(looks).unwrap_or(usize::MAX).saturating_add(1);
        let delay = polls.get(index).or(polls.last()).copied().unwrap_or(60);
        let digest = Sha256::digest(format!("{id}:{looks}"));
        let percent = u64::from(digest[0]) * 40 / 255 + 80;
        let millis = i64::try_from(delay.saturating_mul(10).saturating_mul(percent)).unwrap_or(i64::MAX);
        self.clock().now(livemode) + TimeDelta::milliseconds(millis)
    }

    /// Whether enough of the lease is left for a call to end before another worker may begin one (S1.7).
    fn may_begin(&self, claimed: &Claimed) -> bool {
        self.may_begin_after(claimed, Duration::ZERO)
    }

    /// The same once some more time has passed.
    fn may_begin_after(&self, claimed: &Claimed, wait: Duration) -> bool {
        let needed = self.client.timeout() + Duration::from_millis(self.settings.lease_margin_ms);
        claimed.lease_left(self.clock()) >= needed + wait
    }
}

/// The end of a job whose subject is not there, as it must be.
fn not_there(words: &str) -> JobEnd {
    JobEnd::Park(HoldReason::Invalid, words.to_owned())
}

/// What working on a job came to.
struct Worked {
    subject: Subject,
    exchanges: Vec<ExchangeWrite>,
    end: JobEnd,
}

impl Worked {
    fn event(payment: &Payment, event: Event, end: JobEnd) -> Self {
        Self { subject: Subject::Event(payment.id, event), exchanges: Vec::new(), end }
    }

    fn refund(refund: &Refund, event: refunding::Event, end: JobEnd) -> Self {
        let subject = Subject::RefundEvent(refund.payment, refund.id, event);
        Self { subject, exchanges: Vec::new(), end }
    }

    fn note(end: JobEnd) -> Self {
        Self { subject: Subject::Note, exchanges: Vec::new(), end }
    }

    fn with(mut self, exchange: ExchangeWrite) -> Self {
        self.exchanges.push(exchange);
        self
    }
}

//! Payments: the intent to collect one amount from one customer, and how it changes.

use super::{
    attempt::{Answer, Attempt, AttemptStatus, Outcome, Rejection},
    clock::Time,
    decline::{Decided, Decision, Decline, Policy, Tried},
    event::EventType,
    table::{Kind, Open, Phase, Verdict, verdict},
};
use chrono::TimeDelta;
use dunlin_jobs::{AttemptId, Job, Money, PaymentId, Reconcile, Retry, TenantId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub id: PaymentId,
    pub tenant: TenantId,
    pub livemode: bool,
    pub money: Money,
    pub method: Method,
    /// The caller's id of the customer.
    pub customer: Option<String>,
    /// The caller's id of the payment.
    pub reference: Option<String>,
    pub description: Option<String>,
    pub metadata: BTreeMap<String, String>,
    /// The configured gateway account.
    pub account: String,
    pub status: Status,
    /// Grows by one with every change; history has a row for each.
    pub version: u32,
    /// The gateway's operation that is kept over all attempts, so that it captures once (S1.17).
    pub operation: Option<String>,
    /// The latest attempt.
    pub attempt: Option<Attempt>,
    /// How often it has been declined.
    pub declines: u32,
    pub created_at: Time,
    pub updated_at: Time,
}

/// How the customer pays: the gateway's token, never a card number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    #[serde(rename = "type")]
    pub kind: MethodKind,
    /// The gateway's token of the instrument.
    pub payment_method: String,
    /// The gateway's own id of the customer, where it needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_customer: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MethodKind {
    Card,
}

/// A payment's status, with the facts that are true only in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    Pending,
    Processing,
    RequiresAction,
    Retrying { next_attempt_at: Time },
    Succeeded,
    Failed,
    Canceled,
    NeedsReview { reason: String },
}

/// What can happen to a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Its time has come.
    Due { attempt: AttemptId },
    /// The planned attempt may go again.
    Send { attempt: u32 },
    /// The request is proven not to have left.
    NotSent { attempt: u32, reason: String },
    /// The request may have been executed, and no answer is held.
    Lost { attempt: u32, reason: String },
    /// The gateway has answered.
    Answered { attempt: u32, answer: Answer },
    /// The gateway refused the request without executing it.
    Rejected { attempt: u32, rejection: Rejection },
    /// The gateway is proven not to know the attempt (S1.9).
    Absent { attempt: u32 },
    /// The merchant wants it stopped.
    Cancel,
    /// The gateway has canceled it.
    Canceled { attempt: u32 },
    /// A person has to look.
    Review { reason: String },
}

/// What a payment needs to know to decide.
#[derive(Debug, Clone)]
pub struct Plan {
    pub declines: Policy,
    /// How long after a doubt the gateway is first asked.
    pub first_poll: TimeDelta,
}

/// The payment after an event, and what has to happen with it in the same commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub payment: Payment,
    /// A second success, to be kept beside the first (S1.4).
    pub duplicate: Option<Attempt>,
    pub effects: Vec<Effect>,
    /// Why, in words, for the payment's history.
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// This job at this time.
    Enqueue(Job, Time),
    /// Tell the merchant.
    Emit(EventType),
}

/// The table does not let this happen now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a payment that is {phase:?} cannot take {event:?}")]
pub struct Refused {
    pub phase: Phase,
    pub event: Kind,
}

impl Payment {
    /// The one way in which a payment changes. `None`: the fact is known already and changes nothing.
    ///
    /// # Errors
    /// [`Refused`] where [`super::table`] says so, or where the event speaks of another attempt.
    pub fn apply(&self, event: Event, plan: &Plan, now: Time) -> Result<Option<Step>, Refused> {
        let phase = self.phase();
        let kind = event.kind();
        let refused = Refused { phase, event: kind };
        let current = self.attempt.as_ref().map(|attempt| attempt.n);
        let stale = event.attempt().is_some_and(|n| Some(n) != current);
        let verdict = match (verdict(phase, kind), stale) {
            (Verdict::Conclude | Verdict::Compare, true) => Verdict::Compare,
            (_, true) => Verdict::Refuse,
            // A job that comes too early does not shorten a delay that was decided on.
            (Verdict::Begin, false) if self.waits_until().is_some_and(|at| at > now) => Verdict::Refuse,
            (verdict, false) => verdict,
        };
        let next = Next { payment: self.clone(), now, plan };
        let step = match (verdict, event) {
            (Verdict::Begin, Event::Due { attempt }) => Some(next.begin(attempt)),
            (Verdict::Resume, _) => Some(next.open("sent again, as the same attempt", AttemptStatus::Sending)),
            (Verdict::Plan, Event::NotSent { reason, .. }) => Some(next.open(&reason, AttemptStatus::Planned)),
            (Verdict::Plan, _) => Some(next.found_absent()),
            (Verdict::Doubt, Event::Lost { reason, .. }) => Some(next.doubt(&reason)),
            (Verdict::Conclude, Event::Answered { answer, .. }) => next.conclude(answer),
            (Verdict::Reject, Event::Rejected { rejection, .. }) => Some(next.reject(rejection)),
            (Verdict::Cancel, _) => Some(next.cancel()),
            (Verdict::Hold, Event::Review { reason }) => Some(next.hold(&reason)),
            (Verdict::Compare, Event::Answered { answer, .. }) => next.compare(answer),
            (
                Verdict::Begin
                | Verdict::Doubt
                | Verdict::Conclude
                | Verdict::Reject
                | Verdict::Hold
                | Verdict::Compare
                | Verdict::Refuse,
                _,
            ) => return Err(refused),
        };
        Ok(step)
    }

    /// Where it stands in the table.
    pub fn phase(&self) -> Phase {
        let open = self.attempt.as_ref().and_then(|attempt| Open::from_status(attempt.status));
        match (&self.status, open) {
            (Status::Pending, _) => Phase::Pending,
            (Status::Processing, Some(open)) => Phase::Open(open),
            (Status::RequiresAction, Some(open)) => Phase::Open(open),
            (Status::RequiresAction, None) => Phase::NeedsCustomer,
            (Status::Retrying { .. }, _) => Phase::Retrying,
            (Status::Succeeded, _) => Phase::Succeeded,
            (Status::Failed, _) => Phase::Failed,
            (Status::Canceled, _) => Phase::Canceled,
            (Status::NeedsReview { .. }, Some(open)) => Phase::Review(open),
            // The store refuses to read a payment that is processing nothing; here nothing may start.
            (Status::NeedsReview { .. } | Status::Processing, None) => Phase::Disputed,
        }
    }

    /// The latest attempt, while it is open.
    pub fn open_attempt(&self) -> Option<&Attempt> {
        self.attempt.as_ref().filter(|attempt| attempt.status.is_open())
    }

    /// The time before which no attempt may begin.
    pub fn waits_until(&self) -> Option<Time> {
        match self.status {
            Status::Retrying { next_attempt_at } => Some(next_attempt_at),
            Status::Pending
            | Status::Processing
            | Status::RequiresAction
            | Status::Succeeded
            | Status::Failed
            | Status::Canceled
            | Status::NeedsReview { .. } => None,
        }
    }

    /// The number that the next attempt will bear.
    pub fn next_attempt(&self) -> u32 {
        self.attempt.as_ref().map_or(1, |attempt| attempt.n + 1)
    }
}

impl Status {
    /// Every status's name, as stored and shown.
    pub const NAMES: [&'static str; 8] = [
        "pending",
        "processing",
        "requires_action",
        "retrying",
        "succeeded",
        "failed",
        "canceled",
        "needs_review",
    ];

    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::RequiresAction => "requires_action",
            Self::Retrying { .. } => "retrying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::NeedsReview { .. } => "needs_review",
        }
    }

    /// Nothing will happen to it any more by itself.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Canceled => true,
            Self::Pending
            | Self::Processing
            | Self::RequiresAction
            | Self::Retrying { .. }
            | Self::NeedsReview { .. } => false,
        }
    }

    /// The gateway has had its say for now: what a caller that waits is waiting for.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Pending | Self::Processing => false,
            Self::RequiresAction
            | Self::Retrying { .. }
            | Self::Succeeded
            | Self::Failed
            | Self::Canceled
            | Self::NeedsReview { .. } => true,
        }
    }
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
            Self::Review { .. } => Kind::Review,
        }
    }

    /// The number of the attempt it speaks of.
    fn attempt(&self) -> Option<u32> {
        match self {
            Self::Send { attempt }
            | Self::NotSent { attempt, .. }
            | Self::Lost { attempt, .. }
            | Self::Answered { attempt, .. }
            | Self::Rejected { attempt, .. }
            | Self::Absent { attempt }
            | Self::Canceled { attempt } => Some(*attempt),
            Self::Due { .. } | Self::Cancel | Self::Review { .. } => None,
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
            | Self::Review { .. } => true,
            Self::Answered { .. } | Self::Rejected { .. } | Self::Cancel | Self::Canceled { .. } => false,
        }
    }
}

/// A payment on its way to its next version.
struct Next<'a> {
    payment: Payment,
    now: Time,
    plan: &'a Plan,
}

impl Next<'_> {
    fn begin(mut self, id: AttemptId) -> Step {
        let attempt = Attempt {
            id,
            n: self.payment.next_attempt(),
            account: self.payment.account.clone(),
            status: AttemptStatus::Sending,
            first_sent_at: self.now,
            charge: None,
            decline: None,
        };
        let detail = format!("attempt {} begins at {}", attempt.n, attempt.account);
        self.payment.attempt = Some(attempt);
        self.payment.status = Status::Processing;
        self.done(detail, vec![])
    }

    /// The attempt stays open under another status; a payment in review stays there.
    fn open(mut self, detail: &str, status: AttemptStatus) -> Step {
        self.set_attempt(status);
        if !self.in_review() {
            self.payment.status = Status::Processing;
        }
        self.done(detail.to_owned(), vec![])
    }

    /// Absence found by the reconciler: its job ends, and the charge has to be carried on by another.
    fn found_absent(self) -> Step {
        let charge = Job::Charge(dunlin_jobs::Charge { payment: self.payment.id });
        let now = self.now;
        let mut step = self.open("the gateway does not know the attempt", AttemptStatus::Planned);
        step.effects.push(Effect::Enqueue(charge, now));
        step
    }

    fn doubt(self, reason: &str) -> Step {
        let reconcile = self.reconcile();
        let mut step = self.open(reason, AttemptStatus::Unknown);
        step.effects.push(reconcile);
        step
    }

    fn hold(mut self, reason: &str) -> Step {
        let reconcile = self.reconcile();
        // A request that may be on the wire while a person looks is a doubt, not a sending.
        if self.payment.attempt.as_ref().is_some_and(|attempt| attempt.status == AttemptStatus::Sending) {
            self.set_attempt(AttemptStatus::Unknown);
        }
        self.payment.status = Status::NeedsReview { reason: reason.to_owned() };
        self.done(reason.to_owned(), vec![reconcile, Effect::Emit(EventType::NeedsReview)])
    }

    fn cancel(mut self) -> Step {
        if self.payment.open_attempt().is_some() {
            self.set_attempt(AttemptStatus::Canceled);
        }
        self.payment.status = Status::Canceled;
        self.done("canceled".to_owned(), vec![Effect::Emit(EventType::Canceled)])
    }

    fn reject(mut self, rejection: Rejection) -> Step {
        self.set_attempt(AttemptStatus::Rejected);
        match rejection {
            Rejection::Invalid(message) => {
                let detail = format!("the gateway refused the request: {message}");
                let decline =
                    Decline { code: "rejected".into(), network_code: None, advice: None, message: Some(message) };
                self.set_decline(decline);
                self.payment.status = Status::Failed;
                self.done(detail, vec![Effect::Emit(EventType::Failed)])
            }
            Rejection::Credentials(message) => {
                self.payment.status = Status::Pending;
                self.done(format!("the gateway refused our credentials: {message}"), vec![])
            }
        }
    }

    fn conclude(mut self, answer: Answer) -> Option<Step> {
        let known = self.payment.attempt.as_ref().map(|attempt| attempt.status);
        self.keep_references(&answer);
        if answer.amount.is_some_and(|amount| amount != self.payment.money) {
            return self.mismatch(known);
        }
        match answer.outcome {
            Outcome::Succeeded => {
                self.set_attempt(AttemptStatus::Succeeded);
                self.payment.status = Status::Succeeded;
                Some(self.done("the gateway captured it".to_owned(), vec![Effect::Emit(EventType::Succeeded)]))
            }
            Outcome::Declined(decline) => Some(self.declined(decline)),
            Outcome::RequiresAction if known == Some(AttemptStatus::RequiresAction) => None,
            Outcome::RequiresAction => {
                let reconcile = self.reconcile();
                self.set_attempt(AttemptStatus::RequiresAction);
                self.payment.status = Status::RequiresAction;
                let effects = vec![reconcile, Effect::Emit(EventType::RequiresAction)];
                Some(self.done("the customer has to act".to_owned(), effects))
            }
            Outcome::Pending if known == Some(AttemptStatus::Pending) => None,
            Outcome::Pending => {
                let reconcile = self.reconcile();
                self.set_attempt(AttemptStatus::Pending);
                self.payment.status = Status::Processing;
                Some(self.done("accepted by the gateway, the result comes later".to_owned(), vec![reconcile]))
            }
        }
    }

    fn declined(mut self, decline: Decline) -> Step {
        self.set_attempt(AttemptStatus::Declined);
        self.payment.declines += 1;
        let tried = Tried { payment: self.payment.id, declines: self.payment.declines };
        let Decided { decision, reason, .. } = self.plan.declines.decide(&decline, tried, self.now);
        self.set_decline(decline);
        let effects = match decision {
            Decision::RetryAt(at) => {
                self.payment.status = Status::Retrying { next_attempt_at: at };
                let retry = Retry { payment: self.payment.id, attempt: self.payment.next_attempt() };
                vec![Effect::Enqueue(Job::Retry(retry), at), Effect::Emit(EventType::Retrying)]
            }
            Decision::NeedCustomer(_) => {
                self.payment.status = Status::RequiresAction;
                vec![Effect::Emit(EventType::RequiresAction)]
            }
            Decision::Stop => {
                self.payment.status = Status::Failed;
                vec![Effect::Emit(EventType::Failed)]
            }
        };
        self.done(reason, effects)
    }

    /// S1.15: money of another amount is not our answer, whatever it says.
    fn mismatch(mut self, known: Option<AttemptStatus>) -> Option<Step> {
        if known == Some(AttemptStatus::Unknown) && self.in_review() {
            return None;
        }
        self.set_attempt(AttemptStatus::Unknown);
        Some(self.hold("the gateway names another amount or currency than was asked for"))
    }

    /// An answer for a payment that has no attempt open for it.
    fn compare(self, answer: Answer) -> Option<Step> {
        let charge = self.payment.attempt.as_ref().and_then(|attempt| attempt.charge.clone());
        match (answer.outcome, &self.payment.status) {
            // A late `processing` or `failed` never moves what is decided (S1.13).
            (Outcome::Declined(_) | Outcome::RequiresAction | Outcome::Pending, _) => None,
            (Outcome::Succeeded, Status::Succeeded) if answer.charge == charge => None,
            (Outcome::Succeeded, Status::Succeeded) => Some(self.duplicate(answer.charge)),
            (Outcome::Succeeded, Status::NeedsReview { .. }) => None,
            (
                Outcome::Succeeded,
                Status::Pending
                | Status::Processing
                | Status::RequiresAction
                | Status::Retrying { .. }
                | Status::Failed
                | Status::Canceled,
            ) => Some(self.contradiction()),
        }
    }

    fn contradiction(mut self) -> Step {
        let reason = format!("the gateway reports a success for a payment that is {}", self.payment.status.name());
        self.payment.status = Status::NeedsReview { reason: reason.clone() };
        self.done(reason, vec![Effect::Emit(EventType::NeedsReview)])
    }

    fn duplicate(self, charge: Option<String>) -> Step {
        let first = self.payment.attempt.clone();
        let n = self.payment.next_attempt();
        let mut step =
            self.done("a second success was found".to_owned(), vec![Effect::Emit(EventType::DuplicateCapture)]);
        step.duplicate =
            first.map(|first| Attempt { n, status: AttemptStatus::Duplicate, charge, decline: None, ..first });
        step
    }

    fn done(mut self, detail: String, effects: Vec<Effect>) -> Step {
        self.payment.version += 1;
        self.payment.updated_at = self.now;
        Step { payment: self.payment, duplicate: None, effects, detail }
    }

    fn reconcile(&self) -> Effect {
        let attempt = self.payment.attempt.as_ref().map_or(1, |attempt| attempt.n);
        let job = Job::Reconcile(Reconcile { payment: self.payment.id, attempt });
        Effect::Enqueue(job, self.now + self.plan.first_poll)
    }

    fn in_review(&self) -> bool {
        matches!(self.payment.status, Status::NeedsReview { .. })
    }

    fn keep_references(&mut self, answer: &Answer) {
        if answer.operation.is_some() {
            self.payment.operation.clone_from(&answer.operation);
        }
        if let (Some(attempt), Some(charge)) = (&mut self.payment.attempt, &answer.charge) {
            attempt.charge = Some(charge.clone());
        }
    }

    fn set_attempt(&mut self, status: AttemptStatus) {
        if let Some(attempt) = &mut self.payment.attempt {
            attempt.status = status;
        }
    }

    fn set_decline(&mut self, decline: Decline) {
        if let Some(attempt) = &mut self.payment.attempt {
            attempt.decline = Some(decline);
        }
    }
}

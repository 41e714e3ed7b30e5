//! Resolving by hand: what a person may say of an outcome that the gateway does not tell, and when it takes two of
//! them (S1.12).

use super::{ASKED_EVERY, Effect, Event, Payment, Step, next::Next};
use crate::domain::{
    attempt::{Answer, Attempt, AttemptStatus},
    clock::Time,
    decline::MOST_ATTEMPTS,
    event::EventType,
    payment::Status,
    table::{Open, Phase, Verdict, verdict},
};
use dunlin_jobs::{Charge, Job, KeyId, ResolutionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of a payment, as a person says. The names are stored and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// The gateway has taken the money.
    Succeeded,
    /// It has taken none, and the payment ends.
    Canceled,
    /// It has taken none, and is asked for it again.
    ChargeAgain,
}

impl Ruling {
    pub const ALL: [Self; 3] = [Self::Succeeded, Self::Canceled, Self::ChargeAgain];

    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
            Self::ChargeAgain => "charge_again",
        }
    }

    /// Whether it takes a second person: it lets a customer be charged again, or makes a charge that is there after
    /// all a surprise.
    pub fn needs_approval(self) -> bool {
        match self {
            Self::Succeeded => false,
            Self::Canceled | Self::ChargeAgain => true,
        }
    }
}

/// Why a person says so, and where that can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grounds {
    pub reason: String,
    /// The gateway's dashboard, or a ticket.
    pub evidence: String,
}

/// What a person says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// The money was taken, as this charge of the gateway's.
    Succeeded {
        id: ResolutionId,
        charge: String,
        /// The payment's operation that the charge is of, as the gateway shows it.
        operation: Option<String>,
        grounds: Grounds,
    },
    /// No money was taken, which somebody else has to agree to.
    Propose { id: ResolutionId, ruling: Ruling, grounds: Grounds },
    /// They agree to what was proposed, which they name, for it may be another by now.
    Approve {
        proposal: ResolutionId,
        ruling: Ruling,
        reason: Option<String>,
        /// Whether the gateway still knows the attempt's key.
        is_key_known: bool,
    },
}

impl Word {
    pub fn ruling(&self) -> Ruling {
        match self {
            Self::Succeeded { .. } => Ruling::Succeeded,
            Self::Propose { ruling, .. } | Self::Approve { ruling, .. } => *ruling,
        }
    }

    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Succeeded { grounds, .. } | Self::Propose { grounds, .. } => Some(&grounds.reason),
            Self::Approve { reason, .. } => reason.as_deref(),
        }
    }
}

/// What was said last of a payment's outcome, by whom, and whether it was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resolution {
    /// By which an approval names it; none where a version before this one has kept it.
    #[serde(default)]
    pub id: Option<ResolutionId>,
    pub outcome: Ruling,
    pub reason: String,
    /// Where it can be seen.
    pub evidence: String,
    /// The API key of whoever said so.
    pub proposed_by: KeyId,
    pub proposed_at: Time,
    /// The API key of whoever agreed, where it takes two.
    pub approved_by: Option<KeyId>,
    /// When it was carried out; until then it is a proposal.
    pub resolved_at: Option<Time>,
}

impl Resolution {
    pub fn is_carried_out(&self) -> bool {
        self.resolved_at.is_some()
    }
}

/// Why a person's word does not count now, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotResolvable {
    #[error("the payment is {0}: only one that needs_review is resolved by hand")]
    Status(&'static str),
    #[error("a request of it is on the wire: wait until its outcome is known, or known to be unknown")]
    OnTheWire,
    #[error(
        "the gateway says that it has attempt {0}, which is not over: cancel the payment, which cancels it there first"
    )]
    Accepted(u32),
    #[error(
        "the gateway has told of money for it: resolve it as succeeded, or as canceled if that money is gone, and \
         make a new payment"
    )]
    Reported,
    #[error("its attempt {0} has succeeded: resolve it as succeeded, and refund it if it should not be paid")]
    Paid(u32),
    #[error("it never had an attempt that a charge could be of: refund the charge at the gateway")]
    NoAttempt,
    #[error(
        "its customer was there, and may not be charged behind their back: resolve it as canceled, and make a new payment"
    )]
    OnSession,
    #[error("it had {MOST_ATTEMPTS} attempts, which is all that a payment may have: resolve it as canceled")]
    TooMany,
    #[error("{0} has proposed the same: read why, and if you agree send approve with the id of its proposal")]
    Proposed(KeyId),
    #[error("nobody has proposed {}: look at the payment's resolution", .0.name())]
    NotProposed(Ruling),
    #[error("{0} is not what is proposed, or not any more: look at the payment's resolution")]
    OtherProposal(ResolutionId),
    #[error("whoever proposed it cannot approve it too: somebody else has to, with an API key of their own")]
    SamePerson,
}

impl Payment {
    /// Since when two people want it charged again, if they do.
    pub fn wanted_again_at(&self) -> Option<Time> {
        let said = self.resolution.as_ref().filter(|said| said.outcome == Ruling::ChargeAgain);
        said.and_then(|said| said.resolved_at)
    }

    /// The attempt whose outcome nobody knew, and beside which two people want a new one.
    pub fn set_aside_attempt(&self) -> Option<&Attempt> {
        let is_set_aside = |attempt: &&Attempt| attempt.status == AttemptStatus::Canceled;
        self.attempt.as_ref().filter(is_set_aside).filter(|_| self.wanted_again_at().is_some())
    }

    /// Whether its success is a person's word.
    pub fn is_paid_by_hand(&self) -> bool {
        let is_word = |it: &Resolution| it.outcome == Ruling::Succeeded && it.is_carried_out();
        self.resolution.as_ref().is_some_and(is_word)
    }

    /// Whether people have said of the attempt, whose outcome nobody knew, that it took nothing; what comes after it is by
    /// an operation of its own. So has who names a charge that nothing shows as the payment's: it was made by hand.
    pub fn is_set_aside(&self, attempt: &Attempt) -> bool {
        let is_followed = self.attempt.as_ref().is_some_and(|latest| latest.n > attempt.n);
        let is_word = |it: &Resolution| it.is_carried_out() && it.outcome.needs_approval();
        // Where its operation is known, the gateway cancels that, and so tells of a charge.
        let is_last = self.operation.is_none() && self.resolution.as_ref().is_some_and(is_word);
        let is_paid_otherwise = self.operation.is_none() && self.is_paid_by_hand() && !is_followed;
        match attempt.status {
            AttemptStatus::Canceled => is_followed || is_last,
            AttemptStatus::Succeeded => is_paid_otherwise,
            AttemptStatus::Planned
            | AttemptStatus::Sending
            | AttemptStatus::Unknown
            | AttemptStatus::Pending
            | AttemptStatus::RequiresAction
            | AttemptStatus::Declined
            | AttemptStatus::Rejected
            | AttemptStatus::Duplicate => false,
        }
    }

    /// The proposal that waits for its second person.
    pub fn proposal(&self) -> Option<&Resolution> {
        self.resolution.as_ref().filter(|resolution| !resolution.is_carried_out())
    }

    /// Whether what a person says counts; anything else that happens is none of this question's business.
    pub fn resolvable(&self, event: &Event) -> Result<(), NotResolvable> {
        let Event::Resolve { by, word } = event else { return Ok(()) };
        let ruling = word.ruling();
        if verdict(self.phase(), event.kind()) != Verdict::Resolve {
            return Err(self.not_now());
        }
        if ruling == Ruling::ChargeAgain && self.session.is_on() {
            return Err(NotResolvable::OnSession);
        }
        if ruling == Ruling::ChargeAgain && self.next_attempt() > MOST_ATTEMPTS {
            return Err(NotResolvable::TooMany);
        }
        let paid = self.attempt.as_ref().filter(|attempt| attempt.status == AttemptStatus::Succeeded);
        if let (Ruling::Canceled, Some(attempt)) = (ruling, paid) {
            return Err(NotResolvable::Paid(attempt.n));
        }
        if ruling == Ruling::Succeeded && self.attempt.is_none() {
            return Err(NotResolvable::NoAttempt);
        }
        let proposed = self.proposal().filter(|proposal| proposal.outcome == ruling);
        match (word, proposed.map(|proposed| (proposed.proposed_by, proposed.id))) {
            (Word::Propose { .. }, Some((first, _))) if first != *by => Err(NotResolvable::Proposed(first)),
            (Word::Approve { .. }, None) => Err(NotResolvable::NotProposed(ruling)),
            (Word::Approve { proposal, .. }, Some((_, id))) if id != Some(*proposal) => {
                Err(NotResolvable::OtherProposal(*proposal))
            }
            (Word::Approve { .. }, Some((first, _))) if first == *by => Err(NotResolvable::SamePerson),
            (Word::Succeeded { .. } | Word::Propose { .. }, _) | (Word::Approve { .. }, Some(_)) => Ok(()),
        }
    }

    /// Why the table refuses.
    fn not_now(&self) -> NotResolvable {
        let n = self.attempt.as_ref().map_or(0, |attempt| attempt.n);
        match self.phase() {
            Phase::Review(Open::Sending) => NotResolvable::OnTheWire,
            Phase::Review(Open::Settling | Open::Acting) => NotResolvable::Accepted(n),
            Phase::Disputed => NotResolvable::Reported,
            Phase::Review(Open::Planned | Open::Unknown)
            | Phase::Pending
            | Phase::Open(_)
            | Phase::Retrying
            | Phase::NeedsCustomer
            | Phase::Succeeded
            | Phase::Failed
            | Phase::Canceled => NotResolvable::Status(self.status.name()),
        }
    }
}

impl Next<'_> {
    /// A person's word, whose place and right were checked; nothing new where they say again what they said.
    pub(super) fn resolve(self, by: KeyId, word: Word) -> Option<Step> {
        match word {
            Word::Succeeded { id, charge, operation, grounds } => {
                let said = self.said(by, (id, Ruling::Succeeded), grounds);
                Some(self.paid_after_all(charge, operation, said))
            }
            Word::Propose { id, ruling, grounds } => self.propose(by, (id, ruling), grounds),
            Word::Approve { ruling, reason, is_key_known, .. } => {
                self.approve(by, reason.as_deref(), ruling, is_key_known)
            }
        }
    }

    fn propose(mut self, by: KeyId, said: (ResolutionId, Ruling), grounds: Grounds) -> Option<Step> {
        let ruling = said.1;
        let proposal = self.said(by, said, grounds);
        let same = |open: &Resolution| {
            Resolution { id: open.id, proposed_at: open.proposed_at, ..proposal.clone() } == *open
        };
        if self.payment.proposal().is_some_and(same) {
            return None;
        }
        let detail = format!("{} is proposed: {}", ruling.name(), in_words(&proposal));
        self.payment.resolution = Some(proposal);
        Some(self.stepped(detail, vec![]))
    }

    fn approve(
        mut self,
        by: KeyId,
        reason: Option<&str>,
        ruling: Ruling,
        is_key_known: bool,
    ) -> Option<Step> {
        let proposal = self.payment.resolution.take()?;
        let agreed = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let detail = format!(
            "{} is approved{agreed}; {} proposed it: {}",
            ruling.name(),
            proposal.proposed_by,
            in_words(&proposal)
        );
        self.payment.resolution =
            Some(Resolution { approved_by: Some(by), resolved_at: Some(self.now), ..proposal });
        match ruling {
            Ruling::Canceled => Some(self.never_charged(detail)),
            Ruling::ChargeAgain => Some(self.charged_again(detail, is_key_known)),
            // It takes nobody's approval, so nothing of it was ever proposed.
            Ruling::Succeeded => None,
        }
    }

    /// The latest attempt takes the charge, for the gateway's word on that money is kept with it too. What is payable of
    /// the payment beside that charge is withdrawn.
    fn paid_after_all(mut self, charge: String, operation: Option<String>, said: Resolution) -> Step {
        let detail = format!("resolved as succeeded, by {charge}: {}", in_words(&said));
        self.payment.resolution = Some(Resolution { resolved_at: Some(self.now), ..said });
        self.set_attempt(AttemptStatus::Succeeded);
        self.payment.operation = operation;
        if let Some(attempt) = &mut self.payment.attempt {
            attempt.charge = Some(charge);
            attempt.decline = None;
        }
        self.payment.status = Status::Succeeded;
        self.done(detail, vec![Effect::Emit(EventType::Succeeded)])
    }

    /// Should the gateway have something open of it after all, that is canceled there, and money that is there comes
    /// to light by it.
    fn never_charged(mut self, detail: String) -> Step {
        let is_doubt = self.payment.open_attempt().is_some_and(|it| it.status != AttemptStatus::Planned);
        let later = (is_doubt && self.payment.operation.is_none()).then(|| self.later_question());
        if self.payment.open_attempt().is_some() {
            self.set_attempt(AttemptStatus::Canceled);
        }
        self.payment.status = Status::Canceled;
        let withdraw = self.withdraw().map(|job| Effect::Hasten(job, self.now));
        let effects = withdraw.into_iter().chain(later).chain([Effect::Emit(EventType::Canceled)]).collect();
        self.done(detail, effects)
    }

    /// While the gateway knows the attempt's key, the same bytes under it cannot charge twice, whoever was wrong. What
    /// people say proves nothing of the first send, so the attempt stays a doubt, and its question sends them again. A
    /// key that is forgotten protects nobody; a new attempt has its own, and its own questions.
    fn charged_again(mut self, detail: String, is_key_known: bool) -> Step {
        let (reconcile, soon) = self.question();
        let charge = Job::Charge(Charge { payment: self.payment.id });
        let is_unsent = self.payment.open_attempt().is_some_and(|it| it.status == AttemptStatus::Planned);
        let effects = if is_unsent {
            self.payment.status = Status::Processing;
            // The attempt's question waits for hours by now, and a new doubt would have to wait with it.
            vec![Effect::Hasten(charge, self.now), Effect::Hasten(reconcile, soon)]
        } else if is_key_known {
            self.payment.status = Status::Processing;
            vec![Effect::Hasten(reconcile, self.now)]
        } else {
            self.set_attempt(AttemptStatus::Canceled);
            self.payment.status = Status::Pending;
            vec![Effect::Hasten(charge, self.now), self.later_question()]
        };
        self.done(detail, effects)
    }

    /// What was set aside is asked after for a while, should it have been charged after all.
    fn later_question(&self) -> Effect {
        Effect::Enqueue(self.question().0, self.now + ASKED_EVERY)
    }

    fn said(&self, by: KeyId, (id, outcome): (ResolutionId, Ruling), grounds: Grounds) -> Resolution {
        let Grounds { reason, evidence } = grounds;
        Resolution {
            id: Some(id),
            outcome,
            reason,
            evidence,
            proposed_by: by,
            proposed_at: self.now,
            approved_by: None,
            resolved_at: None,
        }
    }

    /// Whether the answer tells of the charge that was on record when two people said that it took nothing, or not any more.
    pub(super) fn is_gone_by_hand(&self, answer: &Answer) -> bool {
        let is_word = |it: &Resolution| it.outcome == Ruling::Canceled && it.is_carried_out();
        let known = self.payment.attempt.as_ref().and_then(|attempt| attempt.charge.as_ref());
        known.is_some()
            && known == answer.charge.as_ref()
            && self.payment.resolution.as_ref().is_some_and(is_word)
    }
}

fn in_words(resolution: &Resolution) -> String {
    format!("{} (evidence: {})", resolution.reason, resolution.evidence)
}

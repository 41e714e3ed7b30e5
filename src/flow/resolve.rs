//! Resolving by hand: a person says what became of a payment in review, and a second one agrees where money might be
//! taken by it (S1.12).

use super::{
    FlowError, Flows,
    evidence::{self, Evidence},
    exchange::About,
    payments::{check_short_text, check_text},
};
use crate::{
    domain::{
        attempt::AttemptStatus,
        payment::{Event, Grounds, NotResolvable, Payment, Ruling, Word},
    },
    store::{KeyHolder, change::Key},
};
use dunlin_jobs::{PaymentId, ResolutionId};

/// What a person says, its shape checked, its meaning not.
#[derive(Debug, Clone)]
pub struct Request {
    pub outcome: Ruling,
    pub reason: Option<String>,
    pub evidence: Option<String>,
    pub charge: Option<String>,
    /// The proposal that is agreed to.
    pub approve: Option<ResolutionId>,
    pub key: Key,
}

impl Flows {
    /// Takes a person's word on a payment in review, once under its key; says whether it was the first time.
    pub async fn resolve_payment(
        &self,
        by: &KeyHolder,
        id: PaymentId,
        request: Request,
    ) -> Result<(Payment, bool), FlowError> {
        let key = request.key.clone();
        match self.resolve(by, id, request).await {
            Ok(resolved) => Ok(resolved),
            Err(error) => self.recall_wish(by.owner, &key, error).await,
        }
    }

    async fn resolve(
        &self,
        by: &KeyHolder,
        id: PaymentId,
        request: Request,
    ) -> Result<(Payment, bool), FlowError> {
        let payment = self.load_payment(by.owner, id).await?;
        let key = request.key.clone();
        let id_of_word = ResolutionId::mint(self.now(&payment), self.clock().random());
        let mut word = read(request, id_of_word)?;
        if let Word::Approve { ruling, is_key_known, .. } = &mut word {
            *is_key_known = self.is_key_known(&payment, *ruling).await?;
        }
        let ruling = word.ruling();
        let mut event = Event::Resolve { by: by.key, word };
        // Refused now rather than when it is committed, for it may make sense by then, and the charge was not looked up.
        payment.resolvable(&event).map_err(|why| explain(&why).with(id))?;
        if let Event::Resolve { word: Word::Succeeded { charge, operation, .. }, .. } = &mut event {
            *operation = self.check_named_charge(&payment, charge).await?;
        }
        let wished = self.wish(by, &payment, event, key).await;
        let (payment, fresh) = wished.map_err(|error| FlowError::from(error).with(id))?;
        if fresh {
            let what = if payment.proposal().is_some() { "is proposed to be" } else { "is resolved as" };
            tracing::warn!(payment.id = %id, key.id = %by.key, "{id} {what} {}", ruling.name());
        }
        Ok((payment, fresh))
    }

    /// Whether the gateway still answers the attempt's bytes by their key rather than executing them anew, which makes
    /// it safe to charge again. Else what it may have taken has to be there to be seen by whoever says that it is not.
    async fn is_key_known(&self, payment: &Payment, ruling: Ruling) -> Result<bool, FlowError> {
        let Some(attempt) = payment.open_attempt().filter(|attempt| attempt.status == AttemptStatus::Unknown)
        else {
            return Ok(false);
        };
        let exchanges = self.list_exchanges(About::Attempt(payment.id, attempt.n)).await?;
        let traits = self.account(payment)?.gateway.traits();
        let evidence = Evidence { traits, exchanges: &exchanges, now: self.evidence_time(payment) };
        if ruling == Ruling::ChargeAgain && evidence.may_resend(attempt.first_sent_at) {
            return Ok(true);
        }
        let last_sent_at = evidence::last_sent_at(&exchanges).unwrap_or(attempt.first_sent_at);
        let shows_from = evidence.shows_from(last_sent_at);
        if evidence.now < shows_from {
            let detail = format!(
                "what was sent last may come to light at the gateway until {}: look there again then",
                shows_from.format("%Y-%m-%d %H:%M:%S UTC")
            );
            return Err(FlowError::Conflict { code: NOT_RESOLVABLE, detail, payment: Some(payment.id) });
        }
        Ok(false)
    }
}

const NOT_RESOLVABLE: &str = "payment_not_resolvable";

/// What is meant, or what is wrong with it.
fn read(request: Request, id: ResolutionId) -> Result<Word, FlowError> {
    let Request { outcome, reason, evidence, charge, approve, .. } = request;
    check_text("reason", reason.as_deref())?;
    check_text("evidence", evidence.as_deref())?;
    charge.as_deref().map_or(Ok(()), |charge| check_short_text("charge", charge))?;
    if let (Ruling::Canceled | Ruling::ChargeAgain, Some(_)) = (outcome, &charge) {
        return Err(invalid("charge", "no money was taken, so there is no charge: leave it out"));
    }
    if let Some(proposal) = approve {
        return match (outcome.needs_approval(), evidence) {
            (false, _) => Err(invalid("approve", "succeeded takes one person: leave approve out")),
            (true, Some(_)) => Err(invalid("evidence", "the proposal has it: leave it out")),
            (true, None) => Ok(Word::Approve { proposal, ruling: outcome, reason, is_key_known: false }),
        };
    }
    let reason = reason.ok_or_else(|| invalid("reason", "say why you are sure"))?;
    let evidence =
        evidence.ok_or_else(|| invalid("evidence", "say where it can be seen, by a URL or a ticket"))?;
    let grounds = Grounds { reason, evidence };
    match (outcome, charge) {
        (Ruling::Succeeded, Some(charge)) => Ok(Word::Succeeded { id, charge, operation: None, grounds }),
        (Ruling::Succeeded, None) => Err(invalid("charge", "send the gateway's id of the charge")),
        (Ruling::Canceled | Ruling::ChargeAgain, _) => Ok(Word::Propose { id, ruling: outcome, grounds }),
    }
}

/// Why a person's word does not count, for whoever said it.
pub(super) fn explain(why: &NotResolvable) -> FlowError {
    let code = match why {
        NotResolvable::Proposed(_) => "already_proposed",
        NotResolvable::NotProposed(_) | NotResolvable::OtherProposal(_) => "not_proposed",
        NotResolvable::SamePerson => "second_approver_needed",
        NotResolvable::Status(_)
        | NotResolvable::OnTheWire
        | NotResolvable::Accepted(_)
        | NotResolvable::Reported
        | NotResolvable::Paid(_)
        | NotResolvable::NoAttempt
        | NotResolvable::OnSession
        | NotResolvable::TooMany => NOT_RESOLVABLE,
    };
    FlowError::Conflict { code, detail: why.to_string(), payment: None }
}

/// Whose the charge is, is not told: it may be another tenant's.
pub(super) fn taken() -> FlowError {
    invalid("charge", "this charge is on record as another attempt's: compare the gateway's dashboard")
}

pub(super) fn invalid(field: &str, detail: &str) -> FlowError {
    FlowError::Invalid { field: field.to_owned(), detail: detail.to_owned() }
}

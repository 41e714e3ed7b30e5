//! Unfit: what the database does not take, however often it comes. It never stands in the way of anything: the answer is not
//! applied, what was heard is kept as far as it can be, and a person looks.

use super::{Flows, Worked};
use crate::{
    domain::{hold_reason::HoldReason, payment::Event, refund},
    store::{
        StoreError, Unfit,
        change::{Closing, CommitError, Committed, ExchangeWrite, JobEnd, Subject},
        claim::Claimed,
    },
};
use dunlin_jobs::{PaymentId, RefundId};

/// What is left of a step whose facts the database does not take.
pub(super) struct Rest {
    about: About,
    closings: Vec<Closing>,
    end: JobEnd,
}

/// What the facts were about.
enum About {
    /// A gateway's word on a payment, and the charge that it named.
    Payment(PaymentId, Option<String>),
    Refund(PaymentId, RefundId),
    /// An exchange alone, or the end of a job.
    Note,
    /// Something that was about to begin: nothing has happened.
    Intent,
}

impl Rest {
    pub(super) fn of(step: &Worked) -> Self {
        let opens = step.exchanges.iter().any(|exchange| matches!(exchange, ExchangeWrite::Open(_)));
        let about = match &step.subject {
            _ if opens => About::Intent,
            Subject::Event(payment, Event::Answered { answer, .. }) => {
                About::Payment(*payment, answer.charge.clone())
            }
            Subject::Event(payment, _) => About::Payment(*payment, None),
            Subject::RefundEvent(payment, refund, _) => About::Refund(*payment, *refund),
            Subject::Note | Subject::Fact(..) => About::Note,
            Subject::Create(_) | Subject::Wish(_) | Subject::Job(_) | Subject::Refund(_) => About::Intent,
        };
        let closing = |exchange: &ExchangeWrite| match exchange {
            ExchangeWrite::Open(_) => None,
            ExchangeWrite::Close(closing) => Some(closing.clone()),
        };
        Self { about, closings: step.exchanges.iter().filter_map(closing).collect(), end: step.end.clone() }
    }
}

impl Flows {
    /// Commits what can be committed in the place of a step that cannot, in at most three tries.
    pub(super) async fn do_without(
        &self,
        claimed: &Claimed,
        rest: Rest,
        why: &Unfit,
    ) -> Result<Committed, CommitError> {
        let reason = self.explain(&rest.about, why).await;
        tracing::error!(job.id = %claimed.lease.job, "{}: {reason}", claimed.lease.job);
        let review = match &rest.about {
            About::Payment(payment, _) => {
                Some(Subject::Event(*payment, Event::Contradicted { reason: reason.clone() }))
            }
            About::Refund(payment, refund) => {
                // What was on the wire is a doubt from now on; what was one already stays it.
                let lost = refund::Event::Lost { reason: reason.clone(), operation: None };
                let subject = Subject::RefundEvent(*payment, *refund, lost);
                let doubt = Worked { subject, exchanges: Vec::new(), end: JobEnd::Keep };
                match self.commit_worked(claimed, doubt).await {
                    Ok(_) | Err(CommitError::RefundRefused(_)) => {}
                    Err(error) => return Err(error),
                }
                let event = refund::Event::Review { reason: reason.clone() };
                Some(Subject::RefundEvent(*payment, *refund, event))
            }
            About::Note => None,
            About::Intent => {
                let end = JobEnd::Park(HoldReason::Invalid, reason);
                return self.commit_worked(claimed, Worked::note(end)).await;
            }
        };
        // Where the charge alone is at fault, the answer itself can be kept.
        let answers_fit = matches!(why, Unfit::ChargeSeen | Unfit::RefundSeen);
        let exchanges = || rest.closings.iter().map(|closing| closing.without_answer(answers_fit)).collect();
        if let Some(subject) = review {
            let step = Worked { subject, exchanges: exchanges(), end: rest.end.clone() };
            match self.commit_worked(claimed, step).await {
                // A person looks already, or the refund is over.
                Err(
                    CommitError::Refused(_)
                    | CommitError::RefundRefused(_)
                    | CommitError::Store(StoreError::Unfit(_)),
                ) => {}
                result => return result,
            }
        }
        let end = match rest.end {
            // A note closes no attempt, so what asks goes on asking.
            JobEnd::AgainWhileOpen(at) => JobEnd::Again(at),
            end @ (JobEnd::Keep
            | JobEnd::Done
            | JobEnd::DoneAt(_)
            | JobEnd::Again(_)
            | JobEnd::Failed(..)
            | JobEnd::Park(..)) => end,
        };
        let note = |exchanges, end| Worked { subject: Subject::Note, exchanges, end };
        match self.commit_worked(claimed, note(exchanges(), end.clone())).await {
            Err(CommitError::Store(StoreError::Unfit(_))) => {
                self.commit_worked(claimed, note(Vec::new(), end)).await
            }
            result => result,
        }
    }

    async fn explain(&self, about: &About, why: &Unfit) -> String {
        match (why, about) {
            (Unfit::ChargeSeen, About::Payment(payment, Some(charge))) => {
                let whose = match self.owner_of(*payment, charge).await {
                    Some((owner, n)) => format!("attempt {n} of {owner} has"),
                    None => "another attempt has".to_owned(),
                };
                format!(
                    "the gateway names the charge {charge}, which {whose} already: nothing was concluded from it"
                )
            }
            (Unfit::RefundSeen, _) => {
                "the gateway names a refund that another one has already: nothing was concluded from it"
                    .to_owned()
            }
            (Unfit::ChargeSeen | Unfit::Other(_), _) => {
                format!("what was to be written cannot be, so nothing was concluded from it ({why})")
            }
        }
    }

    async fn owner_of(&self, payment: PaymentId, charge: &str) -> Option<(PaymentId, u32)> {
        let payment = self.store.find_payment(payment).await.ok()??;
        self.store.find_charge(&payment.account, charge).await.ok()?
    }
}

impl Closing {
    /// How the exchange ended, with the gateway's own texts only where they fit.
    fn without_answer(&self, fits: bool) -> ExchangeWrite {
        if fits {
            return ExchangeWrite::Close(self.clone());
        }
        let verdict = "an answer that could not be kept".to_owned();
        ExchangeWrite::Close(Self { verdict, answer: None, ..self.clone() })
    }
}

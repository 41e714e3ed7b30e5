//! Reconcile: finds out what became of an attempt that is still open. A lost answer is a question to ask,
//! never a reason to charge again.

use super::{
    FlowError, Flows, Worked, abandoned,
    evidence::{self, Absence, Evidence},
    exchange::{About, By, Talk},
    identity::IDENTITY_SOON,
    inquiry::Inquiry,
    late_charge, withdraw,
};
use crate::{
    domain::{
        attempt::{Attempt, AttemptStatus, Outcome, Rejection},
        clock::Time,
        payment::{ASKED_EVERY, Event, Payment},
    },
    failpoint::Point,
    gateway::{Account, Finding, Reading, Reply, Send},
    store::{
        change::{CommitError, Exchange, ExchangeWrite, JobEnd},
        claim::Claimed,
    },
};
use chrono::TimeDelta;
use dunlin_jobs::Reconcile;

/// Works on a reconcile job.
pub async fn run(flows: &Flows, claimed: &Claimed, job: Reconcile) -> Result<(), FlowError> {
    let Some(payment) = flows.store.payment_of(claimed, job.payment).await? else {
        return flows.end_job(&claimed.lease, super::not_there("its payment does not exist")).await;
    };
    flows.store.pass(Point::DoubtLooked).await?;
    let Some(attempt) = payment.attempt.as_ref().filter(|attempt| attempt.n == job.attempt).cloned() else {
        return late_charge::run(flows, claimed, &payment, job.attempt).await;
    };
    let look = Look { flows, claimed, payment: &payment, attempt: &attempt };
    if withdraw::is_due(flows, &payment, &attempt) {
        flows.withdraw(&payment, attempt.n).await?;
    }
    if attempt.status.is_open() && !flows.is_identified(&payment.account) {
        return look.wait_for_identity().await;
    }
    match attempt.status {
        AttemptStatus::Unknown if look.cannot_be_asked()? => look.leave_to_a_person().await,
        AttemptStatus::Unknown => {
            look.review_if_overdue().await?;
            look.resolve().await
        }
        AttemptStatus::Pending | AttemptStatus::RequiresAction => {
            look.review_if_overdue().await?;
            look.ask(&[], attempt.first_sent_at).await
        }
        AttemptStatus::Sending => look.soon().await,
        AttemptStatus::Declined | AttemptStatus::Rejected if payment.is_payable() => {
            look.ask_whether_paid().await
        }
        AttemptStatus::Canceled => late_charge::run(flows, claimed, &payment, attempt.n).await,
        AttemptStatus::Succeeded if payment.is_set_aside(&attempt) => {
            late_charge::run(flows, claimed, &payment, attempt.n).await
        }
        // Nothing is at the gateway: the charge job carries on, or a person decides. Or nothing is left to do.
        AttemptStatus::Planned
        | AttemptStatus::Succeeded
        | AttemptStatus::Declined
        | AttemptStatus::Rejected
        | AttemptStatus::Duplicate => flows.end_job(&claimed.lease, JobEnd::DoneAt(payment.version)).await,
    }
}

/// One look at one attempt.
struct Look<'a> {
    flows: &'a Flows,
    claimed: &'a Claimed,
    payment: &'a Payment,
    attempt: &'a Attempt,
}

impl Look<'_> {
    /// The steps of S1.9 in their order: the same bytes again where that is safe, else a question.
    async fn resolve(&self) -> Result<(), FlowError> {
        let exchanges = self.flows.list_exchanges(self.about()).await?;
        let first_sent_at = self.attempt.first_sent_at;
        let evidence = self.evidence(&exchanges)?;
        if let Some(mismatched_at) = evidence.mismatched_at() {
            self.review_mismatch(mismatched_at).await?;
        }
        let may_resend = evidence.may_resend(first_sent_at);
        let Some(first) = evidence::first_send(&exchanges).filter(|_| may_resend) else {
            // Absence is evidence only well after the request last left.
            let Payment { created_at, livemode, .. } = *self.payment;
            let last_sent_at = self.flows.last_sent_at(&exchanges, created_at, livemode).await?;
            return self.ask(&exchanges, last_sent_at.unwrap_or(first_sent_at)).await;
        };
        // Where people want it charged again, the gateway's own word on the first send comes first.
        let is_wanted = self.payment.wanted_again_at().is_some();
        if is_wanted && self.is_settled_by_asking().await? {
            return Ok(());
        }
        if self.resend(first).await? {
            return Ok(());
        }
        if is_wanted {
            return self.again().await;
        }
        self.ask(&exchanges, self.flows.evidence_time(self.payment)).await
    }

    fn evidence<'e>(&'e self, exchanges: &'e [Exchange]) -> Result<Evidence<'e>, FlowError> {
        let traits = self.flows.account(self.payment)?.gateway.traits();
        Ok(Evidence { traits, exchanges, now: self.flows.evidence_time(self.payment) })
    }

    /// S2.10: the gateway knows neither keys nor our reference, and its own id never reached us.
    fn cannot_be_asked(&self) -> Result<bool, FlowError> {
        let traits = self.flows.account(self.payment)?.gateway.traits();
        Ok(traits.runs_at_most_once() && self.payment.operation.is_none())
    }

    /// In another account nothing is to be found, and the same bytes would be executed once more.
    async fn wait_for_identity(&self) -> Result<(), FlowError> {
        self.review_if_overdue().await?;
        let at = self.flows.now(self.payment) + IDENTITY_SOON;
        let error = format!("it is not known yet whose account {} is", self.payment.account);
        // It is no look, and spends nothing of the schedule.
        self.flows.end_job(&self.claimed.lease, JobEnd::Failed(at, error)).await
    }

    async fn leave_to_a_person(&self) -> Result<(), FlowError> {
        let reason =
            format!("the outcome of attempt {} is unknown, and the gateway cannot be asked", self.attempt.n);
        self.review(reason).await?;
        self.flows.end_job(&self.claimed.lease, JobEnd::Done).await
    }

    /// Asks before anything is sent; true when that settled the matter, or the job has passed on.
    async fn is_settled_by_asking(&self) -> Result<bool, FlowError> {
        let Self { flows, claimed, payment, attempt } = *self;
        let inquiry = Inquiry { flows, claimed, payment, attempt };
        if !inquiry.is_possible()? {
            return Ok(false);
        }
        let Some((finding, closing)) = inquiry.ask().await? else { return Ok(true) };
        let attempt = attempt.n;
        match finding {
            Finding::Answered(answer) => {
                self.conclude(Event::Answered { attempt, answer }, closing).await.map(|()| true)
            }
            Finding::Canceled => self.conclude(Event::Canceled { attempt }, closing).await.map(|()| true),
            Finding::Absent | Finding::More(_) | Finding::Nothing(_) => {
                self.note(closing).await.map(|()| false)
            }
        }
    }

    /// Sends the same bytes under the same key; true when that settled the matter.
    async fn resend(&self, first: &Exchange) -> Result<bool, FlowError> {
        let Self { flows, payment, .. } = *self;
        let account = flows.account(payment)?;
        flows.store.pass(Point::Resending).await?;
        let read = |reply: &Reply| account.gateway.read_charge(payment, Send::Again, reply);
        let Some((reading, closing)) = self.talk(account).resend(first, read).await? else { return Ok(true) };
        let attempt = self.attempt.n;
        match reading {
            Reading::Answered(answer) => {
                let answer = Box::pin(self.talk(account).complete(answer)).await;
                self.conclude(Event::Answered { attempt, answer }, closing).await?;
                Ok(true)
            }
            Reading::Rejected(Rejection::Refused(refusal)) => {
                let fate = self.flows.sort(self.payment, &refusal).await?.fate;
                self.conclude(Event::Rejected { attempt, refusal, fate }, closing).await?;
                Ok(true)
            }
            Reading::Rejected(Rejection::Credentials(_))
            | Reading::NotSent(_)
            | Reading::Unknown(_)
            | Reading::StoredError(_)
            | Reading::Unreadable { .. }
            | Reading::Mismatch(_) => {
                reading.alert(self.payment);
                self.note(closing).await?;
                if matches!(reading, Reading::Mismatch(_)) {
                    self.review_mismatch(flows.evidence_time(payment)).await?;
                }
                Ok(false)
            }
        }
    }

    /// Asks the gateway by its own id, or by a complete listing.
    async fn ask(&self, exchanges: &[Exchange], last_sent_at: Time) -> Result<(), FlowError> {
        let Self { flows, claimed, payment, attempt } = *self;
        let inquiry = Inquiry { flows, claimed, payment, attempt };
        if !inquiry.is_possible()? {
            return self.again().await;
        }
        let Some((finding, closing)) = inquiry.ask().await? else { return Ok(()) };
        let attempt = attempt.n;
        match finding {
            Finding::Answered(answer) => self.conclude(Event::Answered { attempt, answer }, closing).await,
            Finding::Canceled => self.conclude(Event::Canceled { attempt }, closing).await,
            Finding::Absent => self.absent(last_sent_at, exchanges, closing).await,
            Finding::More(_) | Finding::Nothing(_) => {
                self.note(closing).await?;
                self.again().await
            }
        }
    }

    /// What was declined, and only its customer can still pay, is asked after daily (S1.21).
    async fn ask_whether_paid(&self) -> Result<(), FlowError> {
        let Self { flows, claimed, payment, attempt } = *self;
        let inquiry = Inquiry { flows, claimed, payment, attempt };
        let Some((finding, closing)) = inquiry.ask().await? else { return Ok(()) };
        let attempt = attempt.n;
        match finding {
            Finding::Answered(answer) if answer.outcome == Outcome::Succeeded => {
                self.conclude(Event::Answered { attempt, answer }, closing).await
            }
            Finding::Canceled => self.conclude(Event::Withdrawn { attempt }, closing).await,
            Finding::Answered(_) | Finding::Absent | Finding::More(_) | Finding::Nothing(_) => {
                self.note(closing).await?;
                let tomorrow = flows.now(payment) + ASKED_EVERY;
                flows.end_job(&claimed.lease, JobEnd::Again(tomorrow)).await
            }
        }
    }

    /// Nothing was found. That is evidence only late enough, and only twice, and never against the gateway's own
    /// word that it has the attempt (S1.9, S1.17).
    async fn absent(
        &self,
        last_sent_at: Time,
        exchanges: &[Exchange],
        closing: ExchangeWrite,
    ) -> Result<(), FlowError> {
        let may_count = self.attempt.status == AttemptStatus::Unknown && !evidence::was_accepted(exchanges);
        let evidence = self.evidence(exchanges)?;
        match if may_count { evidence.absence(last_sent_at) } else { Absence::ProvesNothing } {
            Absence::Proven => {
                let attempt = self.attempt.n;
                self.conclude(Event::Absent { attempt }, closing.proven_absent()).await
            }
            Absence::First { again_in } => {
                self.note(closing).await?;
                let again_at = self.flows.now(self.payment) + again_in;
                self.flows.end_job(&self.claimed.lease, JobEnd::Again(again_at)).await
            }
            Absence::ProvesNothing => {
                self.note(closing).await?;
                self.again().await
            }
        }
    }

    /// Runs exactly what a synchronous answer runs (S1.14), and ends the job if the attempt is closed by it.
    async fn conclude(&self, event: Event, closing: ExchangeWrite) -> Result<(), FlowError> {
        let absent = matches!(event, Event::Absent { .. });
        // After absence the charge job carries on.
        let end = if absent { JobEnd::Done } else { JobEnd::AgainWhileOpen(self.next_poll()) };
        let step = Worked::event(self.payment, event, end).with(closing.clone());
        self.flows.store.pass(Point::Concluding).await?;
        let result = self.flows.happen(self.claimed, step).await;
        self.flows.store.pass(Point::Concluded).await?;
        match result {
            Ok(committed) => {
                super::charge::tell(committed.payment.as_ref().filter(|_| committed.fresh));
                Ok(())
            }
            Err(CommitError::LeaseLost) => self.flows.keep(closing.unproven()).await,
            Err(CommitError::Refused(_)) => {
                self.flows.keep(closing.unproven()).await?;
                self.again().await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn note(&self, closing: ExchangeWrite) -> Result<(), FlowError> {
        self.flows.keep(closing).await
    }

    /// Asks as soon as after a new doubt, which the request that is on the wire may become.
    async fn soon(&self) -> Result<(), FlowError> {
        let first = self.flows.settings.unknown_polls_s.first().copied().unwrap_or(5);
        let delay = i64::try_from(first).ok().and_then(TimeDelta::try_seconds).unwrap_or(TimeDelta::MAX);
        let at = self.flows.now(self.payment) + delay;
        self.flows.end_job(&self.claimed.lease, JobEnd::Again(at)).await
    }

    /// Asks again later.
    async fn again(&self) -> Result<(), FlowError> {
        self.flows.end_job(&self.claimed.lease, JobEnd::Again(self.next_poll())).await
    }

    /// After a day a person is told, whatever becomes of this look, and asking goes on (S1.10). What was accepted
    /// and never finished is no clearer than what was never answered.
    async fn review_if_overdue(&self) -> Result<(), FlowError> {
        // What people have decided since gets its time too.
        let since = self
            .payment
            .wanted_again_at()
            .map_or(self.attempt.first_sent_at, |at| at.max(self.attempt.first_sent_at));
        let age = self.flows.now(self.payment) - since;
        let limit = i64::try_from(self.flows.settings.review_after_s).unwrap_or(i64::MAX);
        if age.num_seconds() < limit || self.payment.status.review_reason().is_some() {
            return Ok(());
        }
        let Attempt { n, status, .. } = self.attempt;
        self.review(format!("the outcome of attempt {n} is {} for {} h", status.name(), age.num_hours()))
            .await
    }

    /// What was executed under our key nobody here knows: a person has to find out.
    async fn review_mismatch(&self, at: Time) -> Result<(), FlowError> {
        let is_decided = self.payment.wanted_again_at().is_some_and(|wanted_at| at <= wanted_at);
        if is_decided || self.payment.status.review_reason().is_some() {
            return Ok(());
        }
        let n = self.attempt.n;
        self.review(format!(
            "the gateway has executed another request than ours under the key of attempt {n}"
        ))
        .await
    }

    async fn review(&self, reason: String) -> Result<(), FlowError> {
        tracing::error!(payment.id = %self.payment.id, "{} needs a look: {reason}", self.payment.id);
        let step = Worked::event(self.payment, Event::Review { reason }, JobEnd::Keep);
        match self.flows.happen(self.claimed, step).await {
            Ok(_) | Err(CommitError::LeaseLost | CommitError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn about(&self) -> About {
        About::Attempt(self.payment.id, self.attempt.n)
    }

    fn talk<'t>(&'t self, account: &'t Account) -> Talk<'t> {
        Talk { flows: self.flows, by: By::Worker(self.claimed), account, about: self.about() }
    }

    fn next_poll(&self) -> Time {
        let look =
            self.flows.next_look(self.payment.livemode, &self.attempt.id.to_string(), self.claimed.runs);
        let now = self.flows.now(self.payment);
        let deadline = abandoned::deadline(self.flows, self.payment, self.attempt.first_sent_at);
        deadline.filter(|at| *at > now).map_or(look, |at| at.min(look))
    }
}

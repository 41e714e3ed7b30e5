//! Charge: carries a payment through its next attempt.

use super::{
    FlowError, Flows, Worked, abandoned,
    evidence::{self, Evidence},
    exchange::{About, By, Talk, read_first},
    holds::Sorted,
    late_charge, restored, second_look,
    verdict::Verdict,
};
use crate::{
    domain::{
        attempt::Rejection,
        clock::Time,
        hold_reason::HoldReason,
        payment::{Event, Payment},
        rejection::{Fate, Refusal},
        table::{Open, Phase},
    },
    failpoint::Point,
    gateway::{Account, Reading, Reply, Send, client::SendError},
    store::{
        change::{CommitError, Exchange, ExchangeWrite, JobEnd},
        claim::Claimed,
    },
};
use chrono::TimeDelta;
use dunlin_jobs::{AttemptId, PaymentId};

/// How long a job is set aside that has lost its worker again and again, where it is not parked.
pub(super) const SET_ASIDE: TimeDelta = TimeDelta::hours(1);
/// How soon a payment is looked at again whose payer disputes what was charged.
const WHILE_DISPUTED: TimeDelta = TimeDelta::hours(6);

/// Works on a charge or retry job. Its first act is to look.
pub async fn run(flows: &Flows, claimed: &Claimed, payment: PaymentId) -> Result<(), FlowError> {
    let Some(payment) = flows.store.payment_of(claimed, payment).await? else {
        return flows.end_job(&claimed.lease, super::not_there("its payment does not exist")).await;
    };
    flows.store.pass(Point::Looked).await?;
    if claimed.rescues >= flows.settings.max_rescues {
        return quarantine(flows, claimed, &payment).await;
    }
    let run = Run { flows, claimed };
    match payment.phase() {
        Phase::Pending | Phase::Retrying => run.begin(&payment).await,
        Phase::Open(Open::Planned) => run.resume(&payment).await,
        Phase::Open(Open::Sending) | Phase::Review(Open::Sending) => run.lost_worker(&payment).await,
        // The reconcile job has it, a person looks, or nothing is left to do.
        Phase::Open(Open::Unknown | Open::Settling | Open::Acting)
        | Phase::Review(Open::Planned | Open::Unknown | Open::Settling | Open::Acting)
        | Phase::Disputed
        | Phase::NeedsCustomer
        | Phase::Succeeded
        | Phase::Failed
        | Phase::Canceled => flows.end_job(&claimed.lease, JobEnd::DoneAt(payment.version)).await,
    }
}

/// One run of a job, while its lease lasts.
struct Run<'a> {
    flows: &'a Flows,
    claimed: &'a Claimed,
}

impl Run<'_> {
    async fn begin(&self, payment: &Payment) -> Result<(), FlowError> {
        let flows = self.flows;
        if abandoned::is_gone(flows, payment) {
            return self.give_up(payment).await;
        }
        if payment.is_deferred() {
            return self.end(JobEnd::DoneAt(payment.version)).await;
        }
        // Nothing is charged while its payer's bank holds what was (S1.20).
        if payment.is_disputed() {
            return self.end(JobEnd::Again(flows.now(payment) + WHILE_DISPUTED)).await;
        }
        if let Some(at) = payment.waits_until().filter(|at| *at > flows.now(payment)) {
            return self.end(JobEnd::Again(at)).await;
        }
        let account = flows.account(payment)?;
        if flows.store.holds().stops(&account.name) {
            return flows.put_back(self.claimed, &account.name).await;
        }
        let is_clear = second_look::allows(flows, self.claimed, payment).await?
            && late_charge::allows(flows, self.claimed, payment).await?;
        if !is_clear {
            return Ok(());
        }
        if self.is_doubtful(payment, &[], payment.created_at).await? {
            return self.ask_first(payment).await;
        }
        if !flows.await_turn(self.claimed, account).await? {
            return Ok(());
        }
        let n = payment.next_attempt();
        let call = match account.gateway.charge(payment, n) {
            Ok(call) => call,
            Err(reason) => return self.end(JobEnd::Park(HoldReason::Invalid, reason)).await,
        };
        let exchange = flows.exchange(account, About::Attempt(payment.id, n), &call);
        let id = AttemptId::mint(flows.now(payment), flows.clock().random());
        self.start(payment, Event::Due { attempt: n, id }, exchange).await
    }

    /// The attempt was proven not sent, so it goes again: the same bytes under the same key.
    async fn resume(&self, payment: &Payment) -> Result<(), FlowError> {
        let Some((attempt, born_at)) = payment.open_attempt().map(|open| (open.n, open.first_sent_at)) else {
            return self.end(JobEnd::DoneAt(payment.version)).await;
        };
        let exchanges = self.flows.list_exchanges(About::Attempt(payment.id, attempt)).await?;
        let account = self.flows.account(payment)?;
        let evidence = Evidence {
            traits: account.gateway.traits(),
            exchanges: &exchanges,
            now: self.flows.evidence_time(payment),
        };
        if !evidence.is_unsent() {
            let reason = "an earlier send of the attempt is not proven unsent".to_owned();
            tracing::error!(payment.id = %payment.id, "{} is asked after: {reason}", payment.id);
            return self.finish(payment, Event::Lost { attempt, reason, operation: None }).await.map(drop);
        }
        if self.is_doubtful(payment, &exchanges, born_at).await? {
            return self.doubt(payment, attempt).await;
        }
        if abandoned::is_gone(self.flows, payment) {
            return self.give_up(payment).await;
        }
        if self.flows.store.holds().stops(&account.name) {
            return self.flows.put_back(self.claimed, &account.name).await;
        }
        if !self.flows.await_turn(self.claimed, account).await? {
            return Ok(());
        }
        let exchange = match evidence::first_send(&exchanges) {
            Some(first) => self.flows.same_bytes(account, first),
            // It was asked after before it was sent at all, and is not there.
            None if evidence.is_proven_absent_since(born_at) => {
                match account.gateway.charge(payment, attempt) {
                    Ok(call) => self.flows.exchange(account, About::Attempt(payment.id, attempt), &call),
                    Err(reason) => return self.end(JobEnd::Park(HoldReason::Invalid, reason)).await,
                }
            }
            None => {
                let reason = "the attempt's own request is not on record".to_owned();
                return self.end(JobEnd::Park(HoldReason::Invalid, reason)).await;
            }
        };
        self.start(payment, Event::Send { attempt }, exchange).await
    }

    /// Nothing has left, and nobody waits for it any more.
    async fn give_up(&self, payment: &Payment) -> Result<(), FlowError> {
        if !restored::may_give_up(self.flows, self.claimed, payment).await? {
            return Ok(());
        }
        let canceled = self.finish(payment, Event::Cancel).await?;
        tell(canceled.as_ref());
        Ok(())
    }

    /// The worker that had it vanished while the request may have been on the wire (S5.6).
    async fn lost_worker(&self, payment: &Payment) -> Result<(), FlowError> {
        self.flows.store.pass(Point::Rescuing).await?;
        let attempt = payment.attempt.as_ref().map_or(1, |attempt| attempt.n);
        let reason = "the worker vanished while it was charging".to_owned();
        let event = Event::Lost { attempt, reason, operation: None };
        self.finish(payment, event).await.map(drop)
    }

    /// Ends the job with an event that needs no call; the payment, unless another worker has it or it has changed.
    async fn finish(&self, payment: &Payment, event: Event) -> Result<Option<Payment>, FlowError> {
        match self.flows.happen(self.claimed, Worked::event(payment, event, JobEnd::Done)).await {
            Ok(committed) => Ok(committed.payment),
            Err(CommitError::LeaseLost) => Ok(None),
            Err(CommitError::Refused(_)) => {
                self.end(JobEnd::Again(self.flows.now(payment))).await.map(|()| None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the database was set back since, and what was sent before may be executed once more.
    async fn is_doubtful(
        &self,
        payment: &Payment,
        exchanges: &[Exchange],
        since: Time,
    ) -> Result<bool, FlowError> {
        let traits = self.flows.account(payment)?.gateway.traits();
        let evidence = Evidence { traits, exchanges, now: self.flows.evidence_time(payment) };
        restored::is_doubtful(self.flows, payment, &evidence, since).await
    }

    /// Begins the attempt by asking after it, since it may have been sent already.
    async fn ask_first(&self, payment: &Payment) -> Result<(), FlowError> {
        let (flows, attempt) = (self.flows, payment.next_attempt());
        let id = AttemptId::mint(flows.now(payment), flows.clock().random());
        let intent = Worked::event(payment, Event::Due { attempt, id }, JobEnd::Keep);
        match self.intend(payment, intent).await? {
            Some(payment) => self.doubt(&payment, attempt).await,
            None => Ok(()),
        }
    }

    async fn doubt(&self, payment: &Payment, attempt: u32) -> Result<(), FlowError> {
        let reason = "it may have been sent before the database was restored".to_owned();
        tracing::info!(payment.id = %payment.id, "{} is asked after: {reason}", payment.id);
        self.finish(payment, Event::Lost { attempt, reason, operation: None }).await.map(drop)
    }

    /// Commits the intent, calls, and commits the result.
    async fn start(&self, payment: &Payment, event: Event, exchange: Exchange) -> Result<(), FlowError> {
        let flows = self.flows;
        if !flows.may_begin(self.claimed) {
            return self.end(JobEnd::Again(flows.now(payment))).await;
        }
        let account = flows.account(payment)?;
        let intent = Worked::event(payment, event, JobEnd::Keep).with(ExchangeWrite::Open(exchange.clone()));
        flows.store.pass(Point::BeforeIntent).await?;
        let Some(payment) = self.intend(payment, intent).await? else { return Ok(()) };
        flows.store.pass(Point::BeforeSend).await?;
        let reply = flows.send(account, self.claimed, &exchange).await;
        self.record(account, &payment, &exchange, reply).await
    }

    /// Commits the intent; where it may not be, the job is ended.
    async fn intend(&self, payment: &Payment, intent: Worked) -> Result<Option<Payment>, FlowError> {
        let flows = self.flows;
        match flows.happen(self.claimed, intent).await {
            Ok(committed) => committed.payment.ok_or(FlowError::NotFound("payment")).map(Some),
            // The payment changed since we looked; the next look sees it as it is.
            Err(CommitError::Refused(_)) => self.end(JobEnd::Again(flows.now(payment))).await.map(|()| None),
            // The last look (S1.16): nothing was begun, and nothing is to be.
            Err(CommitError::MethodDetached) => {
                if !Box::pin(restored::may_give_up(flows, self.claimed, payment)).await? {
                    return Ok(None);
                }
                let failed = self.finish(payment, Event::Detached).await?;
                tell(failed.as_ref());
                Ok(None)
            }
            // So is what a hold forbids that another process has made.
            Err(CommitError::OnHold) => {
                flows.store.refresh_holds().await?;
                flows.put_back(self.claimed, &payment.account).await.map(|()| None)
            }
            Err(CommitError::LeaseLost) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn record(
        &self,
        account: &Account,
        payment: &Payment,
        exchange: &Exchange,
        reply: Result<Reply, SendError>,
    ) -> Result<(), FlowError> {
        let flows = self.flows;
        let reading = read_first(&reply, |reply| account.gateway.read_charge(payment, Send::First, reply));
        let closing = flows.closing(account, exchange, &reply, reading.verdict());
        reading.alert(payment);
        let reading = match reading {
            Reading::Answered(answer) => {
                let about = About::Attempt(payment.id, exchange.attempt);
                let talk = Talk { flows, by: By::Worker(self.claimed), account, about };
                Reading::Answered(Box::pin(talk.complete(answer)).await)
            }
            Reading::Rejected(_)
            | Reading::NotSent(_)
            | Reading::Unknown(_)
            | Reading::Unreadable { .. }
            | Reading::StoredError(_)
            | Reading::Mismatch(_) => reading,
        };
        let next_try = flows.next_try(self.claimed, account, &reply);
        let is_accepted = matches!(reading, Reading::Answered(_));
        let (event, end) = self.conclusion(payment, exchange.attempt, reading, next_try).await?;
        flows.store.pass(Point::Answered).await?;
        let result =
            flows.happen(self.claimed, Worked::event(payment, event, end).with(closing.clone())).await;
        flows.store.pass(Point::AfterCharge).await?;
        match result {
            Ok(committed) => {
                tell(committed.payment.as_ref());
                if is_accepted { flows.accept(&account.name).await } else { Ok(()) }
            }
            // Another worker has concluded otherwise meanwhile; what we saw is still kept.
            Err(CommitError::LeaseLost) => flows.keep(closing).await,
            Err(CommitError::Refused(_)) => {
                flows.keep(closing).await?;
                self.end(JobEnd::Again(flows.now(payment))).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What a reading makes happen to the payment, and to the job.
    async fn conclusion(
        &self,
        payment: &Payment,
        attempt: u32,
        reading: Reading,
        next_try: Time,
    ) -> Result<(Event, JobEnd), FlowError> {
        Ok(match reading {
            Reading::Answered(answer) => (Event::Answered { attempt, answer }, JobEnd::Done),
            // The attempt keeps its key, under which it may have been sent before by a database that has forgotten it
            // (S1.5).
            Reading::Rejected(Rejection::Credentials(reason)) => {
                self.flows.refuse_key(&payment.account, &reason).await?;
                let reason = format!("the gateway refused our credentials: {reason}");
                (Event::NotSent { attempt, reason }, JobEnd::Again(self.flows.now(payment)))
            }
            Reading::Rejected(Rejection::Refused(refusal)) => {
                let Sorted { fate, wait } = self.flows.sort(payment, &refusal).await?;
                let end = match fate {
                    Fate::NewMethod | Fate::Fails => JobEnd::Done,
                    Fate::Waits => JobEnd::Again(self.flows.now(payment) + wait),
                    Fate::OnHold => set_aside(payment, &refusal),
                };
                (Event::Rejected { attempt, refusal, fate }, end)
            }
            Reading::NotSent(reason) => {
                (Event::NotSent { attempt, reason: reason.clone() }, JobEnd::Failed(next_try, reason))
            }
            Reading::Unknown(reason) | Reading::StoredError(reason) | Reading::Mismatch(reason) => {
                (Event::Lost { attempt, reason, operation: None }, JobEnd::Done)
            }
            Reading::Unreadable { operation, reason } => {
                (Event::Lost { attempt, reason, operation: Some(operation) }, JobEnd::Done)
            }
        })
    }

    async fn end(&self, end: JobEnd) -> Result<(), FlowError> {
        self.flows.end_job(&self.claimed.lease, end).await
    }
}

/// No row of the rules fits, so a person says whether it is tried again.
fn set_aside(payment: &Payment, refusal: &Refusal) -> JobEnd {
    let said = format!("{}: {}", refusal.code(), refusal.message);
    tracing::error!(payment.id = %payment.id,
        "{} is set aside: the gateway rejected it for a reason that no rule knows: {said}", payment.id);
    JobEnd::Park(
        HoldReason::Rejected,
        format!("the gateway rejected it for a reason that no rule knows: {said}"),
    )
}

/// A job that loses its worker again and again is set aside. Where an attempt is open, its payment goes to a
/// person, and what may have been charged is asked after all the same (S5.6); where none is, nothing has
/// happened yet, and the job waits an hour rather than for ever.
async fn quarantine(flows: &Flows, claimed: &Claimed, payment: &Payment) -> Result<(), FlowError> {
    let reason = format!("quarantined: its worker vanished {} times in a row", claimed.rescues);
    tracing::error!(payment.id = %payment.id, job.id = %claimed.lease.job, "{} is set aside: {reason}", payment.id);
    let end = JobEnd::Park(HoldReason::Quarantine, reason.clone());
    if payment.open_attempt().is_none() {
        let later = JobEnd::Failed(flows.now(payment) + SET_ASIDE, reason);
        return flows.end_job(&claimed.lease, later).await;
    }
    match flows.happen(claimed, Worked::event(payment, Event::Review { reason }, end.clone())).await {
        Ok(_) | Err(CommitError::LeaseLost) => Ok(()),
        Err(CommitError::Refused(_)) => flows.end_job(&claimed.lease, end).await,
        Err(error) => Err(error.into()),
    }
}

impl Reading {
    /// Our keys are made of ids, so one that was used for other bytes means that ids were given twice (S1.8).
    pub(super) fn alert(&self, payment: &Payment) {
        if let Self::Mismatch(reason) = self {
            tracing::error!(payment.id = %payment.id, reason,
                "{}: its gateway key was used for another request; was a backup restored?", payment.id);
        }
    }
}

/// One line for the log of what happened to a payment.
pub(super) fn tell(payment: Option<&Payment>) {
    if let Some(payment) = payment {
        tracing::info!(payment.id = %payment.id, status = payment.status.name(),
            attempt = payment.attempt.as_ref().map_or(0, |attempt| attempt.n),
            "{} is {}", payment.id, payment.status.name());
    }
}

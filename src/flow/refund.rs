//! Refund: carries a refund to its end. One job sends it, and asks what became of it while that is open.

use super::{
    FlowError, Flows, Worked,
    charge::SET_ASIDE,
    evidence::{self, Absence, Evidence},
    exchange::{About, By, Talk, read_first},
    gateway_refunds,
    identity::IDENTITY_SOON,
    verdict::Verdict,
};
use crate::{
    domain::{
        attempt::Rejection,
        clock::Time,
        decline::transport,
        refund::{Answer, Event, Outcome, Refund, RefundStatus},
    },
    failpoint::Point,
    gateway::{Account, Call, Finding, Reading, Reply, Send},
    store::{
        change::{CommitError, Exchange, ExchangeWrite, JobEnd},
        claim::Claimed,
    },
};

/// Works on a refund's job. Its first act is to look.
pub async fn run(flows: &Flows, claimed: &Claimed, job: dunlin_jobs::Refund) -> Result<(), FlowError> {
    let Some(refund) = flows.store.find_refund(job.refund).await? else {
        return flows.end_job(&claimed.lease, super::not_there("its refund does not exist")).await;
    };
    let account = flows.configured(&refund.account, refund.livemode)?;
    let run = Run { flows, claimed, account, refund: &refund };
    flows.store.pass(Point::RefundLooked).await?;
    if claimed.rescues >= flows.settings.max_rescues {
        return run.set_aside().await;
    }
    if refund.status != RefundStatus::Sending && !flows.is_identified(&refund.account) {
        return run.wait_for_identity().await;
    }
    match refund.status {
        RefundStatus::Pending => run.send().await,
        RefundStatus::Sending => run.lost_worker().await,
        RefundStatus::Unknown if account.gateway.traits().runs_at_most_once() && !run.may_be_asked() => {
            run.leave_to_a_person().await
        }
        RefundStatus::Unknown => {
            run.review_if_overdue().await?;
            run.resolve().await
        }
        RefundStatus::Processing => {
            run.review_if_overdue().await?;
            run.ask(&run.exchanges().await?).await
        }
        // The gateway has told of it again: a refund may fail after it has succeeded.
        RefundStatus::Succeeded | RefundStatus::Failed => run.ask(&[]).await,
    }
}

/// One run of a refund's job, while its lease lasts.
struct Run<'a> {
    flows: &'a Flows,
    claimed: &'a Claimed,
    account: &'a Account,
    refund: &'a Refund,
}

impl Run<'_> {
    /// Another account has no such charge, and nothing that it says is about this refund.
    async fn wait_for_identity(&self) -> Result<(), FlowError> {
        if self.refund.status != RefundStatus::Pending {
            self.review_if_overdue().await?;
        }
        let error = format!("it is not known yet whose account {} is", self.account.name);
        self.end(JobEnd::Failed(self.now() + IDENTITY_SOON, error)).await
    }

    /// Commits the intent, calls, and commits the result.
    async fn send(&self) -> Result<(), FlowError> {
        // Whether there is as much to give back hangs on what others gave back meanwhile (S1.20).
        if !gateway_refunds::may_send(self.flows, self.claimed, self.account, self.refund).await? {
            return Ok(());
        }
        if !self.flows.await_turn(self.claimed, self.account).await? {
            return Ok(());
        }
        if !self.flows.may_begin(self.claimed) {
            return self.end(JobEnd::Again(self.now())).await;
        }
        let exchanges = self.exchanges().await?;
        if !self.evidence(&exchanges).is_unsent() {
            let reason = "an earlier send of the refund is not proven unsent".to_owned();
            tracing::error!(refund.id = %self.refund.id, "{} is asked after: {reason}", self.refund.id);
            return self
                .conclude(Event::Lost { reason, operation: None }, JobEnd::Again(self.now()), None)
                .await;
        }
        if !self.is_clear(&exchanges).await? {
            return Ok(());
        }
        let exchange = match evidence::first_send(&exchanges) {
            // Proven not sent, so it goes again: the same bytes under the same key (S1.5).
            Some(first) => self.flows.same_bytes(self.account, first),
            None => match self.account.gateway.refund(self.refund) {
                Ok(call) => self.flows.exchange(self.account, self.about(), &call),
                // Nothing has left, and nothing can: the amount is free again.
                Err(reason) => return self.conclude(Event::Rejected { reason }, JobEnd::Done, None).await,
            },
        };
        let intent = Worked::refund(self.refund, Event::Send, JobEnd::Keep);
        self.flows.store.pass(Point::BeforeIntent).await?;
        match self.flows.happen(self.claimed, intent.with(ExchangeWrite::Open(exchange.clone()))).await {
            Ok(_) => {}
            Err(CommitError::RefundRefused(_)) => return self.end(JobEnd::Again(self.now())).await,
            Err(CommitError::LeaseLost) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        self.flows.store.pass(Point::BeforeSend).await?;
        self.flows.store.pass(Point::RefundSending).await?;
        let reply = self.flows.send(self.account, self.claimed, &exchange).await;
        let reading = read_first(&reply, |reply| self.account.gateway.read_refund(Send::First, reply));
        let closing = self.flows.closing(self.account, &exchange, &reply, reading.verdict());
        let again = JobEnd::AgainWhileOpen(self.next_look());
        let (event, end) = match reading {
            Reading::Answered(answer) => (Event::Answered(answer), again),
            Reading::Rejected(Rejection::Refused(refusal)) => {
                (Event::Rejected { reason: self.explain(refusal.message).await? }, again)
            }
            Reading::Rejected(Rejection::Credentials(reason)) => {
                self.flows.refuse_key(&self.account.name, &reason).await?;
                (Event::NotSent { reason }, JobEnd::Again(self.now()))
            }
            Reading::NotSent(reason) => {
                let at = self.flows.next_try(self.claimed, self.account, &reply);
                (Event::NotSent { reason: reason.clone() }, JobEnd::Failed(at, reason))
            }
            Reading::Unknown(reason) | Reading::StoredError(reason) | Reading::Mismatch(reason) => {
                (Event::Lost { reason, operation: None }, again)
            }
            Reading::Unreadable { operation, reason } => {
                (Event::Lost { reason, operation: Some(operation) }, again)
            }
        };
        self.flows.store.pass(Point::Answered).await?;
        self.flows.store.pass(Point::RefundAnswered).await?;
        self.conclude(event, end, Some(closing)).await
    }

    /// Whether it may be sent: what our record lacks is answered by the key while that is young, and later, or after a
    /// restore, the gateway is asked first. One look is enough, for what it cannot show yet has a key that is young.
    /// Where it may not, the job is ended.
    async fn is_clear(&self, exchanges: &[Exchange]) -> Result<bool, FlowError> {
        let created_at = self.refund.created_at;
        let is_restored = self.flows.restored_since(created_at, self.refund.livemode).await?.is_some();
        if !is_restored && self.evidence(exchanges).is_key_young(created_at) {
            return Ok(true);
        }
        if !self.may_be_asked() {
            // Nothing says that it was sent, unless there was a restore.
            return if is_restored { self.leave_to_a_person().await.map(|()| false) } else { Ok(true) };
        }
        let gateway = &self.account.gateway;
        let read = |call: &Call, reply: &Reply| gateway.read_refund_query(self.refund, call, reply);
        let asked = self.talk().ask(gateway.query_refund(self.refund), read).await?;
        let Some((finding, closing)) = asked else { return Ok(false) };
        match finding {
            Finding::Absent => self.flows.keep(closing).await.map(|()| true),
            Finding::Answered(answer) => {
                let end = JobEnd::AgainWhileOpen(self.next_look());
                self.conclude(Event::Answered(answer), end, Some(closing)).await.map(|()| false)
            }
            Finding::Canceled | Finding::More(_) | Finding::Nothing(_) => {
                self.flows.keep(closing).await?;
                let why = "whether the gateway has the refund already is not known".to_owned();
                let at = self.now() + transport(self.claimed.failures + 1);
                self.end(JobEnd::Failed(at, why)).await.map(|()| false)
            }
        }
    }

    /// The worker that had it vanished while the request may have been on the wire (S5.6).
    async fn lost_worker(&self) -> Result<(), FlowError> {
        let reason = "the worker vanished while it was refunding".to_owned();
        self.conclude(Event::Lost { reason, operation: None }, JobEnd::Again(self.now()), None).await
    }

    /// A job that loses its worker again and again waits an hour each time, and a person is told (S5.6).
    async fn set_aside(&self) -> Result<(), FlowError> {
        let reason = format!("its worker vanished {} times in a row", self.claimed.rescues);
        tracing::error!(refund.id = %self.refund.id, "{} is set aside: {reason}", self.refund.id);
        let end = JobEnd::Failed(self.now() + SET_ASIDE, reason.clone());
        self.conclude(Event::Review { reason }, end, None).await
    }

    /// The steps of S1.9 in their order: the same bytes again where that is safe, else a question.
    async fn resolve(&self) -> Result<(), FlowError> {
        self.flows.store.pass(Point::RefundDoubted).await?;
        let exchanges = self.exchanges().await?;
        let evidence = self.evidence(&exchanges);
        if evidence.mismatched_at().is_some() {
            self.review_mismatch().await?;
        }
        let may_resend = self.refund.first_sent_at.is_some_and(|sent_at| evidence.may_resend(sent_at));
        let Some(first) = evidence::first_send(&exchanges).filter(|_| may_resend) else {
            return self.ask(&exchanges).await;
        };
        let read = |reply: &Reply| self.account.gateway.read_refund(Send::Again, reply);
        let Some((reading, closing)) = self.talk().resend(first, read).await? else { return Ok(()) };
        let end = JobEnd::AgainWhileOpen(self.next_look());
        match reading {
            // A replayed answer tells how it was, and a bank may have sent the money back since: it is asked once more.
            Reading::Answered(answer) => {
                let again = JobEnd::Again(self.next_look());
                self.conclude(Event::Answered(answer), again, Some(closing)).await
            }
            Reading::Rejected(Rejection::Refused(refusal)) => {
                let reason = self.explain(refusal.message).await?;
                self.conclude(Event::Rejected { reason }, end, Some(closing)).await
            }
            Reading::Rejected(Rejection::Credentials(_))
            | Reading::NotSent(_)
            | Reading::Unknown(_)
            | Reading::StoredError(_)
            | Reading::Unreadable { .. }
            | Reading::Mismatch(_) => {
                self.flows.keep(closing).await?;
                if matches!(reading, Reading::Mismatch(_)) {
                    self.review_mismatch().await?;
                }
                self.ask(&self.exchanges().await?).await
            }
        }
    }

    /// Whether there is anything to ask by: the gateway's own id, or our reference in its listings (S2.9).
    fn may_be_asked(&self) -> bool {
        self.account.gateway.traits().query_by_reference || self.refund.operation.is_some()
    }

    /// S2.10: the gateway knows neither keys nor our reference, and its own id never reached us. A person looks, and
    /// what the gateway tells unasked still counts.
    async fn leave_to_a_person(&self) -> Result<(), FlowError> {
        if self.refund.review_reason.is_none() {
            let id = self.refund.id;
            self.review(format!("the outcome of {id} is unknown, and the gateway cannot be asked")).await?;
        }
        self.later().await
    }

    /// Asks the gateway by its own id, or by a complete listing.
    async fn ask(&self, exchanges: &[Exchange]) -> Result<(), FlowError> {
        if !self.may_be_asked() {
            return self.later().await;
        }
        let gateway = &self.account.gateway;
        let read = |call: &Call, reply: &Reply| gateway.read_refund_query(self.refund, call, reply);
        let asked = self.talk().ask(gateway.query_refund(self.refund), read).await?;
        let Some((finding, closing)) = asked else { return Ok(()) };
        let end = JobEnd::AgainWhileOpen(self.next_look());
        match finding {
            Finding::Answered(answer) => self.conclude(Event::Answered(answer), end, Some(closing)).await,
            Finding::Absent => self.absent(exchanges, closing).await,
            Finding::Canceled => {
                let outcome = Outcome::Failed("the gateway canceled it".to_owned());
                let answer = Answer { operation: None, amount: None, outcome };
                self.conclude(Event::Answered(answer), end, Some(closing)).await
            }
            Finding::More(_) | Finding::Nothing(_) => {
                self.flows.keep(closing).await?;
                self.later().await
            }
        }
    }

    /// Nothing was found. That is evidence only late enough, and only twice (S1.9).
    async fn absent(&self, exchanges: &[Exchange], closing: ExchangeWrite) -> Result<(), FlowError> {
        let evidence = self.evidence(exchanges);
        let Refund { created_at, livemode, first_sent_at, .. } = *self.refund;
        let last_sent_at = self.flows.last_sent_at(exchanges, created_at, livemode).await?;
        let last_sent_at = last_sent_at.or(first_sent_at).unwrap_or(evidence.now);
        let may_count = self.refund.status == RefundStatus::Unknown;
        match if may_count { evidence.absence(last_sent_at) } else { Absence::ProvesNothing } {
            Absence::Proven => {
                let closing = Some(closing.proven_absent());
                self.conclude(Event::Absent, JobEnd::Again(self.now()), closing).await
            }
            Absence::First { again_in } => {
                self.flows.keep(closing).await?;
                self.end(JobEnd::Again(self.now() + again_in)).await
            }
            Absence::ProvesNothing => {
                self.flows.keep(closing).await?;
                self.later().await
            }
        }
    }

    /// Why the gateway refused it, with what is left now: upon a refusal its charge is read anew (S1.20).
    async fn explain(&self, reason: String) -> Result<String, FlowError> {
        gateway_refunds::explain_refusal(self.flows, self.claimed, self.account, self.refund, reason).await
    }

    /// Commits what became of the refund, and of the job.
    async fn conclude(
        &self,
        event: Event,
        end: JobEnd,
        closing: Option<ExchangeWrite>,
    ) -> Result<(), FlowError> {
        let mut step = Worked::refund(self.refund, event, end);
        step.exchanges.extend(closing.clone());
        let result = self.flows.happen(self.claimed, step).await;
        self.flows.store.pass(Point::AfterCharge).await?;
        match result {
            Ok(committed) => {
                if let Some(refund) = committed.refund.filter(|_| committed.fresh) {
                    gateway_refunds::tell_refund(self.refund.status, &refund);
                }
                Ok(())
            }
            Err(error @ (CommitError::LeaseLost | CommitError::RefundRefused(_))) => {
                if let Some(closing) = closing {
                    self.flows.keep(closing.unproven()).await?;
                }
                // Another worker has it, or it has changed since we looked; the next look sees it as it is.
                let is_ours = matches!(error, CommitError::RefundRefused(_));
                if is_ours { self.end(JobEnd::Again(self.now())).await } else { Ok(()) }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// After a day a person is told, and asking goes on (S1.10).
    async fn review_if_overdue(&self) -> Result<(), FlowError> {
        let age = self.now() - self.refund.first_sent_at.unwrap_or(self.refund.created_at);
        let limit = i64::try_from(self.flows.settings.review_after_s).unwrap_or(i64::MAX);
        // A refund that the gateway has accepted may take a bank's ten days.
        let limit =
            if self.refund.status == RefundStatus::Processing { limit.saturating_mul(10) } else { limit };
        if age.num_seconds() < limit || self.refund.review_reason.is_some() {
            return Ok(());
        }
        self.review(format!("the outcome of {} is open for {} h", self.refund.id, age.num_hours())).await
    }

    /// What was executed under our key nobody here knows: a person has to find out.
    async fn review_mismatch(&self) -> Result<(), FlowError> {
        if self.refund.review_reason.is_some() {
            return Ok(());
        }
        let id = self.refund.id;
        self.review(format!("the gateway has executed another request than ours under the key of {id}")).await
    }

    async fn review(&self, reason: String) -> Result<(), FlowError> {
        tracing::error!(refund.id = %self.refund.id, "{} needs a look: {reason}", self.refund.id);
        self.conclude(Event::Review { reason }, JobEnd::Keep, None).await
    }

    fn evidence<'e>(&'e self, exchanges: &'e [Exchange]) -> Evidence<'e> {
        Evidence {
            traits: self.account.gateway.traits(),
            exchanges,
            now: self.flows.clock().evidence(self.refund.livemode),
        }
    }

    async fn exchanges(&self) -> Result<Vec<Exchange>, FlowError> {
        self.flows.list_exchanges(self.about()).await
    }

    fn talk(&self) -> Talk<'_> {
        Talk { flows: self.flows, by: By::Worker(self.claimed), account: self.account, about: self.about() }
    }

    fn about(&self) -> About {
        About::Refund(self.refund.payment, self.refund.id)
    }

    fn next_look(&self) -> Time {
        self.flows.next_look(self.refund.livemode, &self.refund.id.to_string(), self.claimed.runs)
    }

    fn now(&self) -> Time {
        self.flows.clock().now(self.refund.livemode)
    }

    /// Looks again, unless there is nothing that could change.
    async fn later(&self) -> Result<(), FlowError> {
        let is_final = self.refund.status.is_final();
        self.end(if is_final { JobEnd::Done } else { JobEnd::Again(self.next_look()) }).await
    }

    async fn end(&self, end: JobEnd) -> Result<(), FlowError> {
        self.flows.end_job(&self.claimed.lease, end).await
    }
}

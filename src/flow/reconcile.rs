//! Reconcile: finds out what became of an attempt that is still open. A lost answer is a question to ask,
//! never a reason to charge again.

use super::{FlowError, Flows, Worked};
use crate::{
    domain::{
        attempt::{Attempt, AttemptStatus},
        clock::Time,
        payment::{Event, Payment, Status},
    },
    failpoint::Point,
    gateway::{Call, Finding, Reading, Send, Tried},
    store::{
        change::{CommitError, Exchange, ExchangeWrite, JobEnd},
        claim::Claimed,
    },
};
use chrono::TimeDelta;
use dunlin_jobs::Reconcile;

/// How many pages of a listing one look may read.
const MAX_PAGES: usize = 50;
/// Two looks that find nothing count as two only when they are this far apart (S1.9).
const BETWEEN_ABSENCES: TimeDelta = TimeDelta::minutes(5);
/// What the verdict of a look that found nothing begins with, in the exchange's row.
const ABSENT: &str = "absent";
/// The verdict of a resend whose stored error was replayed: asking that way again is of no use.
const REPLAYED_ERROR: &str = "replayed error";

/// Works on a reconcile job.
pub async fn run(flows: &Flows, claimed: &Claimed, job: Reconcile) -> Result<(), FlowError> {
    let Some(payment) = flows.store.payment_of(claimed, job.payment).await? else {
        return flows.end_job(&claimed.lease, JobEnd::Park("its payment does not exist".to_owned())).await;
    };
    let Some(attempt) = payment.open_attempt().filter(|attempt| attempt.n == job.attempt).cloned() else {
        return flows.end_job(&claimed.lease, JobEnd::Done).await;
    };
    let look = Look { flows, claimed, payment: &payment, attempt: &attempt };
    match attempt.status {
        AttemptStatus::Unknown => {
            look.review_if_overdue().await?;
            look.resolve().await
        }
        AttemptStatus::Pending | AttemptStatus::RequiresAction => look.ask(&[], attempt.first_sent_at).await,
        AttemptStatus::Sending => look.again().await,
        // Nothing is at the gateway: the charge job carries on, or a person decides. Or nothing is left to do.
        AttemptStatus::Planned
        | AttemptStatus::Succeeded
        | AttemptStatus::Declined
        | AttemptStatus::Rejected
        | AttemptStatus::Canceled
        | AttemptStatus::Duplicate => flows.end_job(&claimed.lease, JobEnd::Done).await,
    }
}

/// One look at one open attempt.
struct Look<'a> {
    flows: &'a Flows,
    claimed: &'a Claimed,
    payment: &'a Payment,
    attempt: &'a Attempt,
}

impl Look<'_> {
    /// The steps of S1.9 in their order: the same bytes again where that is safe, else a question.
    async fn resolve(&self) -> Result<(), FlowError> {
        let exchanges: Vec<_> = self
            .flows
            .store
            .list_exchanges(self.payment.id)
            .await?
            .into_iter()
            .filter(|exchange| exchange.attempt == self.attempt.n)
            .collect();
        let first = exchanges.iter().find(|exchange| exchange.idempotency_key.is_some());
        match first.filter(|_| self.may_resend(&exchanges)) {
            Some(first) => {
                let first = first.clone();
                if self.resend(first).await? {
                    return Ok(());
                }
                self.ask(&exchanges, self.flows.now(self.payment)).await
            }
            None => self.ask(&exchanges, self.last_sent_at(&exchanges)).await,
        }
    }

    /// When the attempt's request last left, as far as is known: absence is evidence only well after that.
    fn last_sent_at(&self, exchanges: &[Exchange]) -> Time {
        let sent = exchanges.iter().filter(|exchange| exchange.idempotency_key.is_some());
        sent.map(|exchange| exchange.opened_at).max().unwrap_or(self.attempt.first_sent_at)
    }

    fn may_resend(&self, exchanges: &[Exchange]) -> bool {
        let Ok(account) = self.flows.account(self.payment) else { return false };
        let traits = account.gateway.traits();
        let age = self.flows.now(self.payment) - self.attempt.first_sent_at;
        // S2.11: 0.8 of the key's life, in whole numbers.
        let limit = TimeDelta::from_std(traits.key_ttl * 8 / 10).unwrap_or(TimeDelta::zero());
        let useless = |exchange: &Exchange| {
            exchange.closed.as_ref().is_some_and(|closing| closing.verdict.starts_with(REPLAYED_ERROR))
        };
        traits.replay_safe && age < limit && !exchanges.iter().any(useless)
    }

    /// Sends the same bytes under the same key; true when that settled the matter.
    async fn resend(&self, first: Exchange) -> Result<bool, FlowError> {
        let account = self.flows.account(self.payment)?;
        let exchange = self.flows.same_bytes(self.payment, first);
        if !self.open(&exchange).await? {
            return Ok(true);
        }
        let reply = self.flows.send(account, self.claimed, &exchange).await;
        self.flows.store.pass(Point::AfterAsk).await;
        let reading = match &reply {
            Ok(reply) => account.gateway.read_charge(self.payment, Send::Again, reply),
            Err(error) => Reading::Unknown(error.to_string()),
        };
        let replayed = reply
            .as_ref()
            .is_ok_and(|reply| reply.status >= 500 && reply.headers.contains_key("idempotent-replayed"));
        let verdict = if replayed { REPLAYED_ERROR.to_owned() } else { reading.verdict() };
        let closing = self.flows.closing(account, &exchange, &reply, verdict);
        let attempt = self.attempt.n;
        match reading {
            Reading::Answered(answer) => {
                self.conclude(Event::Answered { attempt, answer }, closing).await?;
                Ok(true)
            }
            Reading::Rejected(rejection) => {
                self.conclude(Event::Rejected { attempt, rejection }, closing).await?;
                Ok(true)
            }
            Reading::NotSent(_) | Reading::Unknown(_) => {
                self.note(closing).await?;
                Ok(false)
            }
        }
    }

    /// Asks the gateway by its own id, or by a complete listing.
    async fn ask(&self, exchanges: &[Exchange], last_sent_at: Time) -> Result<(), FlowError> {
        let account = self.flows.account(self.payment)?;
        let attempts = self.flows.store.list_attempts(self.payment.id).await?;
        // An attempt that was never charged has no charge; the last one that was is what the intent still names.
        let mut earlier = attempts.iter().rev().filter(|attempt| attempt.n < self.attempt.n);
        let tried = Tried {
            payment: self.payment,
            n: self.attempt.n,
            first_sent_at: self.attempt.first_sent_at,
            last_sent_at,
            earlier_charge: earlier.find_map(|attempt| attempt.charge.as_deref()),
        };
        let mut call = account.gateway.query(tried);
        for _ in 0..MAX_PAGES {
            let exchange = self.flows.exchange(account, self.payment, self.attempt.n, &call);
            if !self.open(&exchange).await? {
                return Ok(());
            }
            let reply = self.flows.send(account, self.claimed, &exchange).await;
            self.flows.store.pass(Point::AfterAsk).await;
            let finding = match &reply {
                Ok(reply) => account.gateway.read_query(tried, &call, reply),
                Err(error) => Finding::Nothing(error.to_string()),
            };
            let closing = |verdict: String| self.flows.closing(account, &exchange, &reply, verdict);
            let attempt = self.attempt.n;
            match finding {
                Finding::Answered(answer) => {
                    let verdict = Reading::Answered(answer.clone()).verdict();
                    return self.conclude(Event::Answered { attempt, answer }, closing(verdict)).await;
                }
                Finding::Canceled => {
                    return self.conclude(Event::Canceled { attempt }, closing("canceled".to_owned())).await;
                }
                Finding::Absent => {
                    return self.absent(tried, exchanges, closing(ABSENT.to_owned())).await;
                }
                Finding::Nothing(why) => {
                    self.note(closing(why)).await?;
                    return self.again().await;
                }
                Finding::More(next) => {
                    self.note(closing("not on this page".to_owned())).await?;
                    call = Call { ..next };
                }
            }
        }
        self.again().await
    }

    /// Nothing was found. That is evidence only late enough, and only twice (S1.9).
    async fn absent(
        &self,
        tried: Tried<'_>,
        exchanges: &[Exchange],
        closing: ExchangeWrite,
    ) -> Result<(), FlowError> {
        let now = self.flows.now(self.payment);
        let settle_delay = self.flows.account(self.payment)?.gateway.traits().settle_delay;
        let settle = TimeDelta::from_std(settle_delay).unwrap_or(TimeDelta::MAX);
        let counts_from = tried.last_sent_at + settle;
        if self.attempt.status != AttemptStatus::Unknown || now < counts_from {
            self.note(closing).await?;
            return self.again().await;
        }
        let before = exchanges.iter().any(|exchange| {
            let absent = exchange.closed.as_ref().is_some_and(|closing| closing.verdict == ABSENT);
            absent && exchange.opened_at >= counts_from && exchange.opened_at <= now - BETWEEN_ABSENCES
        });
        if before {
            return self.conclude(Event::Absent { attempt: self.attempt.n }, closing).await;
        }
        self.note(closing).await?;
        self.flows.end_job(&self.claimed.lease, JobEnd::Again(now + BETWEEN_ABSENCES)).await
    }

    /// Commits the exchange before a byte leaves; false when the job has passed to another worker.
    async fn open(&self, exchange: &Exchange) -> Result<bool, FlowError> {
        let opening = Worked::note(JobEnd::Keep).with(ExchangeWrite::Open(exchange.clone()));
        match self.flows.happen(self.claimed, opening).await {
            Ok(_) => {
                self.flows.store.pass(Point::BeforeAsk).await;
                Ok(true)
            }
            Err(CommitError::LeaseLost) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Runs exactly what a synchronous answer runs (S1.14), and ends the job if the attempt is closed by it.
    async fn conclude(&self, event: Event, closing: ExchangeWrite) -> Result<(), FlowError> {
        let absent = matches!(event, Event::Absent { .. });
        // After absence the charge job carries on.
        let end = if absent { JobEnd::Done } else { JobEnd::AgainWhileOpen(self.next_poll()) };
        let step = Worked::event(self.payment, event, end).with(closing.clone());
        match self.flows.happen(self.claimed, step).await {
            Ok(committed) => {
                super::charge::tell(committed.payment.as_ref().filter(|_| committed.fresh));
                Ok(())
            }
            Err(CommitError::LeaseLost) => self.flows.keep(closing).await,
            Err(CommitError::Refused(_)) => {
                self.flows.keep(closing).await?;
                self.again().await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn note(&self, closing: ExchangeWrite) -> Result<(), FlowError> {
        self.flows.keep(closing).await
    }

    /// Asks again later.
    async fn again(&self) -> Result<(), FlowError> {
        self.flows.end_job(&self.claimed.lease, JobEnd::Again(self.next_poll())).await
    }

    /// After a day a person is told, whatever becomes of this look, and asking goes on (S1.10).
    async fn review_if_overdue(&self) -> Result<(), FlowError> {
        let age = self.flows.now(self.payment) - self.attempt.first_sent_at;
        let limit = i64::try_from(self.flows.settings.review_after_s).unwrap_or(i64::MAX);
        if age.num_seconds() < limit || matches!(self.payment.status, Status::NeedsReview { .. }) {
            return Ok(());
        }
        let reason =
            format!("the outcome of attempt {} is unknown for {} h", self.attempt.n, age.num_hours());
        tracing::error!(payment.id = %self.payment.id, "{} needs a look: {reason}", self.payment.id);
        let step = Worked::event(self.payment, Event::Review { reason }, JobEnd::Keep);
        match self.flows.happen(self.claimed, step).await {
            Ok(_) | Err(CommitError::LeaseLost | CommitError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn next_poll(&self) -> Time {
        self.flows.next_look(self.payment.livemode, &self.attempt.id.to_string(), self.claimed.runs)
    }
}

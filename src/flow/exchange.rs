//! Exchanges: a worker's talk with an account about one attempt or refund. Each call is on record before a byte of
//! it leaves, and how it ended is kept.

use super::{
    FlowError, Flows, Worked, cancel,
    verdict::{Ended, Verdict},
};
use crate::{
    domain::{exchange_result::ExchangeResult, payment::Payment},
    failpoint::Point,
    gateway::{Account, Call, Cancellation, Finding, Reading, Reply, client::SendError},
    store::{
        StoreError,
        change::{Closing, CommitError, Exchange, ExchangeWrite, JobEnd, Subject},
        claim::Claimed,
    },
};
use dunlin_jobs::{ExchangeId, PaymentId, RefundId};

/// How many pages of a listing one look may read: as many as fit into a job's time at a gateway that is slow to answer.
const MAX_PAGES: usize = 200;
/// How many a caller waits for.
const MAX_PAGES_AWAITED: usize = 20;

/// What an exchange is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// An attempt of a payment, by its number.
    Attempt(PaymentId, u32),
    Refund(PaymentId, RefundId),
}

impl About {
    /// What stands at the gateway in a payment's name, and is no attempt's on record: what is said of it must not count as
    /// said of one.
    pub(super) fn no_attempt(payment: PaymentId) -> Self {
        Self::Attempt(payment, 0)
    }

    fn of(exchange: &Exchange) -> Self {
        match exchange.refund {
            Some(refund) => Self::Refund(exchange.payment, refund),
            None => Self::Attempt(exchange.payment, exchange.attempt),
        }
    }
}

/// Who talks to a gateway.
#[derive(Debug, Clone, Copy)]
pub(super) enum By<'a> {
    /// A worker, for as long as it has the lease of its job.
    Worker(&'a Claimed),
    /// A caller, who waits. They need no lease, for they only ask, and cancel, which moves no money.
    Caller,
}

/// Somebody who finds out at an account about one thing.
///
/// What is heard comes with the end of its exchange, which is to be committed with what follows from it; nothing
/// comes when the job has passed to another worker, or has been put back until the account may be called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Talk<'a> {
    pub(super) flows: &'a Flows,
    pub(super) by: By<'a>,
    pub(super) account: &'a Account,
    pub(super) about: About,
}

impl Talk<'_> {
    /// Sends the bytes of an earlier exchange again. Whatever fails on the way says nothing about the first send
    /// (S1.8).
    pub(super) async fn resend<A: Verdict>(
        &self,
        first: &Exchange,
        read: impl FnOnce(&Reply) -> Reading<A>,
    ) -> Result<Option<(Reading<A>, ExchangeWrite)>, FlowError> {
        if !self.is_our_turn().await? {
            return Ok(None);
        }
        let exchange = self.flows.same_bytes(self.account, first);
        let Some(reply) = self.call(&exchange).await? else { return Ok(None) };
        let reading = match &reply {
            Ok(reply) => read(reply),
            Err(error) => Reading::Unknown(error.to_string()),
        };
        let closing = self.flows.closing(self.account, &exchange, &reply, reading.verdict());
        Ok(Some((reading, closing)))
    }

    /// Asks, and goes on to the next page of a listing until one tells.
    pub(super) async fn ask<A: Verdict>(
        &self,
        mut call: Call,
        read: impl Fn(&Call, &Reply) -> Finding<A>,
    ) -> Result<Option<(Finding<A>, ExchangeWrite)>, FlowError> {
        let most = match self.by {
            By::Worker(_) => MAX_PAGES,
            By::Caller => MAX_PAGES_AWAITED,
        };
        for page in 1..=most {
            if !self.is_our_turn().await? {
                return Ok(None);
            }
            let exchange = self.flows.exchange(self.account, self.about, &call);
            let Some(reply) = self.call(&exchange).await? else { return Ok(None) };
            let finding = match &reply {
                Ok(reply) => read(&call, reply),
                Err(error) => Finding::Nothing(error.to_string()),
            };
            let closing = |ended: Ended| self.flows.closing(self.account, &exchange, &reply, ended);
            match finding {
                Finding::More(next) if page < most => {
                    self.flows
                        .keep(closing(Ended::new(ExchangeResult::NotOnPage, "not on this page")))
                        .await?;
                    call = next;
                }
                Finding::Answered(_)
                | Finding::Canceled
                | Finding::Absent
                | Finding::More(_)
                | Finding::Nothing(_) => {
                    let closing = closing(finding.verdict());
                    return Ok(Some((finding, closing)));
                }
            }
        }
        Ok(None)
    }

    /// Asks the gateway to cancel the payment's operation, which it must be able to.
    pub(super) async fn cancel(
        &self,
        payment: &Payment,
    ) -> Result<Option<(Cancellation, ExchangeWrite)>, FlowError> {
        let n = match self.about {
            About::Attempt(_, n) => n,
            About::Refund(..) => 0,
        };
        let (first, last) = cancel::generations(&self.flows.list_exchanges(self.about).await?);
        for generation in first..=last {
            if !self.is_our_turn().await? {
                return Ok(None);
            }
            let Some(call) = self.account.gateway.cancel(payment, n, generation) else { break };
            let exchange = self.flows.exchange(self.account, self.about, &call);
            let Some(reply) = self.call(&exchange).await? else { return Ok(None) };
            let cancellation = cancel::read(self.account, payment, &reply);
            let closing = self.flows.closing(self.account, &exchange, &reply, cancellation.verdict());
            if generation == last || !matches!(cancellation, Cancellation::StoredError(_)) {
                return Ok(Some((cancellation, closing)));
            }
            self.flows.keep(closing).await?;
        }
        Ok(None)
    }

    /// False when the job was put back, for the account may not be called so soon.
    async fn is_our_turn(&self) -> Result<bool, FlowError> {
        match self.by {
            By::Worker(claimed) => self.flows.await_turn(claimed, self.account).await,
            By::Caller => Ok(true),
        }
    }

    /// Whether the lease has room for a call more.
    pub(super) fn may_begin(&self) -> bool {
        match self.by {
            By::Worker(claimed) => self.flows.may_begin(claimed),
            By::Caller => false,
        }
    }

    pub(super) async fn call(
        &self,
        exchange: &Exchange,
    ) -> Result<Option<Result<Reply, SendError>>, FlowError> {
        let By::Worker(claimed) = self.by else { return self.call_awaited(exchange).await.map(Some) };
        if !self.flows.open(claimed, exchange).await? {
            return Ok(None);
        }
        let reply = self.flows.send(self.account, claimed, exchange).await;
        // A key that may not read (403) may charge all the same.
        let is_refused = |reply: &Reply| reply.status == 401 && self.account.gateway.refuses_key(reply);
        if reply.as_ref().is_ok_and(is_refused) {
            self.flows.refuse_key(&self.account.name, "HTTP 401").await?;
        }
        self.flows.store.pass(Point::AfterAsk).await?;
        Ok(Some(reply))
    }

    async fn call_awaited(&self, exchange: &Exchange) -> Result<Result<Reply, SendError>, FlowError> {
        if exchange.kind.moves_money() {
            return Ok(Err(SendError::NotSent("it moves money, and nobody has a lease".to_owned())));
        }
        self.flows.keep(ExchangeWrite::Open(exchange.clone())).await?;
        Ok(self.flows.client.send(self.account, &call_of(exchange), &exchange.api_version).await)
    }
}

/// The call that an exchange is on record for.
fn call_of(exchange: &Exchange) -> Call {
    Call {
        kind: exchange.kind,
        method: if exchange.method == "GET" { "GET" } else { "POST" },
        path: exchange.path.clone(),
        idempotency_key: exchange.idempotency_key.clone(),
        body: exchange.body.clone(),
    }
}

/// What came of a first send: of what failed on the way it is known whether it left (S1.8).
pub(super) fn read_first<A>(
    reply: &Result<Reply, SendError>,
    read: impl FnOnce(&Reply) -> Reading<A>,
) -> Reading<A> {
    match reply {
        Ok(reply) => read(reply),
        Err(SendError::NotSent(reason)) => Reading::NotSent(reason.clone()),
        Err(SendError::Lost(reason)) => Reading::Unknown(reason.clone()),
    }
}

impl Flows {
    /// The row that must be committed before a byte of the call leaves (S1.5).
    pub(super) fn exchange(&self, account: &Account, about: About, call: &Call) -> Exchange {
        let now = self.clock().evidence(account.livemode);
        let (payment, attempt, refund) = match about {
            About::Attempt(payment, n) => (payment, n, None),
            About::Refund(payment, refund) => (payment, 0, Some(refund)),
        };
        Exchange {
            id: ExchangeId::mint(now, self.clock().random()),
            payment,
            attempt,
            refund,
            kind: call.kind,
            resend: false,
            method: call.method.to_owned(),
            path: call.path.clone(),
            idempotency_key: call.idempotency_key.clone(),
            api_version: account.gateway.api_version().to_owned(),
            body: call.body.clone(),
            opened_at: now,
            closed: None,
        }
    }

    /// A new exchange with the bytes, key and API version of an earlier one.
    pub(super) fn same_bytes(&self, account: &Account, first: &Exchange) -> Exchange {
        let now = self.clock().evidence(account.livemode);
        let id = ExchangeId::mint(now, self.clock().random());
        Exchange { id, resend: true, opened_at: now, closed: None, ..first.clone() }
    }

    /// The exchanges about an attempt or a refund, first one first.
    pub(super) async fn list_exchanges(&self, about: About) -> Result<Vec<Exchange>, FlowError> {
        let (About::Attempt(payment, _) | About::Refund(payment, _)) = about;
        let all = self.store.list_exchanges(payment).await?;
        Ok(all.into_iter().filter(|exchange| About::of(exchange) == about).collect())
    }

    /// Commits an exchange before a byte leaves; false when the job has passed to another worker.
    pub(super) async fn open(&self, claimed: &Claimed, exchange: &Exchange) -> Result<bool, FlowError> {
        let opening = Worked::note(JobEnd::Keep).with(ExchangeWrite::Open(exchange.clone()));
        match self.happen(claimed, opening).await {
            Ok(_) => {
                self.store.pass(Point::BeforeAsk).await?;
                Ok(true)
            }
            Err(CommitError::LeaseLost) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the call of a committed exchange.
    ///
    /// A call that can move money is begun only while no other worker can have taken over: one that stalled
    /// here for a day would send under a key that the gateway has forgotten.
    pub(super) async fn send(
        &self,
        account: &Account,
        claimed: &Claimed,
        exchange: &Exchange,
    ) -> Result<Reply, SendError> {
        let call = call_of(exchange);
        if call.kind.moves_money() && !self.may_begin(claimed) {
            return Err(SendError::NotSent("the lease was too short to begin".to_owned()));
        }
        let result = self.client.send(account, &call, &exchange.api_version).await;
        self.store.pass(Point::AfterSend).await.map_err(|error| SendError::Lost(error.to_string()))?;
        result
    }

    /// How the exchange ended, for its row.
    pub(super) fn closing(
        &self,
        account: &Account,
        exchange: &Exchange,
        reply: &Result<Reply, SendError>,
        ended: Ended,
    ) -> ExchangeWrite {
        ExchangeWrite::Close(Closing {
            id: exchange.id,
            payment: exchange.payment,
            at: self.clock().now(account.livemode),
            http_status: reply.as_ref().ok().map(|reply| reply.status),
            result: Some(ended.result),
            verdict: ended.words,
            answer: reply.as_ref().ok().and_then(|reply| account.gateway.redact(reply)),
        })
    }

    /// Keeps how an exchange ended where nothing else is to be changed.
    pub(super) async fn keep(&self, closing: ExchangeWrite) -> Result<(), FlowError> {
        let mut change = self.change("worker", Subject::Note);
        change.exchanges.push(closing.clone());
        match self.store.commit(change).await {
            // It stays open on record, and stands in nobody's way.
            Err(CommitError::Store(StoreError::Unfit(why))) => {
                tracing::error!(exchange.id = %closing.id(), "the end of {} cannot be kept: {why}", closing.id());
                Ok(())
            }
            result => result.map(drop).map_err(FlowError::from),
        }
    }
}

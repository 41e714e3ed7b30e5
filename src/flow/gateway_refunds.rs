//! Gateway refunds: a charge and its refunds and disputes read anew at the gateway, and what is learned of them kept
//! (S1.20): when the gateway tells of them, before a refund is sent, and when one is refused.

use super::{FlowError, Flows, Worked, exchange::About, verdict::Ended};
use crate::{
    domain::{
        decline::transport,
        exchange_result::ExchangeResult,
        payment::Payment,
        refund::{Event, Refund, RefundStatus},
    },
    gateway::{
        Account, Reply,
        listing::{Listed, Listings, Page, Span, Topic},
    },
    store::{
        StoreError,
        change::{CommitError, Fact, JobEnd, Subject},
        claim::Claimed,
        gateway_events::Told,
    },
};
use chrono::TimeDelta;
use dunlin_jobs::{Job, PaymentId, Reconcile, RefundId};

/// How many pages one charge's refunds may have.
const MAX_PAGES: usize = 20;
/// How soon a charge is looked at again whose payment does not know it yet.
const SOON: TimeDelta = TimeDelta::seconds(2);
/// How often.
const MAX_LOOKS: u32 = 10;

/// What reading a charge anew came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reread {
    /// Everything was seen, and is kept.
    Done,
    /// The gateway did not show everything.
    Later(String),
    /// The gateway refused our credentials.
    Refused(String),
    /// The job has passed to another worker, or was put back.
    Passed,
}

/// A charge that is read anew.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) flows: &'a Flows,
    pub(super) claimed: &'a Claimed,
    pub(super) account: &'a Account,
    pub(super) payment: PaymentId,
    pub(super) charge: &'a str,
}

impl Look<'_> {
    /// Reads one list of the charge, and keeps what it shows.
    pub(super) async fn read(&self, topic: Topic) -> Result<Reread, FlowError> {
        let Some(listings) = self.account.gateway.listings() else { return Ok(Reread::Done) };
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let span = Span { charge: Some(self.charge), from: None, after: after.as_deref() };
            if !self.flows.await_turn(self.claimed, self.account).await? {
                return Ok(Reread::Passed);
            }
            let call = listings.list(topic, span);
            let exchange = self.flows.exchange(self.account, About::no_attempt(self.payment), &call);
            if !self.flows.open(self.claimed, &exchange).await? {
                return Ok(Reread::Passed);
            }
            let reply = self.flows.send(self.account, self.claimed, &exchange).await;
            let facts = match &reply {
                Ok(reply) => facts(listings, topic, reply),
                Err(error) => Listed::Nothing(error.to_string()),
            };
            let ended = ended(topic, &facts);
            self.flows.keep(self.flows.closing(self.account, &exchange, &reply, ended)).await?;
            let page = match facts {
                Listed::Page(page) => page,
                Listed::Refused(why) => return Ok(Reread::Refused(why)),
                // A charge that the gateway does not know has no refunds there.
                Listed::Gone(_) if after.is_none() => return Ok(Reread::Done),
                Listed::Gone(why) | Listed::Nothing(why) => return Ok(Reread::Later(why)),
            };
            for fact in page.items {
                self.flows.learn(self.payment, fact).await?;
            }
            after = page.next_after;
            if after.is_none() {
                return Ok(Reread::Done);
            }
        }
        Ok(Reread::Later("the charge has too many refunds".to_owned()))
    }

    /// Reads what decides about its money.
    async fn read_money(&self) -> Result<Reread, FlowError> {
        match self.read(Topic::Refunds).await? {
            Reread::Done => self.read(Topic::Disputes).await,
            other @ (Reread::Later(_) | Reread::Refused(_) | Reread::Passed) => Ok(other),
        }
    }
}

fn ended(topic: Topic, listed: &Listed<Fact>) -> Ended {
    match listed {
        Listed::Page(page) => {
            let words = format!("{} {} shown", page.items.len(), topic.name());
            Ended::new(ExchangeResult::Listed, &words)
        }
        Listed::Refused(why) => Ended::new(ExchangeResult::Credentials, why),
        Listed::Gone(why) | Listed::Nothing(why) => Ended::new(ExchangeResult::NoAnswer, why),
    }
}

/// What a page shows, whatever it is of.
pub(super) fn facts(listings: &dyn Listings, topic: Topic, reply: &Reply) -> Listed<Fact> {
    fn of<T>(listed: Listed<T>, fact: impl Fn(T) -> Fact) -> Listed<Fact> {
        match listed {
            Listed::Page(Page { items, unreadable, newest, next_after }) => {
                let items = items.into_iter().map(fact).collect();
                Listed::Page(Page { items, unreadable, newest, next_after })
            }
            Listed::Refused(why) => Listed::Refused(why),
            Listed::Gone(why) => Listed::Gone(why),
            Listed::Nothing(why) => Listed::Nothing(why),
        }
    }
    match topic {
        Topic::Refunds => of(listings.read_refunds(reply), |seen| Fact::Refund(Box::new(seen))),
        Topic::Disputes => of(listings.read_disputes(reply), |seen| Fact::Dispute(Box::new(seen))),
        Topic::Warnings => of(listings.read_warnings(reply), |seen| Fact::Warning(Box::new(seen))),
    }
}

impl Flows {
    /// Keeps what a gateway shows; true if it is new. What the database or the table of states does not take stands in
    /// the way of nothing: a person is told, and the rest is read.
    pub(super) async fn learn(&self, payment: PaymentId, fact: Fact) -> Result<bool, FlowError> {
        let change = self.change("worker", Subject::Fact(payment, fact.clone()));
        let committed = match self.store.commit(change).await {
            Err(
                why @ (CommitError::Store(StoreError::Unfit(_))
                | CommitError::Refused(_)
                | CommitError::RefundRefused(_)
                | CommitError::NotFound),
            ) => {
                tracing::error!(payment.id = %payment,
                    "what the gateway shows of {payment} cannot be kept: {why}; look there: {fact:?}");
                return Ok(false);
            }
            committed => committed?,
        };
        if committed.fresh {
            tell(payment, &fact, committed.refund.as_ref());
        }
        Ok(committed.fresh)
    }
}

/// Says in the log what was learned, once. What a person has to act upon is an error.
fn tell(payment: PaymentId, fact: &Fact, refund: Option<&Refund>) {
    match (fact, refund) {
        (Fact::Refund(seen), Some(refund)) => {
            let name = refund.status.name();
            if let Some(first) = seen.reference.filter(|id| *id != refund.id) {
                tracing::error!(payment.id = %payment, refund.id = %refund.id,
                    "{first} was executed twice by its gateway, again as {}", seen.operation);
            } else if refund.status == RefundStatus::Failed {
                tracing::error!(payment.id = %payment, refund.id = %refund.id,
                    "{} failed at its gateway, so its amount is free again", refund.id);
            } else {
                tracing::info!(payment.id = %payment, refund.id = %refund.id, status = name,
                    "{} ({}) is {name} at its gateway", refund.id, seen.operation);
            }
        }
        (Fact::Refund(seen), None) => {
            tracing::info!(payment.id = %payment, "{} is known of {payment}", seen.operation);
        }
        (Fact::Dispute(dispute), _) => {
            let (id, name) = (&dispute.id, dispute.status.name());
            tracing::error!(payment.id = %payment, dispute.id = id, status = name,
                "{payment} is disputed by its payer: {id} is {name}; answer it at the gateway");
        }
        (Fact::Warning(warning), _) => {
            tracing::warn!(payment.id = %payment, "{payment} may be fraud, the card's network warns: {}", warning.kind);
        }
    }
}

/// Whether an event tells of a refund that bears our reference and is another than the one that we know.
pub(super) async fn is_second(flows: &Flows, told: &Told, id: RefundId) -> Result<bool, FlowError> {
    let known = flows.store.find_refund(id).await?.and_then(|refund| refund.operation);
    Ok(known.zip(told.operation.as_ref()).is_some_and(|(known, told)| known != *told))
}

/// Looks into what a gateway tells of a charge's refunds, disputes or warnings.
pub(super) async fn look_into(
    flows: &Flows,
    claimed: &Claimed,
    told: &Told,
    topic: Topic,
) -> Result<(), FlowError> {
    let done = || flows.end_job(&claimed.lease, JobEnd::Done);
    let Some(charge) = told.charge.as_deref() else { return done().await };
    let account = flows.configured(&told.account, told.livemode)?;
    let Some(payment) = flows.find_charged(account, told.payment, charge).await? else { return done().await };
    let attempts = flows.store.list_attempts(payment.id).await?;
    if payment.cause_of_refund(charge, &attempts).is_none() && topic == Topic::Refunds {
        return wait_for_charge(flows, claimed, &payment).await;
    }
    if let Some(attempt) = payment.open_attempt() {
        // Whatever is told of a charge, the charge was made.
        let job = Job::Reconcile(Reconcile { payment: payment.id, attempt: attempt.n });
        flows.ask_now(&job, payment.livemode).await?;
    }
    let look = Look { flows, claimed, account, payment: payment.id, charge };
    let end = match look.read(topic).await? {
        Reread::Done => JobEnd::Done,
        Reread::Passed => return Ok(()),
        Reread::Later(why) | Reread::Refused(why) => {
            let at = flows.clock().now(claimed.livemode) + transport(claimed.failures + 1);
            JobEnd::Failed(at, why)
        }
    };
    flows.end_job(&claimed.lease, end).await
}

/// Its payment does not know yet that it was captured: that is asked after first.
async fn wait_for_charge(flows: &Flows, claimed: &Claimed, payment: &Payment) -> Result<(), FlowError> {
    if let Some(attempt) = payment.open_attempt().filter(|_| claimed.runs < MAX_LOOKS) {
        let job = Job::Reconcile(Reconcile { payment: payment.id, attempt: attempt.n });
        flows.ask_now(&job, payment.livemode).await?;
        return flows.end_job(&claimed.lease, JobEnd::Again(flows.now(payment) + SOON)).await;
    }
    // The daily reading of the gateway's lists comes by again.
    tracing::warn!(payment.id = %payment.id, "{} was given back at its gateway, and is not known to be paid", payment.id);
    flows.end_job(&claimed.lease, JobEnd::Done).await
}

impl Flows {
    /// The payment that a charge of an account was made for, if it is one of ours.
    async fn find_charged(
        &self,
        account: &Account,
        told: Option<PaymentId>,
        charge: &str,
    ) -> Result<Option<Payment>, FlowError> {
        let known = self.store.find_charged_payments(&account.name, &[charge]).await?;
        let id = match known.get(charge).copied().or(told) {
            Some(id) => Some(id),
            None => self.ask_whose(account, charge).await?,
        };
        let Some(id) = id else { return Ok(None) };
        let found = self.store.find_payment(id).await?;
        // A gateway speaks of its own payments only: another account's are none of its business.
        Ok(found.filter(|payment| payment.account == account.name && payment.livemode == account.livemode))
    }

    /// The payment whose reference a charge bears.
    async fn ask_whose(&self, account: &Account, charge: &str) -> Result<Option<PaymentId>, FlowError> {
        let Some(listings) = account.gateway.listings() else { return Ok(None) };
        let call = listings.find_charge(charge);
        let reply = self.client.send(account, &call, account.gateway.api_version()).await;
        let payment = match reply {
            Ok(reply) => listings.read_charge_payment(&reply),
            Err(error) => Err(error.to_string()),
        };
        payment.map_err(FlowError::Later)
    }
}

/// Whether a refund may go out, now that its charge is read anew. False where the job is ended, for now or for good.
pub(super) async fn may_send(
    flows: &Flows,
    claimed: &Claimed,
    account: &Account,
    refund: &Refund,
) -> Result<bool, FlowError> {
    let look = Look { flows, claimed, account, payment: refund.payment, charge: &refund.charge };
    let now = flows.clock().now(refund.livemode);
    match look.read_money().await? {
        Reread::Done => {}
        Reread::Passed => return Ok(false),
        Reread::Later(why) => {
            let at = now + transport(claimed.failures + 1);
            return flows.end_job(&claimed.lease, JobEnd::Failed(at, why)).await.map(|()| false);
        }
        Reread::Refused(why) => {
            flows.refuse_key(&account.name, &why).await?;
            return flows.end_job(&claimed.lease, JobEnd::Again(now)).await.map(|()| false);
        }
    }
    let current = flows.store.find_refund(refund.id).await?;
    if current.is_none_or(|current| current.status != RefundStatus::Pending) {
        // Other hands have settled it; the next look sees it as it is.
        return flows.end_job(&claimed.lease, JobEnd::Again(now)).await.map(|()| false);
    }
    let payment = flows.store.find_payment(refund.payment).await?.ok_or(FlowError::NotFound("payment"))?;
    let Err(why) = payment.covers(refund) else { return Ok(true) };
    let refused = Worked::refund(refund, Event::Rejected { reason: why.to_string() }, JobEnd::Done);
    match flows.happen(claimed, refused).await {
        Ok(committed) => {
            let told = committed.refund.iter().filter(|_| committed.fresh);
            told.for_each(|after| tell_refund(refund.status, after));
            Ok(false)
        }
        Err(CommitError::LeaseLost) => Ok(false),
        Err(CommitError::RefundRefused(_)) => {
            flows.end_job(&claimed.lease, JobEnd::Again(now)).await.map(|()| false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Why the gateway refused a refund, with what is left now that its charge is read anew.
pub(super) async fn explain_refusal(
    flows: &Flows,
    claimed: &Claimed,
    account: &Account,
    refund: &Refund,
    reason: String,
) -> Result<String, FlowError> {
    let look = Look { flows, claimed, account, payment: refund.payment, charge: &refund.charge };
    if look.read_money().await? != Reread::Done {
        return Ok(reason);
    }
    let payment = flows.store.find_payment(refund.payment).await?.ok_or(FlowError::NotFound("payment"))?;
    Ok(match payment.covers(refund) {
        Ok(()) => reason,
        Err(why) => format!("{reason}; {why}"),
    })
}

/// Says in the log what a refund has come to. That one failed late, or that nothing gives a second charge back, is for
/// a person.
pub(super) fn tell_refund(before: RefundStatus, refund: &Refund) {
    let name = refund.status.name();
    let late = before == RefundStatus::Succeeded && refund.status == RefundStatus::Failed;
    match &refund.review_reason {
        Some(why) if refund.status == RefundStatus::Failed => {
            tracing::error!(refund.id = %refund.id, payment.id = %refund.payment, status = name,
                "{} needs a person: {why}", refund.id);
        }
        Some(_) | None if late => {
            tracing::error!(refund.id = %refund.id, payment.id = %refund.payment, status = name,
                "{} had succeeded and has failed, so its amount is free again", refund.id);
        }
        Some(_) | None => {
            tracing::info!(refund.id = %refund.id, payment.id = %refund.payment, status = name,
                "{} is {name}", refund.id);
        }
    }
}

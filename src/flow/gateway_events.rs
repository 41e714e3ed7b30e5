//! Gateway events: what a gateway tells unasked is kept as it came, and makes us look; what counts is what the
//! look finds (S1.13, S1.14).

use super::{
    FlowError, Flows, Worked, gateway_refunds, inquiry::Inquiry, named_operation, other_operation::having,
};
use crate::{
    domain::{
        attempt::{Attempt, AttemptStatus, Outcome},
        payment::{Event, Payment},
        refund::Refund,
    },
    failpoint::Point,
    gateway::{Finding, listing::Topic, webhook::WebhookError},
    store::{
        change::{CommitError, ExchangeWrite, JobEnd},
        claim::Claimed,
        gateway_events::{Hurried, Told},
    },
};
use chrono::TimeDelta;
use dunlin_jobs::{GatewayEvent, Job, Reconcile, RefundId};
use std::collections::BTreeMap;

/// How soon a question that was in hand when the event came is asked again.
const SOON: TimeDelta = TimeDelta::seconds(2);
/// How many looks that prove nothing an event is worth: by the shipped schedule, those of seven hours.
const MAX_LOOKS: u32 = 10;

impl Flows {
    /// Takes in what a gateway tells of an account; false if it was known. Only what is proven to come from the
    /// gateway is kept, and it is kept before it is believed (S4.12).
    pub async fn take_gateway_event(
        &self,
        account: &str,
        headers: &BTreeMap<String, String>,
        body: &[u8],
    ) -> Result<bool, FlowError> {
        let account = self.gateways.find(account).ok_or(FlowError::NotFound("gateway account"))?;
        // A gateway signs by its own clock, which is the system's unless it follows ours.
        let now = self.clock().now(!account.follows_test_clock);
        let read = account.gateway.read_webhook(headers, body, now);
        let notification = match read {
            Ok(notification) => notification,
            Err(WebhookError::NotConfigured) => {
                tracing::warn!(gateway.name = %account.name,
                    "a webhook came for {}, which has no webhook_secret", account.name);
                return Err(FlowError::NotFound("gateway account"));
            }
            Err(error @ (WebhookError::Forged(_) | WebhookError::Unreadable)) => {
                tracing::warn!(gateway.name = %account.name, %error, "a webhook was refused: {error}");
                return Err(FlowError::Unproven(error.to_string()));
            }
        };
        let told = Told {
            account: account.name.clone(),
            event: notification.id,
            livemode: account.livemode,
            kind: notification.kind,
            payment: notification.payment,
            operation: notification.operation,
            refund: notification.refund,
            charge: notification.charge,
            topic: notification.topic.map(|topic| topic.name().to_owned()),
            body: String::from_utf8_lossy(body).into_owned(),
        };
        if let Some(method) = &notification.renewed_method {
            tracing::info!(gateway.name = %account.name, "the card behind {method} was renewed by its network");
        }
        self.store.pass(Point::Told).await?;
        let fresh = self.store.keep_gateway_event(&told).await?;
        self.store.pass(Point::ToldKept).await?;
        Ok(fresh)
    }

    /// Has a question asked now, whether or not its job was there.
    pub(super) async fn ask_now(&self, job: &Job, livemode: bool) -> Result<Hurried, FlowError> {
        let now = self.clock().now(livemode);
        let hurried = self.store.hurry(job, now).await?;
        if hurried == Hurried::Missing {
            self.store.adopt(livemode, job, now).await?;
        }
        Ok(hurried)
    }
}

/// Works on a gateway event: has the payment that it names looked at.
pub async fn run(flows: &Flows, claimed: &Claimed, job: &GatewayEvent) -> Result<(), FlowError> {
    let Some(told) = flows.store.find_gateway_event(&job.account, &job.event).await? else {
        return flows.end_job(&claimed.lease, super::not_there("its event does not exist")).await;
    };
    flows.store.pass(Point::ToldLooked).await?;
    if let Some(refund) = told.refund
        && !gateway_refunds::is_second(flows, &told, refund).await?
    {
        return look_at_refund(flows, claimed, &told, refund).await;
    }
    if let Some(topic) = told.topic.as_deref().and_then(Topic::from_name) {
        return gateway_refunds::look_into(flows, claimed, &told, topic).await;
    }
    let payment = match told.payment {
        Some(id) => flows.store.find_payment(id).await?,
        None => None,
    };
    // A gateway speaks of its own payments only: another account's are none of its business.
    let ours = |payment: &Payment| payment.account == told.account && payment.livemode == told.livemode;
    let Some(payment) = payment.filter(ours) else {
        is_not_here(&told, told.payment.map(|id| id.to_string()));
        return flows.end_job(&claimed.lease, JobEnd::Done).await;
    };
    let beside = beside(&payment, &told);
    match (payment.attempt.clone(), beside) {
        (Some(attempt), beside) => look_at_attempt(flows, claimed, (&payment, &attempt), beside).await,
        // What was sent may have been forgotten here, by a database that lost its last commits.
        (None, Some(named)) => look_at_named(flows, claimed, &payment, named).await,
        (None, None) => {
            tracing::error!(payment.id = %payment.id, gateway.name = %told.account,
                "{} has no attempt, but {} tells of it by the event {}: look at the gateway's dashboard",
                payment.id, told.account, told.event);
            flows.end_job(&claimed.lease, JobEnd::Done).await
        }
    }
}

async fn look_at_attempt(
    flows: &Flows,
    claimed: &Claimed,
    (payment, attempt): (&Payment, &Attempt),
    beside: Option<&str>,
) -> Result<(), FlowError> {
    let soon = || flows.end_job(&claimed.lease, JobEnd::Again(flows.now(payment) + SOON));
    match attempt.status {
        AttemptStatus::Unknown | AttemptStatus::Pending | AttemptStatus::RequiresAction => {
            let job = Job::Reconcile(Reconcile { payment: payment.id, attempt: attempt.n });
            match beside {
                Some(named) if claimed.runs > 0 => look_at_named(flows, claimed, payment, named).await,
                // Its own operation comes first: of two captures the second one must not hide the first.
                Some(_) => {
                    flows.ask_now(&job, payment.livemode).await?;
                    soon().await
                }
                None => hurry(flows, claimed, &job, payment.livemode).await,
            }
        }
        // Whoever sends it has the answer, or vanishes. What is told may be of another charge, which can be seen
        // only then.
        AttemptStatus::Sending => soon().await,
        AttemptStatus::Succeeded => match beside {
            Some(named) => look_at_named(flows, claimed, payment, named).await,
            // That it has succeeded is a person's word, and the gateway may tell of another charge than they have named.
            None if payment.is_paid_by_hand() => look_again(flows, claimed, payment, attempt).await,
            // A late word never moves a success back (S1.13).
            None => flows.end_job(&claimed.lease, JobEnd::Done).await,
        },
        AttemptStatus::Planned
        | AttemptStatus::Declined
        | AttemptStatus::Rejected
        | AttemptStatus::Canceled
        | AttemptStatus::Duplicate => match beside {
            Some(named) => look_at_named(flows, claimed, payment, named).await,
            None => look_again(flows, claimed, payment, attempt).await,
        },
    }
}

/// The operation that is told of, where the payment has another, or none: money that was taken there is a second capture
/// (S1.4), or the one that nothing here knows of yet.
fn beside<'a>(payment: &Payment, told: &'a Told) -> Option<&'a str> {
    told.operation.as_deref().filter(|told| payment.operation.as_deref() != Some(told))
}

/// What the gateway tells of and nothing here knows is some person's to find out.
fn is_not_here(told: &Told, id: Option<String>) {
    let id = id.unwrap_or_default();
    tracing::error!(gateway.name = %told.account,
        "{} tells of {id} by the event {} ({}), and {id} is not known here: see the gateway's dashboard, and whether \
         the database has lost it", told.account, told.event, told.kind);
}

/// A refund's own job asks, also where it had come to its end: a bank may send money back.
async fn look_at_refund(
    flows: &Flows,
    claimed: &Claimed,
    told: &Told,
    id: RefundId,
) -> Result<(), FlowError> {
    let refund = flows.store.find_refund(id).await?;
    let ours = |refund: &Refund| refund.account == told.account && refund.livemode == told.livemode;
    let Some(refund) = refund.filter(ours) else {
        is_not_here(told, Some(id.to_string()));
        return flows.end_job(&claimed.lease, JobEnd::Done).await;
    };
    let job = Job::Refund(dunlin_jobs::Refund { payment: refund.payment, refund: refund.id });
    hurry(flows, claimed, &job, refund.livemode).await
}

/// What is open has its question waiting; it is asked now.
async fn hurry(flows: &Flows, claimed: &Claimed, job: &Job, livemode: bool) -> Result<(), FlowError> {
    let now = flows.clock().now(livemode);
    let end = match flows.ask_now(job, livemode).await? {
        Hurried::Due | Hurried::Missing => JobEnd::Done,
        // It may have asked before the gateway knew what it tells now.
        Hurried::InHand => JobEnd::Again(now + SOON),
    };
    flows.end_job(&claimed.lease, end).await
}

/// An attempt that we hold for closed, or for never sent: a success would contradict us, and nothing else counts.
async fn look_again(
    flows: &Flows,
    claimed: &Claimed,
    payment: &Payment,
    attempt: &Attempt,
) -> Result<(), FlowError> {
    let inquiry = Inquiry { flows, claimed, payment, attempt };
    if !inquiry.is_possible()? {
        return flows.end_job(&claimed.lease, JobEnd::Done).await;
    }
    let Some(heard) = inquiry.ask().await? else { return Ok(()) };
    judge(flows, claimed, payment, heard).await
}

/// An operation that is not the payment's by our record: a success counts, and what could still become one is withdrawn,
/// unless it may yet turn out to be the payment's.
async fn look_at_named(
    flows: &Flows,
    claimed: &Claimed,
    payment: &Payment,
    named: &str,
) -> Result<(), FlowError> {
    let heard = named_operation::ask(flows, claimed, &having(payment, named)).await?;
    let Some((finding, closing)) = heard else { return Ok(()) };
    let is_open = match &finding {
        Finding::Answered(answer) => answer.outcome != Outcome::Succeeded,
        Finding::Absent => true,
        Finding::Canceled | Finding::More(_) | Finding::Nothing(_) => false,
    };
    if !is_open {
        return judge(flows, claimed, payment, (finding, closing)).await;
    }
    let end = if payment.has_no_use_for(named) {
        flows.withdraw_other(payment, named).await?;
        JobEnd::Done
    } else {
        // Nothing else asks after it.
        look_later(flows, claimed, payment)
    };
    conclude(flows, claimed, Worked::note(end), closing).await
}

async fn judge(
    flows: &Flows,
    claimed: &Claimed,
    payment: &Payment,
    (finding, closing): (Finding, ExchangeWrite),
) -> Result<(), FlowError> {
    let n = payment.attempt.as_ref().map(|attempt| attempt.n);
    match finding {
        Finding::Answered(answer) if answer.outcome == Outcome::Succeeded => {
            let event = Event::Answered { attempt: n.unwrap_or(1), answer };
            let worked = if is_latest(flows, payment, n).await? {
                Worked::event(payment, event, JobEnd::Done)
            } else {
                // The success may be the next attempt's own, whose answer is on its way.
                Worked::note(JobEnd::Again(flows.now(payment) + SOON))
            };
            conclude(flows, claimed, worked, closing).await
        }
        Finding::Answered(_) | Finding::Canceled | Finding::Absent => {
            conclude(flows, claimed, Worked::note(JobEnd::Done), closing).await
        }
        Finding::More(_) | Finding::Nothing(_) => {
            let end = look_later(flows, claimed, payment);
            conclude(flows, claimed, Worked::note(end), closing).await
        }
    }
}

/// Whether the payment is still at the attempt that was asked about.
async fn is_latest(flows: &Flows, payment: &Payment, n: Option<u32>) -> Result<bool, FlowError> {
    let now = flows.store.find_payment(payment.id).await?;
    Ok(now.is_some_and(|payment| payment.attempt.map(|latest| latest.n) == n))
}

/// A look that proved nothing is repeated on the schedule, and not for ever.
fn look_later(flows: &Flows, claimed: &Claimed, payment: &Payment) -> JobEnd {
    if claimed.failures + 1 >= MAX_LOOKS {
        tracing::error!(payment.id = %payment.id, gateway.name = %payment.account,
            "{} was told of by its gateway, which did not say more when asked {MAX_LOOKS} times", payment.id);
        return JobEnd::Done;
    }
    let later = flows.next_look(payment.livemode, &claimed.lease.job.to_string(), claimed.failures);
    JobEnd::Failed(later, "the gateway did not tell more".to_owned())
}

async fn conclude(
    flows: &Flows,
    claimed: &Claimed,
    worked: Worked,
    closing: ExchangeWrite,
) -> Result<(), FlowError> {
    match flows.happen(claimed, worked.with(closing.clone())).await {
        Ok(committed) => {
            super::charge::tell(committed.payment.as_ref().filter(|_| committed.fresh));
            Ok(())
        }
        Err(CommitError::LeaseLost) => flows.keep(closing).await,
        Err(error) => Err(error.into()),
    }
}

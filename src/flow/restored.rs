//! Restored: what the database does not know, since it was set back to an earlier state after that.

use super::{
    FlowError, Flows, Worked,
    cancel::not_cancelable,
    evidence::{self, Absence, Evidence},
    exchange::{About, By, Talk},
    second_look::{end, later},
};
use crate::{
    domain::{
        attempt::Outcome,
        clock::Time,
        payment::{Event, Payment},
    },
    gateway::{Account, Finding, Tried},
    store::{
        change::{Exchange, ExchangeWrite, JobEnd},
        claim::Claimed,
    },
};
use chrono::TimeDelta;

impl Flows {
    /// When the database was last restored, if that was after the moment. What was sent in between may be missing.
    pub(super) async fn restored_since(
        &self,
        moment: Time,
        livemode: bool,
    ) -> Result<Option<Time>, FlowError> {
        let restored_at = self.store.find_last_restore().await?;
        // Test time may have been as late as that.
        let offset = if livemode { TimeDelta::zero() } else { self.clock().offset() };
        Ok(restored_at.map(|at| at + offset).filter(|at| *at >= moment))
    }

    /// When something of that age may have left last: as far as is on record, and as late as the database was set back.
    pub(super) async fn last_sent_at(
        &self,
        exchanges: &[Exchange],
        created_at: Time,
        livemode: bool,
    ) -> Result<Option<Time>, FlowError> {
        Ok(evidence::last_sent_at(exchanges).max(self.restored_since(created_at, livemode).await?))
    }
}

/// Whether a charge may have been sent since that moment that is not on record, under a key that the gateway may have
/// forgotten: it is asked after before it is sent. An operation that is known captures once (S1.17).
pub(super) async fn is_doubtful(
    flows: &Flows,
    payment: &Payment,
    evidence: &Evidence<'_>,
    since: Time,
) -> Result<bool, FlowError> {
    if payment.operation.is_some() || evidence.is_key_young(since) {
        return Ok(false);
    }
    let restored_at = flows.restored_since(since, payment.livemode).await?;
    Ok(restored_at.is_some_and(|at| !evidence.is_proven_absent_since(at)))
}

/// A payment of before a restore of which no operation is on record. It may have been charged since, so that the gateway
/// is asked before it ends.
struct Unrecorded<'a> {
    flows: &'a Flows,
    payment: &'a Payment,
    account: &'a Account,
    n: u32,
    exchanges: Vec<Exchange>,
    /// When something may have left last.
    last_sent_at: Time,
    now: Time,
}

impl<'a> Unrecorded<'a> {
    async fn load(flows: &'a Flows, payment: &'a Payment, restored_at: Time) -> Result<Self, FlowError> {
        let account = flows.account(payment)?;
        let n = payment.attempt.as_ref().map_or(1, |attempt| attempt.n);
        let exchanges = flows.list_exchanges(About::Attempt(payment.id, n)).await?;
        let last_sent_at = evidence::last_sent_at(&exchanges).map_or(restored_at, |at| at.max(restored_at));
        let now = flows.evidence_time(payment);
        Ok(Self { flows, payment, account, n, exchanges, last_sent_at, now })
    }

    /// Whatever stands at the gateway in its name; none where a worker's job has passed on.
    async fn look(&self, by: By<'_>) -> Result<Option<(Finding, ExchangeWrite)>, FlowError> {
        let Self { flows, payment, account, n, .. } = *self;
        let (gateway, tried) = (&account.gateway, Tried::of(payment, n, payment.created_at));
        let talk = Talk { flows, by, account, about: About::Attempt(payment.id, n) };
        talk.ask(gateway.query(tried), |call, reply| gateway.read_query(tried, call, reply)).await
    }

    /// What it means that nothing is there.
    fn absence(&self) -> Absence {
        self.evidence().absence(self.last_sent_at)
    }

    /// From when a listing must show what was sent.
    fn shows_from(&self) -> Time {
        self.evidence().shows_from(self.last_sent_at)
    }

    fn evidence(&self) -> Evidence<'_> {
        Evidence { traits: self.account.gateway.traits(), exchanges: &self.exchanges, now: self.now }
    }
}

impl Flows {
    /// When the database was set back since the payment was taken in, where that left no operation of it on record: one
    /// that is known is canceled too, and a success found there.
    async fn unrecorded_since(&self, payment: &Payment) -> Result<Option<Time>, FlowError> {
        let restored_at = self.restored_since(payment.created_at, payment.livemode).await?;
        Ok(restored_at.filter(|_| payment.operation.is_none()))
    }
}

/// Whether a payment that nobody waits for any more may be canceled unasked. One of before a restore may have been
/// charged since: the gateway is asked first. Where it may not be canceled, the job is ended.
pub(super) async fn may_give_up(
    flows: &Flows,
    claimed: &Claimed,
    payment: &Payment,
) -> Result<bool, FlowError> {
    let Some(restored_at) = flows.unrecorded_since(payment).await? else { return Ok(true) };
    if !flows.is_identified(&payment.account) {
        // Nothing is to be found in another account.
        return flows.put_back(claimed, &payment.account).await.map(|()| false);
    }
    let unrecorded = Unrecorded::load(flows, payment, restored_at).await?;
    let Some((finding, closing)) = unrecorded.look(By::Worker(claimed)).await? else { return Ok(false) };
    let again = |at| Worked::note(JobEnd::Again(at));
    let worked = match finding {
        Finding::Canceled => return flows.keep(closing).await.map(|()| true),
        Finding::Absent => match unrecorded.absence() {
            Absence::Proven => return flows.keep(closing).await.map(|()| true),
            Absence::First { again_in } => again(flows.now(payment) + again_in),
            Absence::ProvesNothing => {
                again(unrecorded.shows_from().max(flows.now(payment) + TimeDelta::minutes(5)))
            }
        },
        Finding::Answered(answer) if answer.outcome == Outcome::Succeeded => {
            tracing::warn!(payment.id = %payment.id,
                "{} is not canceled: it was charged before the database was set back", payment.id);
            Worked::event(payment, Event::Answered { attempt: unrecorded.n, answer }, JobEnd::Done)
        }
        Finding::Answered(_) => {
            later(flows, claimed, payment, "the gateway has it, and it is not over there".to_owned())
        }
        Finding::More(_) => {
            later(flows, claimed, payment, "the gateway's listing is too long to be read".to_owned())
        }
        Finding::Nothing(why) => later(flows, claimed, payment, why),
    };
    end(flows, claimed, worked, closing).await
}

/// What a caller's cancellation comes to. A payment of before a restore may have been charged since: the gateway is asked
/// first, once a call, and the call that proves that nothing is there cancels.
///
/// # Errors
///
/// [`FlowError::Later`] while nothing is proven, and a conflict where the gateway has it and it is not over there.
pub(super) async fn cancel_after_look(
    flows: &Flows,
    payment: &Payment,
) -> Result<(Event, Option<ExchangeWrite>), FlowError> {
    let Some(restored_at) = flows.unrecorded_since(payment).await? else { return Ok((Event::Cancel, None)) };
    let why = "the database was restored after the payment was taken in, and it may have been charged since";
    let not_yet = |what: String| FlowError::Later(format!("{why}; {what}"));
    if !flows.is_identified(&payment.account) {
        return Err(not_yet(format!("whose account {} is has not been told", payment.account)));
    }
    let unrecorded = Unrecorded::load(flows, payment, restored_at).await?;
    // A caller has no job that could pass on.
    let Some((finding, closing)) = unrecorded.look(By::Caller).await? else {
        return Err(not_yet("the gateway was not asked".to_owned()));
    };
    let again = |wait: TimeDelta| {
        not_yet(format!("nothing was found there: ask again in {} minutes", wait.num_minutes().max(0) + 1))
    };
    let refused = match finding {
        Finding::Canceled => return Ok((Event::Cancel, Some(closing))),
        Finding::Absent => match unrecorded.absence() {
            Absence::Proven => return Ok((Event::Cancel, Some(closing))),
            Absence::First { again_in } => again(again_in),
            Absence::ProvesNothing => again(unrecorded.shows_from() - unrecorded.now),
        },
        Finding::Answered(answer) if answer.outcome == Outcome::Succeeded => {
            return Ok((Event::Answered { attempt: unrecorded.n, answer }, Some(closing)));
        }
        Finding::Answered(_) => {
            not_cancelable(payment, format!("{why}; the gateway has it, and it is not over there"))
        }
        Finding::More(_) => not_yet("the gateway's listing is too long to be read: look there".to_owned()),
        Finding::Nothing(what) => not_yet(format!("the gateway does not say: {what}")),
    };
    flows.keep(closing).await?;
    Err(refused)
}

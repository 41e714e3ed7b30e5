//! Restored: what the database does not know, since it was set back to an earlier state after that.

use super::{
    FlowError, Flows, Worked,
    cancel::not_cancelable,
    evidence::{self, Absence, Evidence},
    exchange::{About, Talk},
    second_look::{end, later},
    verdict::{Ended, Verdict},
};
use crate::{
    domain::{
        attempt::Outcome,
        clock::Time,
        exchange_result::ExchangeResult,
        payment::{Event, Payment},
    },
    gateway::{Account, Call, Finding, Reply, Tried, Wanted},
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

/// Whether a payment that nobody waits for any more may be canceled unasked. One of before a restore may have been
/// charged since: the gateway is asked first. Where it may not be canceled, the job is ended.
pub(super) async fn may_give_up(
    flows: &Flows,
    claimed: &Claimed,
    payment: &Payment,
) -> Result<bool, FlowError> {
    let restored_at = flows.restored_since(payment.created_at, payment.livemode).await?;
    // Where its operation is known, that is canceled too, and a success found there.
    let Some(restored_at) = restored_at.filter(|_| payment.operation.is_none()) else { return Ok(true) };
    if !flows.is_identified(&payment.account) {
        // Nothing is to be found in another account.
        return flows.put_back(claimed, &payment.account).await.map(|()| false);
    }
    let account = flows.account(payment)?;
    let gateway = &account.gateway;
    let n = payment.attempt.as_ref().map_or(1, |attempt| attempt.n);
    let about = About::Attempt(payment.id, n);
    let exchanges = flows.list_exchanges(about).await?;
    let now = flows.evidence_time(payment);
    let evidence = Evidence { traits: gateway.traits(), exchanges: &exchanges, now };
    let tried = any_of(payment, n);
    let talk = Talk { flows, claimed, account, about };
    let asked = talk.ask(gateway.query(tried), |call, reply| gateway.read_query(tried, call, reply)).await?;
    let Some((finding, closing)) = asked else { return Ok(false) };
    let again = |at| Worked::note(JobEnd::Again(at));
    let last_sent_at = evidence::last_sent_at(&exchanges).map_or(restored_at, |at| at.max(restored_at));
    let worked = match finding {
        Finding::Canceled => return flows.keep(closing).await.map(|()| true),
        Finding::Absent => match evidence.absence(last_sent_at) {
            Absence::Proven => return flows.keep(closing).await.map(|()| true),
            Absence::First { again_in } => again(flows.now(payment) + again_in),
            Absence::ProvesNothing => {
                again(evidence.shows_from(last_sent_at).max(flows.now(payment) + TimeDelta::minutes(5)))
            }
        },
        Finding::Answered(answer) if answer.outcome == Outcome::Succeeded => {
            tracing::warn!(payment.id = %payment.id,
                "{} is not canceled: it was charged before the database was set back", payment.id);
            Worked::event(payment, Event::Answered { attempt: n, answer }, JobEnd::Done)
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

/// Whatever stands at the gateway in a payment's name.
fn any_of(payment: &Payment, n: u32) -> Tried<'_> {
    let wanted = Wanted::Any;
    Tried { payment, n, since: payment.created_at, earlier_charge: None, must_bear_reference: false, wanted }
}

/// How many pages of a listing a caller waits for.
const MAX_PAGES: usize = 20;

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
    let restored_at = flows.restored_since(payment.created_at, payment.livemode).await?;
    let Some(restored_at) = restored_at.filter(|_| payment.operation.is_none()) else {
        return Ok((Event::Cancel, None));
    };
    let why = "the database was restored after the payment was taken in, and it may have been charged since";
    if !flows.is_identified(&payment.account) {
        return Err(FlowError::Later(format!(
            "{why}; whose account {} is has not been told",
            payment.account
        )));
    }
    let account = flows.account(payment)?;
    let gateway = &account.gateway;
    let n = payment.attempt.as_ref().map_or(1, |attempt| attempt.n);
    let about = About::Attempt(payment.id, n);
    let exchanges = flows.list_exchanges(about).await?;
    let tried = any_of(payment, n);
    let read = |call: &Call, reply: &Reply| gateway.read_query(tried, call, reply);
    let (finding, closing) = look(flows, account, about, gateway.query(tried), read).await?;
    let evidence =
        Evidence { traits: gateway.traits(), exchanges: &exchanges, now: flows.evidence_time(payment) };
    let last_sent_at = evidence::last_sent_at(&exchanges).map_or(restored_at, |at| at.max(restored_at));
    let minutes = |wait: TimeDelta| wait.num_minutes().max(0) + 1;
    let later = |wait: TimeDelta| {
        FlowError::Later(format!("{why}; nothing was found there: ask again in {} minutes", minutes(wait)))
    };
    let refused = match finding {
        Finding::Canceled => return Ok((Event::Cancel, Some(closing))),
        Finding::Absent => match evidence.absence(last_sent_at) {
            Absence::Proven => return Ok((Event::Cancel, Some(closing))),
            Absence::First { again_in } => later(again_in),
            Absence::ProvesNothing => later(evidence.shows_from(last_sent_at) - evidence.now),
        },
        Finding::Answered(answer) if answer.outcome == Outcome::Succeeded => {
            return Ok((Event::Answered { attempt: n, answer }, Some(closing)));
        }
        Finding::Answered(_) => {
            not_cancelable(payment, format!("{why}; the gateway has it, and it is not over there"))
        }
        Finding::More(_) => {
            FlowError::Later(format!("{why}; the gateway's listing is too long to be read: look there"))
        }
        Finding::Nothing(what) => FlowError::Later(format!("{why}; the gateway does not say: {what}")),
    };
    flows.keep(closing).await?;
    Err(refused)
}

/// Asks without a lease, which a question that moves no money does not need.
async fn look<A: Verdict>(
    flows: &Flows,
    account: &Account,
    about: About,
    mut call: Call,
    read: impl Fn(&Call, &Reply) -> Finding<A>,
) -> Result<(Finding<A>, ExchangeWrite), FlowError> {
    let mut page = 0;
    loop {
        page += 1;
        let exchange = flows.exchange(account, about, &call);
        flows.keep(ExchangeWrite::Open(exchange.clone())).await?;
        let reply = flows.client.send(account, &call, &exchange.api_version).await;
        let finding = match &reply {
            Ok(reply) => read(&call, reply),
            Err(error) => Finding::Nothing(error.to_string()),
        };
        if let Finding::More(next) = &finding
            && page < MAX_PAGES
        {
            let ended = Ended::new(ExchangeResult::NotOnPage, "not on this page");
            flows.keep(flows.closing(account, &exchange, &reply, ended)).await?;
            call = next.clone();
        } else {
            let closing = flows.closing(account, &exchange, &reply, finding.verdict());
            return Ok((finding, closing));
        }
    }
}

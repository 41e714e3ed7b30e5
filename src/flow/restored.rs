//! Restored: what the database does not know, since it was set back to an earlier state after that.

use super::{
    FlowError, Flows, Worked,
    evidence::{self, Absence, Evidence},
    exchange::{About, Talk},
    second_look::{end, later},
};
use crate::{
    domain::{
        attempt::Outcome,
        clock::Time,
        payment::{Event, Payment},
    },
    gateway::{Finding, Tried, Wanted},
    store::{
        change::{Exchange, JobEnd},
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
    let tried = Tried {
        payment,
        n,
        since: payment.created_at,
        earlier_charge: None,
        must_bear_reference: false,
        wanted: Wanted::Any,
    };
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

//! Inquiry: asks a gateway what became of an attempt.

use super::{
    FlowError, Flows, evidence,
    exchange::{About, By, Talk},
};
use crate::{
    domain::{attempt::Attempt, payment::Payment},
    gateway::{Finding, Tried, Wanted},
    store::{change::ExchangeWrite, claim::Claimed},
};

/// One question about one attempt.
pub(super) struct Inquiry<'a> {
    pub(super) flows: &'a Flows,
    pub(super) claimed: &'a Claimed,
    pub(super) payment: &'a Payment,
    pub(super) attempt: &'a Attempt,
}

impl Inquiry<'_> {
    /// Whether there is anything to ask by: the gateway's own id, or our reference in its listings (S2.9).
    pub(super) fn is_possible(&self) -> Result<bool, FlowError> {
        let listed = self.flows.account(self.payment)?.gateway.traits().query_by_reference;
        Ok(listed || self.payment.operation.is_some())
    }

    /// Asks by the gateway's own id, or in a complete listing; none when the job has passed to another worker.
    pub(super) async fn ask(&self) -> Result<Option<(Finding, ExchangeWrite)>, FlowError> {
        let Self { flows, claimed, payment, attempt } = *self;
        let account = flows.account(payment)?;
        let attempts = flows.store.list_attempts(payment.id).await?;
        // An attempt that was never charged has no charge; the last one that was is what the intent still names.
        let mut earlier = attempts.iter().rev().filter(|other| other.n < attempt.n);
        let about = About::Attempt(payment.id, attempt.n);
        let exchanges = flows.list_exchanges(about).await?;
        // A database that was restored or failed over may lack sends, so it is the payment's birth that counts; and
        // whichever machine's clock was wrong, a listing that begins too late would find nothing.
        let first = evidence::first_send(&exchanges).map_or(attempt.first_sent_at, |send| send.opened_at);
        // What was set aside may have made an operation too.
        let is_beside = attempts.iter().any(|other| other.n < attempt.n && payment.is_set_aside(other));
        let since = payment.created_at.min(first).min(attempt.first_sent_at);
        let tried = Tried {
            earlier_charge: earlier.find_map(|attempt| attempt.charge.as_deref()),
            wanted: if is_beside { Wanted::Since(first.min(attempt.first_sent_at)) } else { Wanted::Any },
            ..Tried::of(payment, attempt.n, since)
        };
        let talk = Talk { flows, by: By::Worker(claimed), account, about };
        let gateway = &account.gateway;
        talk.ask(gateway.query(tried), |call, reply| gateway.read_query(tried, call, reply)).await
    }
}

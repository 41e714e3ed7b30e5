//! Named operation: what a signed event of the gateway names is asked for by its own id, and counts only if it bears our
//! reference.

use super::{
    FlowError, Flows,
    exchange::{About, By, Talk},
};
use crate::{
    domain::payment::Payment,
    gateway::{Finding, Tried},
    store::{change::ExchangeWrite, claim::Claimed},
};

/// What became of the operation that the payment is given here; none when the job has passed to another worker.
pub(super) async fn ask(
    flows: &Flows,
    claimed: &Claimed,
    payment: &Payment,
) -> Result<Option<(Finding, ExchangeWrite)>, FlowError> {
    let account = flows.account(payment)?;
    let n = payment.attempt.as_ref().map_or(1, |attempt| attempt.n);
    let tried = Tried { must_bear_reference: true, ..Tried::of(payment, n, payment.created_at) };
    let talk = Talk { flows, by: By::Worker(claimed), account, about: About::no_attempt(payment.id) };
    let gateway = &account.gateway;
    talk.ask(gateway.query(tried), |call, reply| gateway.read_query(tried, call, reply)).await
}

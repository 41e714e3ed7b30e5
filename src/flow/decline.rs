//! Declines: what a decline's error leaves out is asked of the gateway before it is decided on.

use super::{exchange::Talk, verdict::Ended};
use crate::domain::{
    attempt::{Answer, Outcome},
    exchange_result::ExchangeResult,
};

impl Talk<'_> {
    /// Asks for the declined charge, where its facts would decide. Whatever comes of that, the answer stands: it is not lost
    /// for a question that fails, nor put back until there is a turn.
    pub(super) async fn complete(&self, mut answer: Answer) -> Answer {
        if let Outcome::Declined(decline) = &mut answer.outcome
            && let Some(charge) = &answer.charge
            && self.flows.store.policy().asks_for_network_status(decline)
            && self.may_begin()
            && let Some(call) = self.account.gateway.query_charge(charge)
        {
            let exchange = self.flows.exchange(self.account, self.about, &call);
            let told = match self.call(&exchange).await {
                Ok(Some(reply)) => {
                    let told = reply
                        .as_ref()
                        .is_ok_and(|reply| self.account.gateway.complete_decline(decline, charge, reply));
                    let verdict =
                        if told { "the charge's outcome" } else { "nothing of the charge's outcome" };
                    let ended = Ended::new(ExchangeResult::NoAnswer, verdict);
                    let closing = self.flows.closing(self.account, &exchange, &reply, ended);
                    self.flows.keep(closing).await.map(|()| told)
                }
                Ok(None) => Ok(false),
                Err(error) => Err(error),
            };
            match told {
                Ok(true) => {}
                Ok(false) => tracing::debug!("a decline is decided on without its charge's outcome"),
                Err(error) => {
                    tracing::warn!(%error, "a decline is decided on without its charge's outcome: {error}");
                }
            }
        }
        answer
    }
}

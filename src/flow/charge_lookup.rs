//! Charge lookup: a charge that a person names is looked up at the gateway before their word on it counts.

use super::{FlowError, Flows, exchange::About, resolve::invalid, verdict::Ended};
use crate::{
    domain::{exchange_result::ExchangeResult, payment::Payment},
    gateway::Lookup,
    store::change::ExchangeWrite,
};

impl Flows {
    /// Whether the charge can be what paid for the payment; its operation, where that is the payment's.
    pub(super) async fn check_named_charge(
        &self,
        payment: &Payment,
        charge: &str,
    ) -> Result<Option<String>, FlowError> {
        let account = self.account(payment)?;
        let missing = || {
            let detail =
                format!("{} has no charge of this id: compare the gateway's dashboard", account.name);
            invalid("charge", &detail)
        };
        let call = account.gateway.look_up_charge(charge).ok_or_else(missing)?;
        let n = payment.attempt.as_ref().map_or(1, |attempt| attempt.n);
        let exchange = self.exchange(account, About::Attempt(payment.id, n), &call);
        self.keep(ExchangeWrite::Open(exchange.clone())).await?;
        let reply = self.client.send(account, &call, &exchange.api_version).await;
        let lookup = match &reply {
            Ok(reply) => account.gateway.read_charge_lookup(charge, reply),
            Err(error) => Lookup::Nothing(error.to_string()),
        };
        let (words, checked) = match lookup {
            Lookup::Found(named) => match payment.is_paid_by(&named) {
                Ok(()) => (format!("{charge} can be its charge"), Ok(payment.operation_of(named))),
                Err(why) => (
                    format!("{charge} cannot be its charge: {why}"),
                    Err(invalid("charge", &why.to_string())),
                ),
            },
            Lookup::Missing => (format!("{charge} is not there"), Err(missing())),
            Lookup::Nothing(why) => {
                let later = format!("the charge could not be looked up at the gateway ({why})");
                (why, Err(FlowError::Later(later)))
            }
        };
        let ended = Ended::new(ExchangeResult::NoAnswer, &words);
        self.keep(self.closing(account, &exchange, &reply, ended)).await?;
        checked
    }
}

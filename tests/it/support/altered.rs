//! A gateway that is otherwise than the one it stands for: with other traits, or of another version of its API.

use chrono::TimeDelta;
use dunlin::{
    domain::{
        payment::Payment,
        refund::{self, Refund},
    },
    gateway::{
        Account, Call, Cancellation, Finding, Gateway, Lookup, Reading, Registry, Reply, Send, Traits, Tried,
        webhook::{Notification, WebhookError},
    },
};
use dunlin_jobs::Money;
use secrecy::SecretString;
use std::{collections::BTreeMap, sync::Arc};

#[derive(Debug)]
pub(crate) struct Altered {
    pub(crate) gateway: Arc<dyn Gateway>,
    pub(crate) traits: Traits,
    pub(crate) api_version: &'static str,
    /// What becomes of the body of a charge.
    pub(crate) rewrite: fn(&str) -> String,
}

impl Altered {
    /// The default account for tests, its gateway altered.
    pub(crate) fn over(gateways: &Registry, alter: impl FnOnce(Self) -> Self) -> Registry {
        let account = gateways.default_for(false).unwrap().clone();
        let (traits, api_version) = (account.gateway.traits().clone(), account.gateway.api_version());
        let same =
            Self { gateway: Arc::clone(&account.gateway), traits, api_version, rewrite: str::to_owned };
        let gateway: Arc<dyn Gateway> = Arc::new(alter(same));
        Registry::of_accounts([Account { gateway, ..account }])
    }
}

impl Gateway for Altered {
    fn traits(&self) -> &Traits {
        &self.traits
    }
    fn api_version(&self) -> &'static str {
        self.api_version
    }
    fn check_amount(&self, money: Money) -> Result<(), String> {
        self.gateway.check_amount(money)
    }
    fn charge(&self, payment: &Payment, n: u32) -> Result<Call, String> {
        self.gateway.charge(payment, n).map(|call| Call {
            idempotency_key: call.idempotency_key.filter(|_| self.traits.key_supported),
            body: (self.rewrite)(&call.body),
            ..call
        })
    }
    fn read_charge(&self, payment: &Payment, send: Send, reply: &Reply) -> Reading {
        self.gateway.read_charge(payment, send, reply)
    }
    fn query(&self, tried: Tried<'_>) -> Call {
        self.gateway.query(tried)
    }
    fn read_query(&self, tried: Tried<'_>, call: &Call, reply: &Reply) -> Finding {
        self.gateway.read_query(tried, call, reply)
    }
    fn refund(&self, refund: &Refund) -> Result<Call, String> {
        self.gateway.refund(refund)
    }
    fn read_refund(&self, send: Send, reply: &Reply) -> Reading<refund::Answer> {
        self.gateway.read_refund(send, reply)
    }
    fn query_refund(&self, refund: &Refund) -> Call {
        self.gateway.query_refund(refund)
    }
    fn read_refund_query(&self, refund: &Refund, call: &Call, reply: &Reply) -> Finding<refund::Answer> {
        self.gateway.read_refund_query(refund, call, reply)
    }
    fn cancel(&self, payment: &Payment, n: u32, generation: u32) -> Option<Call> {
        self.gateway.cancel(payment, n, generation)
    }
    fn read_cancel(&self, payment: &Payment, reply: &Reply) -> Cancellation {
        self.gateway.read_cancel(payment, reply)
    }
    fn read_webhook(
        &self,
        headers: &BTreeMap<String, String>,
        body: &[u8],
        now: dunlin::domain::clock::Time,
    ) -> Result<Notification, WebhookError> {
        self.gateway.read_webhook(headers, body, now)
    }
    fn identify(&self) -> Call {
        self.gateway.identify()
    }
    fn read_identity(&self, reply: &Reply) -> Option<String> {
        self.gateway.read_identity(reply)
    }
    fn refuses_key(&self, reply: &Reply) -> bool {
        self.gateway.refuses_key(reply)
    }
    fn set_clock(&self, offset: TimeDelta) -> Option<Call> {
        self.gateway.set_clock(offset)
    }
    fn look_up_charge(&self, charge: &str) -> Option<Call> {
        self.gateway.look_up_charge(charge)
    }
    fn read_charge_lookup(&self, charge: &str, reply: &Reply) -> Lookup {
        self.gateway.read_charge_lookup(charge, reply)
    }
    fn redact(&self, reply: &Reply) -> Option<String> {
        self.gateway.redact(reply)
    }
    fn headers(&self, api_version: &str) -> Vec<(&'static str, SecretString)> {
        self.gateway.headers(api_version)
    }
}

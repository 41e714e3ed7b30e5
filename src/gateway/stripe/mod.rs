//! Stripe: one payment intent a payment, created and confirmed by the first attempt and confirmed again by
//! each later one, so that no two attempts can both capture (S1.17).

mod facts;
mod listing;
mod lookup;
mod money;
mod origin;
mod read;
mod refund;
#[cfg(test)]
mod tests;
mod webhook;

use super::{
    AccountConfig, Call, Cancellation, Facts, Finding, Gateway, Lookup, Reading, Reply, Send, Traits, Tried,
    classify::classify,
    listing::Listings,
    webhook::{Notification, WebhookError},
};
use crate::domain::{
    attempt::ExchangeKind,
    clock::Time,
    decline::Decline,
    payment::Payment,
    refund::{self as refunding, Refund},
};
use dunlin_jobs::Money;
use secrecy::{ExposeSecret, SecretString};
use std::{collections::BTreeMap, time::Duration};

pub(super) const FACTS: Facts = Facts { name: "stripe", base_url: "https://api.stripe.com" };

/// Pinned. Of its breaking changes one is about us: `payment_method_types` is refused, and `allowed_payment_method_types` has
/// taken its place
/// (docs.stripe.com/changelog/endive/2026-09-30/removes-the-payment-method-types-parameter-from-payment-intents-and-setup-intents).
///
/// What goes again keeps the version that it first went in. Confirming, canceling and asking name no types, and mean the
/// same in each version since 2025-01-27.acacia, in which earlier releases of dunlin made their intents.
const API_VERSION: &str = "2026-09-30.endive";

/// The longest `Retry-After` that is heeded.
const LONGEST_ADVISED: Duration = Duration::from_mins(10);

/// Where our reference stands in an intent's metadata.
const REFERENCE: &str = "dunlin_payment";

const HOUR: Duration = Duration::from_hours(1);
/// How much the two sides' clocks may differ, when a listing is narrowed to a time.
const SKEW: Duration = HOUR;

#[derive(Debug)]
pub(super) struct Stripe {
    secret_key: SecretString,
    webhook_secret: Option<SecretString>,
    livemode: bool,
    follows_test_clock: bool,
    traits: Traits,
}

/// Why the account's secrets cannot be right, if so: Stripe's keys say which mode they are of
/// (docs.stripe.com/keys).
pub(super) fn mistake(config: &AccountConfig) -> Option<String> {
    let key = config.secret_key.expose_secret();
    let (wanted, other) = if config.livemode { ("live", "test") } else { ("test", "live") };
    let is_of = |mode: &str| ["sk", "rk"].iter().any(|kind| key.starts_with(&format!("{kind}_{mode}_")));
    if config.webhook_secret.as_ref().is_some_and(|secret| secret.expose_secret().is_empty()) {
        return Some("webhook_secret is empty: anybody could sign with it".to_owned());
    }
    is_of(other).then(|| format!("secret_key is a {other} key, but livemode asks for a {wanted} one"))
}

impl Stripe {
    pub(super) fn new(config: &AccountConfig) -> Self {
        Self {
            secret_key: config.secret_key.clone(),
            webhook_secret: config.webhook_secret.clone(),
            livemode: config.livemode,
            follows_test_clock: config.follows_test_clock,
            traits: traits(),
        }
    }

    /// A function of what the call is for, never made anew (S1.6).
    fn key(&self, payment: &Payment, n: u32, kind: ExchangeKind) -> String {
        let environment = if self.livemode { "live" } else { "test" };
        format!("dunlin:{environment}:{}:{}:{n}:{}", payment.tenant, payment.id, kind.name())
    }

    fn list(tried: Tried<'_>, starting_after: Option<&str>) -> Call {
        let first = tried.since - SKEW;
        let mut query = vec![
            ("limit", "100".to_owned()),
            ("created[gte]", first.timestamp().to_string()),
            ("expand[]", "data.latest_charge".to_owned()),
        ];
        if let Some(customer) = &tried.payment.method.gateway_customer {
            query.push(("customer", customer.clone()));
        }
        if let Some(last) = starting_after {
            query.push(("starting_after", last.to_owned()));
        }
        get(format!("/v1/payment_intents?{}", form(&query)))
    }
}

impl Gateway for Stripe {
    fn traits(&self) -> &Traits {
        &self.traits
    }

    fn api_version(&self) -> &'static str {
        API_VERSION
    }

    fn check_amount(&self, money: Money) -> Result<(), String> {
        money::to_stripe(money).map(drop)
    }

    fn charge(&self, payment: &Payment, n: u32) -> Result<Call, String> {
        let method = &payment.method;
        let (kind, path, body) = match &payment.operation {
            Some(intent) => {
                let body = [("payment_method", method.payment_method.clone()), session(payment)];
                (ExchangeKind::Confirm, format!("/v1/payment_intents/{intent}/confirm"), form(&body))
            }
            None => (ExchangeKind::Create, "/v1/payment_intents".to_owned(), creation(payment)?),
        };
        let idempotency_key = Some(self.key(payment, n, kind));
        Ok(Call { kind, method: "POST", path, idempotency_key, body })
    }

    fn read_charge(&self, payment: &Payment, send: Send, reply: &Reply) -> Reading {
        classify(&self.traits, send, read::charge(payment, reply))
    }

    fn cancel(&self, payment: &Payment, n: u32, generation: u32) -> Option<Call> {
        let intent = payment.operation.as_ref()?;
        let first = match (n, self.key(payment, n, ExchangeKind::Cancel)) {
            (0, key) => format!("{key}:{intent}"),
            (_, key) => key,
        };
        let key = if generation == 0 { first } else { format!("{first}:{generation}") };
        Some(Call {
            kind: ExchangeKind::Cancel,
            method: "POST",
            path: format!("/v1/payment_intents/{intent}/cancel"),
            idempotency_key: Some(key),
            body: String::new(),
        })
    }

    fn read_cancel(&self, payment: &Payment, reply: &Reply) -> Cancellation {
        read::cancel(payment, reply)
    }

    fn read_webhook(
        &self,
        headers: &BTreeMap<String, String>,
        body: &[u8],
        now: Time,
    ) -> Result<Notification, WebhookError> {
        webhook::read(self.webhook_secret.as_ref(), self.livemode, (headers, body), now)
    }

    fn query(&self, tried: Tried<'_>) -> Call {
        match &tried.payment.operation {
            // With its charge, which tells how a decline came about.
            Some(intent) => get(format!("/v1/payment_intents/{intent}?expand%5B%5D=latest_charge")),
            None => Self::list(tried, None),
        }
    }

    fn read_query(&self, tried: Tried<'_>, call: &Call, reply: &Reply) -> Finding {
        match read::query(tried, reply) {
            read::Looked::Found(finding) => finding,
            read::Looked::More(last) if call.path.contains(&*last) => {
                Finding::Nothing("the listing does not get further".to_owned())
            }
            read::Looked::More(last) => Finding::More(Self::list(tried, Some(&last))),
        }
    }

    fn query_charge(&self, charge: &str) -> Option<Call> {
        Some(get(format!("/v1/charges/{charge}")))
    }

    fn complete_decline(&self, decline: &mut Decline, charge: &str, reply: &Reply) -> bool {
        facts::complete(decline, charge, reply)
    }

    fn refund(&self, refund: &Refund) -> Result<Call, String> {
        let kind = ExchangeKind::Refund;
        let environment = if self.livemode { "live" } else { "test" };
        let key = format!("dunlin:{environment}:{}:{}:{}", refund.tenant, refund.id, kind.name());
        refund::order(refund, key)
    }

    fn read_refund(&self, send: Send, reply: &Reply) -> Reading<refunding::Answer> {
        classify(&self.traits, send, refund::read(reply))
    }

    fn query_refund(&self, refund: &Refund) -> Call {
        refund::question(refund, None)
    }

    fn read_refund_query(&self, refund: &Refund, call: &Call, reply: &Reply) -> Finding<refunding::Answer> {
        refund::find(refund, call, reply)
    }

    fn look_up_charge(&self, charge: &str) -> Option<Call> {
        lookup::question(charge)
    }

    fn read_charge_lookup(&self, charge: &str, reply: &Reply) -> Lookup {
        lookup::read(charge, reply)
    }

    fn listings(&self) -> Option<&dyn Listings> {
        Some(self)
    }

    fn identify(&self) -> Call {
        get("/v1/account".to_owned())
    }

    fn read_identity(&self, reply: &Reply) -> Option<String> {
        read::identity(reply)
    }

    fn refuses_key(&self, reply: &Reply) -> bool {
        origin::refuses_credentials(reply)
    }

    fn set_clock(&self, offset: chrono::TimeDelta) -> Option<Call> {
        self.follows_test_clock.then(|| Call {
            kind: ExchangeKind::Query,
            method: "POST",
            path: "/_sandbox/clock".to_owned(),
            idempotency_key: None,
            body: format!("{{\"offset_seconds\":{}}}", offset.num_seconds()),
        })
    }

    fn redact(&self, reply: &Reply) -> Option<String> {
        read::redact(reply)
    }

    fn retry_after(&self, reply: &Reply) -> Option<Duration> {
        let seconds = reply.headers.get("retry-after")?.trim().parse().ok().map(Duration::from_secs)?;
        Some(seconds.min(LONGEST_ADVISED))
    }

    fn headers(&self, api_version: &str) -> Vec<(&'static str, SecretString)> {
        vec![
            ("authorization", format!("Bearer {}", self.secret_key.expose_secret()).into()),
            ("stripe-version", api_version.to_owned().into()),
            ("content-type", "application/x-www-form-urlencoded".to_owned().into()),
        ]
    }
}

/// What Stripe is like, by its documentation.
fn traits() -> Traits {
    Traits {
        key_supported: true,
        // docs.stripe.com/api/idempotent_requests: keys can be removed after at least 24 hours.
        key_ttl: 24 * HOUR,
        replays_errors: true,
        param_compare: true,
        limiter_before_idempotency: true,
        query_by_reference: true,
        settle_delay: 2 * HOUR,
        // An intent is canceled by its id.
        cancel_by_key: false,
        // How long Stripe's own libraries wait for an answer.
        max_timeout: Duration::from_secs(80),
    }
}

/// The body that creates and confirms an intent.
fn creation(payment: &Payment) -> Result<String, String> {
    let (amount, currency) = money::to_stripe(payment.money)?;
    let reference = format!("metadata[{REFERENCE}]");
    let mut fields = vec![
        ("amount", amount.to_string()),
        ("currency", currency),
        ("payment_method", payment.method.payment_method.clone()),
        ("allowed_payment_method_types[]", "card".to_owned()),
        ("confirm", "true".to_owned()),
        session(payment),
        (reference.as_str(), payment.id.to_string()),
    ];
    if let Some(customer) = &payment.method.gateway_customer {
        fields.push(("customer", customer.clone()));
    }
    if let Some(description) = &payment.description {
        fields.push(("description", description.clone()));
    }
    Ok(form(&fields))
}

/// Off session Stripe declines where a customer would have to be asked. On session it is told where to send them back
/// to, and so answers with an address instead of work for its own script in a browser.
fn session(payment: &Payment) -> (&'static str, String) {
    // docs.stripe.com/api/payment_intents/create
    match payment.session.return_url() {
        None => ("off_session", "true".to_owned()),
        Some(url) => ("return_url", url.to_owned()),
    }
}

fn get(path: String) -> Call {
    Call { kind: ExchangeKind::Query, method: "GET", path, idempotency_key: None, body: String::new() }
}

fn form(fields: &[(&str, String)]) -> String {
    serde_urlencoded::to_string(fields).expect("pairs of texts have a form")
}

//! What is overdue: what was accepted and never finished comes before a person, once, and is asked after on and on.

use crate::support::{both, database::Database, world, world::World};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::{AttemptStatus, ExchangeKind},
        payment::{Payment, Status},
        refund::{self, Refund},
    },
    gateway::{
        Account, Call, Cancellation, Finding, Gateway, Lookup, Reading, Registry, Reply, Send, Traits, Tried,
        client::{Client, SendError},
        webhook::{Notification, WebhookError},
    },
};
use dunlin_jobs::Money;
use futures_util::FutureExt;
use secrecy::SecretString;
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

both! {
    what_settles_for_too_long_comes_before_a_person_and_ends_by_its_result
    what_was_accepted_is_never_sent_anew_though_the_gateway_forgets_it
    where_a_gateway_can_be_asked_in_no_way_a_doubt_goes_to_a_person_and_is_never_sent_again
    where_a_gateway_can_be_asked_in_no_way_a_refund_goes_to_a_person_and_is_never_sent_again
}

// S1: pending -> unknown (overdue)
async fn what_settles_for_too_long_comes_before_a_person_and_ends_by_its_result(database: Database) {
    let mut world = World::new(database).await;
    let (bank, clock) = (Arc::clone(&world.bank), world.flows.clock().clone());
    let begin = clock.now(false);
    // For five days the gateway says that it is at it.
    world.flows.client = Client::in_process(Arc::new(move |call| {
        let mut answer = world::answer(&bank, call);
        if let Ok(reply) = &mut answer
            && clock.now(false) - begin < TimeDelta::days(5)
        {
            let text = String::from_utf8_lossy(&reply.body).replace(r#""succeeded""#, r#""processing""#);
            reply.body = text.into_bytes();
        }
        std::future::ready(answer).boxed()
    }));
    let payment = world.pay("pm_card_visa").await;
    world.run_due_jobs().await;
    assert_eq!(world.payment(payment.id).await.attempt.unwrap().status, AttemptStatus::Pending);

    world.travel(TimeDelta::hours(23)).await;
    assert_eq!(world.payment(payment.id).await.status, Status::Processing);
    world.travel(TimeDelta::days(3)).await;
    let late = world.payment(payment.id).await;
    let reviews = world.flows.store.list_event_types(payment.id).await.unwrap();
    world.travel(TimeDelta::days(3)).await;

    assert!(late.status.review_reason().is_some(), "{:?}", late.status);
    assert_eq!(reviews.iter().filter(|event| *event == "payment.needs_review").count(), 1, "{reviews:?}");
    assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
    assert_eq!(world.captures(payment.id), 1);
}

// S1.9, S1.17
async fn what_was_accepted_is_never_sent_anew_though_the_gateway_forgets_it(database: Database) {
    for method in ["pm_card_visa", "pm_sandbox_insufficient_funds_1"] {
        let mut world = World::new(database.another().await).await;
        let (bank, clock) = (Arc::clone(&world.bank), world.flows.clock().clone());
        let accepted_at = Arc::new(OnceLock::new());
        // For most of a day the gateway says that it is at it, and then that the intent waits for a confirmation.
        world.flows.client = Client::in_process(Arc::new(move |call| {
            let mut answer = world::answer(&bank, call);
            if let Ok(reply) = &mut answer
                && let text = String::from_utf8_lossy(&reply.body)
                && text.contains(r#""succeeded""#)
            {
                let begin = *accepted_at.get_or_init(|| clock.now(false));
                let is_early = clock.now(false) - begin < TimeDelta::hours(20);
                let told = if is_early { r#""processing""# } else { r#""requires_confirmation""# };
                let text = text.replace(r#""succeeded""#, told);
                reply.body = text.into_bytes();
            }
            std::future::ready(answer).boxed()
        }));
        let payment = world.pay(method).await;

        world.travel(TimeDelta::days(20)).await;

        let payment = world.payment(payment.id).await;
        assert!(payment.status.review_reason().is_some(), "{:?}", payment.status);
        let attempt = payment.attempt.unwrap();
        assert_eq!(attempt.status, AttemptStatus::Unknown);
        let exchanges = world.flows.store.list_exchanges(payment.id).await.unwrap();
        let sent = exchanges.iter().filter(|exchange| exchange.kind.is_charge());
        assert_eq!(sent.count(), usize::try_from(attempt.n).unwrap(), "{method}");
    }
}

/// The gateway of the tests, said to know neither keys nor references.
#[derive(Debug)]
struct Bare(Arc<dyn Gateway>, Traits);

impl Bare {
    fn over(gateway: &Arc<dyn Gateway>) -> Self {
        let traits = Traits { key_supported: false, query_by_reference: false, ..gateway.traits().clone() };
        Self(Arc::clone(gateway), traits)
    }
}

impl Gateway for Bare {
    fn traits(&self) -> &Traits {
        &self.1
    }
    fn api_version(&self) -> &'static str {
        self.0.api_version()
    }
    fn check_amount(&self, money: Money) -> Result<(), String> {
        self.0.check_amount(money)
    }
    fn charge(&self, payment: &Payment, n: u32) -> Result<Call, String> {
        self.0.charge(payment, n).map(|call| Call { idempotency_key: None, ..call })
    }
    fn read_charge(&self, payment: &Payment, send: Send, reply: &Reply) -> Reading {
        self.0.read_charge(payment, send, reply)
    }
    fn query(&self, tried: Tried<'_>) -> Call {
        self.0.query(tried)
    }
    fn read_query(&self, tried: Tried<'_>, call: &Call, reply: &Reply) -> Finding {
        self.0.read_query(tried, call, reply)
    }
    fn refund(&self, refund: &Refund) -> Result<Call, String> {
        self.0.refund(refund)
    }
    fn read_refund(&self, send: Send, reply: &Reply) -> Reading<refund::Answer> {
        self.0.read_refund(send, reply)
    }
    fn query_refund(&self, refund: &Refund) -> Call {
        self.0.query_refund(refund)
    }
    fn read_refund_query(&self, refund: &Refund, call: &Call, reply: &Reply) -> Finding<refund::Answer> {
        self.0.read_refund_query(refund, call, reply)
    }
    fn cancel(&self, payment: &Payment, n: u32, generation: u32) -> Option<Call> {
        self.0.cancel(payment, n, generation)
    }
    fn read_cancel(&self, payment: &Payment, reply: &Reply) -> Cancellation {
        self.0.read_cancel(payment, reply)
    }
    fn read_webhook(
        &self,
        headers: &BTreeMap<String, String>,
        body: &[u8],
        now: dunlin::domain::clock::Time,
    ) -> Result<Notification, WebhookError> {
        self.0.read_webhook(headers, body, now)
    }
    fn identify(&self) -> Call {
        self.0.identify()
    }
    fn read_identity(&self, reply: &Reply) -> Option<String> {
        self.0.read_identity(reply)
    }
    fn set_clock(&self, offset: TimeDelta) -> Option<Call> {
        self.0.set_clock(offset)
    }
    fn look_up_charge(&self, charge: &str) -> Option<Call> {
        self.0.look_up_charge(charge)
    }
    fn read_charge_lookup(&self, charge: &str, reply: &Reply) -> Lookup {
        self.0.read_charge_lookup(charge, reply)
    }
    fn redact(&self, reply: &Reply) -> Option<String> {
        self.0.redact(reply)
    }
    fn headers(&self, api_version: &str) -> Vec<(&'static str, SecretString)> {
        self.0.headers(api_version)
    }
}

// S2.10
async fn where_a_gateway_can_be_asked_in_no_way_a_doubt_goes_to_a_person_and_is_never_sent_again(
    database: Database,
) {
    let mut world = World::new(database).await;
    let account = world.flows.gateways.default_for(false).unwrap().clone();
    let gateway: Arc<dyn Gateway> = Arc::new(Bare::over(&account.gateway));
    world.flows.gateways = Registry::of_accounts([Account { gateway, ..account }]);
    world.flows.client = Client::in_process(Arc::new(|_| {
        std::future::ready(Err(SendError::Lost("no answer".to_owned()))).boxed()
    }));
    let payment = world.pay("pm_card_visa").await;

    world.travel(TimeDelta::days(3)).await;

    let payment = world.payment(payment.id).await;
    assert!(payment.status.review_reason().is_some(), "{:?}", payment.status);
    let exchanges = world.flows.store.list_exchanges(payment.id).await.unwrap();
    let kinds: Vec<_> = exchanges.iter().map(|exchange| exchange.kind).collect();
    assert_eq!(kinds, [ExchangeKind::Create]);
}

// S2.10
async fn where_a_gateway_can_be_asked_in_no_way_a_refund_goes_to_a_person_and_is_never_sent_again(
    database: Database,
) {
    let mut world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await.id;
    world.run_due_jobs().await;
    let account = world.flows.gateways.default_for(false).unwrap().clone();
    let gateway: Arc<dyn Gateway> = Arc::new(Bare::over(&account.gateway));
    world.flows.gateways = Registry::of_accounts([Account { gateway, ..account }]);
    world.flows.client = Client::in_process(Arc::new(|_| {
        std::future::ready(Err(SendError::Lost("no answer".to_owned()))).boxed()
    }));
    let refund = world.try_refund(payment, Some(500), "r").await.unwrap().0.id;

    world.travel(TimeDelta::hours(1)).await;
    let early = world.refund(refund).await;
    world.travel(TimeDelta::days(3)).await;

    assert_eq!(early.status, refund::RefundStatus::Unknown);
    assert!(early.review_reason.is_some_and(|why| why.contains("cannot be asked")));
    let exchanges = world.flows.store.list_exchanges(payment).await.unwrap();
    let about = exchanges.iter().filter(|exchange| exchange.refund == Some(refund));
    assert_eq!(about.map(|exchange| exchange.kind).collect::<Vec<_>>(), [ExchangeKind::Refund]);
    let events = world.flows.store.list_event_types(payment).await.unwrap();
    assert_eq!(events.iter().filter(|event| *event == "refund.needs_review").count(), 1, "{events:?}");
}

//! A payment method that is detached: no attempt begins by it, and what was begun goes on (S1.16).

use crate::support::{
    both,
    database::Database,
    world::{World, request},
};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        attempt::AttemptStatus,
        customer::Profile,
        payment::{Method, MethodKind, Payment, Status},
    },
    flow::{FlowError, payment_methods::NewMethod, payments::Request},
    gateway::client::{Client, SendError},
    store::change::Priority,
};
use dunlin_jobs::{CustomerId, MethodId};
use futures_util::FutureExt;

both! {
    a_method_that_is_detached_before_the_first_attempt_is_not_charged
    a_method_that_is_detached_between_two_attempts_is_not_charged_again
    an_attempt_that_was_begun_before_goes_on
    a_method_that_is_attached_is_charged_whatever_the_default_is
}

impl World {
    /// A customer with this card, who is charged by it.
    pub(crate) async fn pay_by_default(&self, card: &str) -> (CustomerId, MethodId, Payment) {
        let (customer, _) = self.flows.create_customer(self.owner, Profile::default(), None).await.unwrap();
        let method = self.keep(customer.id, card).await;
        let named = Request { method: None, customer: Some(customer.id.to_string()), ..request("none") };
        let taken = self.flows.create_payment(self.owner, named, Priority::Interactive).await;
        (customer.id, method, taken.unwrap().payment.unwrap())
    }

    async fn keep(&self, customer: CustomerId, token: &str) -> MethodId {
        let method =
            Method { kind: MethodKind::Card, payment_method: token.to_owned(), gateway_customer: None };
        let new = NewMethod { method, gateway: None, label: None, default: true };
        self.flows.attach_method(self.owner, customer, new, None).await.unwrap().0.id
    }

    async fn detach(&self, method: MethodId) {
        self.flows.detach_method(self.owner, method).await.unwrap();
    }

    /// It ended for want of its method, and nothing of it is left to do.
    async fn assert_not_charged(&self, payment: &Payment, attempts: u32) {
        let failed = self.payment(payment.id).await;
        assert_eq!(failed.status, Status::Failed);
        assert_eq!(
            failed.failure.as_ref().map(|failure| failure.code.as_str()),
            Some("payment_method_detached")
        );
        assert_eq!(failed.attempt.as_ref().map_or(0, |attempt| attempt.n), attempts);
        assert_eq!(self.captures(payment.id), 0);
        assert_eq!(self.flows.store.list_jobs(payment.id).await.unwrap(), []);
        let history = self.flows.store.list_history(payment.id).await.unwrap();
        // Should an earlier attempt have left something payable, that is gone too.
        let last = history.iter().rev().find(|transition| transition.cause != "withdrawn").unwrap();
        assert_eq!((last.cause.as_str(), last.to.as_str()), ("method_detached", "failed"));
        let events = self.flows.store.list_event_types(payment.id).await.unwrap();
        assert_eq!(events.iter().filter(|event| *event == "payment.failed").count(), 1, "{events:?}");
    }
}

async fn a_method_that_is_detached_before_the_first_attempt_is_not_charged(database: Database) {
    let world = World::new(database).await;
    let (_, method, payment) = world.pay_by_default("pm_card_visa").await;
    let (_, _, other) = world.pay_by_default("pm_card_visa").await;
    assert_eq!(payment.method_id, Some(method));

    world.detach(method).await;
    world.run_due_jobs().await;

    world.assert_not_charged(&payment, 0).await;
    assert_eq!(world.payment(other.id).await.status, Status::Succeeded, "beside it others are charged");
    assert_eq!(world.flows.store.list_exchanges(payment.id).await.unwrap(), [], "nothing was even noted");
}

async fn a_method_that_is_detached_between_two_attempts_is_not_charged_again(database: Database) {
    let world = World::new(database).await;
    let (customer, method, payment) = world.pay_by_default("pm_sandbox_insufficient_funds_1").await;
    world.run_due_jobs().await;
    assert!(matches!(world.payment(payment.id).await.status, Status::Retrying { .. }));

    world.detach(method).await;
    // Another one, and the same token anew, are other methods: a payment keeps its own.
    world.keep(customer, "pm_sandbox_insufficient_funds_1").await;
    world.keep(customer, "pm_card_visa").await;
    world.travel(TimeDelta::days(30)).await;

    world.assert_not_charged(&payment, 1).await;
}

async fn an_attempt_that_was_begun_before_goes_on(database: Database) {
    let mut world = World::new(database).await;
    let answering = world.flows.client.clone();
    world.flows.client = Client::in_process(std::sync::Arc::new(|_| {
        std::future::ready(Err(SendError::NotSent("connection refused".to_owned()))).boxed()
    }));
    let (_, method, payment) = world.pay_by_default("pm_card_visa").await;
    world.run_due_jobs().await;
    let planned = world.payment(payment.id).await.attempt.unwrap().status;
    assert_eq!(planned, AttemptStatus::Planned);

    world.detach(method).await;
    world.flows.client = answering;
    world.travel(TimeDelta::minutes(5)).await;

    assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
    assert_eq!(world.captures(payment.id), 1);
}

async fn a_method_that_is_attached_is_charged_whatever_the_default_is(database: Database) {
    let world = World::new(database).await;
    let (customer, method, payment) = world.pay_by_default("pm_card_visa").await;

    let other = world.keep(customer, "pm_card_chargeDeclinedFraudulent").await;
    world.run_due_jobs().await;

    let paid = world.payment(payment.id).await;
    assert_eq!((paid.status, paid.method_id), (Status::Succeeded, Some(method)));
    let by_name = |method: MethodId, customer: Option<String>| {
        let token = method.to_string();
        let kind = MethodKind::Card;
        let method = Some(Method { kind, payment_method: token, gateway_customer: None });
        Request { method, customer, ..request("none") }
    };
    let named = by_name(other, None);
    let taken = world.flows.create_payment(world.owner, named, Priority::Interactive).await.unwrap();
    let taken = taken.payment.unwrap();
    assert_eq!((taken.method_id, taken.customer), (Some(other), Some(customer.to_string())));
    world.detach(other).await;
    let refused = world.flows.create_payment(world.owner, by_name(other, None), Priority::Interactive).await;
    let Err(FlowError::Invalid { field, detail }) = refused else { panic!("{refused:?}") };
    assert_eq!(field, "method.payment_method");
    assert!(detail.contains("is detached"), "{detail}");
}

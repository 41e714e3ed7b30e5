//! Actors: callers and workers, each a task that does one thing and ends.

use crate::support::world;
use dunlin::{
    domain::{customer::Profile, session::Session},
    failpoint::Point,
    flow::{Flows, payment_methods::NewMethod},
    store::{Owner, change::Priority, claim::Order},
    worker,
};
use dunlin_jobs::{Lane, MethodId};
use std::time::Duration;

/// What a payment is made with: a token, perhaps as a customer keeps it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means {
    pub(super) token: &'static str,
    pub(super) kept: Option<MethodId>,
}

/// A caller who wants one payment under a key, perhaps not the only one who does.
pub(super) async fn caller(flows: Flows, owner: Owner, key: String, Means { token, kept }: Means) {
    let method = kept.map_or_else(|| token.to_owned(), |id| id.to_string());
    let mut request = world::request(&method);
    if kept.is_some() {
        request.customer = None;
    }
    if PRESENT.contains(&token) {
        request.session = Session::On("https://shop.example/back".parse().unwrap());
    }
    request.key = Some(world::key(&key, &method));
    let _ = flows.create_payment(owner, request, Priority::Interactive).await;
}

/// A customer who keeps the token.
pub(super) async fn keep(flows: &Flows, owner: Owner, token: &str) -> MethodId {
    let (customer, _) = flows.create_customer(owner, Profile::default(), None).await.unwrap();
    let method = world::request(token).method.unwrap();
    let new = NewMethod { method, gateway: None, label: None, default: false };
    flows.attach_method(owner, customer.id, new, None).await.unwrap().0.id
}

/// A worker that claims a few jobs and works on them.
pub(super) async fn worker(flows: Flows, lane: Lane, owner: String, limit: u16) {
    let lease = Duration::from_mins(10);
    let order = Order { lane, livemode: false, owner, lease, limit };
    let Ok(claimed) = flows.store.claim(order).await else { return };
    for claimed in claimed {
        flows.store.pass(Point::Claimed).await.unwrap();
        worker::work(&flows, &claimed).await;
    }
}

/// The methods that payments are made with: each goes wrong in a way of its own.
pub(super) const METHODS: [&str; 12] = [
    "pm_card_visa",
    "pm_card_mastercard",
    "pm_sandbox_insufficient_funds_1",
    "pm_sandbox_do_not_honor_2",
    "pm_card_visa_chargeDeclinedStolenCard",
    "pm_sandbox_lost_before",
    "pm_sandbox_lost_after",
    "pm_sandbox_lost_after_decline",
    "pm_sandbox_error_before",
    "pm_sandbox_error_after",
    PRESENT[0],
    PRESENT[1],
];

/// Those whose answer is lost.
pub(super) const DOUBTFUL: [&str; 4] =
    ["pm_sandbox_lost_before", "pm_sandbox_lost_after", "pm_sandbox_error_after", "pm_card_visa"];

/// Where workers look for work.
pub(super) const LANES: [Lane; 3] = [Lane::Payments, Lane::Payments, Lane::Reconcile];

/// What those answer who are asked.
pub(super) const PRESENT_ACT: [&str; 4] = ["approve", "approve", "approve", "refuse"];

/// Those whose owner is there, and is asked.
const PRESENT: [&str; 2] = ["pm_card_authenticationRequired", "pm_card_threeDSecureRequiredChargeDeclined"];

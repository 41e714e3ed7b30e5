//! What one version of dunlin began by an older release of Stripe's API, the next finishes: doubtful requests go again as
//! they were, and everything else is asked by the release of today.

use super::{Act, House, stripe};
use crate::support::altered::Altered;
use chrono::TimeDelta;
use dunlin::{
    domain::{attempt::ExchangeKind, payment::Payment, session::Session},
    gateway::Registry,
};

/// One that takes `payment_method_types`, as none has since `2026-09-30.endive`.
const OLDER: &str = "2026-06-24.dahlia";

/// A house as the older version of dunlin keeps it, and what the newer one brings.
async fn house() -> (House, Registry) {
    let mut house = stripe::house().await;
    let older = Altered::over(&house.flows.gateways, |gateway| Altered {
        api_version: OLDER,
        rewrite: |body| body.replace("allowed_payment_method_types", "payment_method_types"),
        ..gateway
    });
    let newer = std::mem::replace(&mut house.flows.gateways, older);
    (house, newer)
}

/// The calls of a payment, and whether each is of the older release.
async fn calls(house: &House, payment: &Payment) -> Vec<(ExchangeKind, bool)> {
    let exchanges = house.flows.store.list_exchanges(payment.id).await.unwrap();
    exchanges.iter().map(|exchange| (exchange.kind, exchange.api_version == OLDER)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doubtful_request_goes_again_by_the_release_that_it_was_made_for() {
    let (mut house, newer) = house().await;
    let payment = house.charge(house.sandbox.cards().lost_before).await;

    house.flows.gateways = newer;
    house.travel(TimeDelta::days(2)).await;

    assert_eq!(house.payment(payment.id).await.status.name(), "succeeded");
    assert_eq!(house.captures(&payment), 1);
    let calls = calls(&house, &payment).await;
    let sent: Vec<_> = calls.iter().filter(|(kind, _)| kind.is_charge()).collect();
    assert_eq!(sent, [&(ExchangeKind::Create, true), &(ExchangeKind::Create, true)], "{calls:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decline_is_tried_again_by_the_release_of_today() {
    let (mut house, newer) = house().await;
    let payment = house.charge(house.sandbox.cards().declined_once).await;

    house.flows.gateways = newer;
    house.travel(TimeDelta::days(3)).await;

    assert_eq!(house.payment(payment.id).await.status.name(), "succeeded");
    assert_eq!(house.captures(&payment), 1);
    let calls = calls(&house, &payment).await;
    assert!(calls.iter().any(|(_, is_older)| *is_older), "{calls:?}");
    assert!(calls.iter().any(|(kind, is_older)| kind.is_charge() && !is_older), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_of_before_is_followed_and_canceled() {
    for is_approved in [true, false] {
        let (mut house, newer) = house().await;
        let session = Session::On("https://shop.example/back".parse().unwrap());
        let payment = house.pay_in(session, house.sandbox.cards().challenged).await;
        house.work().await;

        house.flows.gateways = newer;
        if is_approved {
            house.sandbox.act(&house.payment(payment.id).await, Act::Approve);
            house.travel(TimeDelta::days(1)).await;
        } else {
            house.flows.cancel_payment(house.owner, payment.id).await.unwrap();
        }

        let ended = house.payment(payment.id).await;
        assert_eq!(ended.status.name(), if is_approved { "succeeded" } else { "canceled" });
        assert_eq!(house.captures(&payment), usize::from(is_approved));
        assert!(!house.sandbox.holds_open(&ended));
        let calls = calls(&house, &payment).await;
        assert!(calls.len() > 1, "{calls:?}");
        assert!(calls.iter().all(|(kind, is_older)| kind.is_charge() == *is_older), "{calls:?}");
    }
}

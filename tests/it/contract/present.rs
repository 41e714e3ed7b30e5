//! What becomes of a payment whose customer is there (S1.18).

use super::{Act, House, Trouble};
use chrono::TimeDelta;
use dunlin::domain::{
    attempt::AttemptStatus,
    payment::{Payment, Status},
};

fn stands(payment: &Payment) -> (&'static str, Option<AttemptStatus>) {
    (payment.status.name(), payment.attempt.as_ref().map(|attempt| attempt.status))
}

const ASKED: (&str, Option<AttemptStatus>) = ("requires_action", Some(AttemptStatus::RequiresAction));

/// A payment whose customer is asked to authenticate.
async fn asked(house: &House, card: &str) -> Payment {
    let payment = house.charge_present(card).await;
    assert_eq!(stands(&payment), ASKED);
    assert_eq!(house.captures(&payment), 0);
    payment
}

pub(super) async fn who_authenticates_pays_once(house: House) {
    let payment = asked(&house, house.sandbox.cards().challenged).await;

    house.sandbox.act(&payment, Act::Approve);
    house.travel(TimeDelta::days(3)).await;

    let paid = house.payment(payment.id).await;
    assert_eq!(stands(&paid), ("succeeded", Some(AttemptStatus::Succeeded)));
    assert_eq!(paid.attempt.and_then(|attempt| attempt.action_url), None);
    assert_eq!(house.captures(&payment), 1);
}

pub(super) async fn who_fails_to_authenticate_is_declined_and_not_charged_again(house: House) {
    let payment = asked(&house, house.sandbox.cards().challenged).await;

    house.sandbox.act(&payment, Act::Refuse);
    house.travel(TimeDelta::days(40)).await;

    let declined = house.payment(payment.id).await;
    assert_eq!(stands(&declined), ("requires_action", Some(AttemptStatus::Declined)));
    assert_eq!(declined.attempt.map(|attempt| (attempt.n, attempt.action_url)), Some((1, None)));
    assert_eq!(house.captures(&payment), 0);
}

pub(super) async fn a_decline_after_authentication_is_the_customers_to_mend(house: House) {
    let payment = asked(&house, house.sandbox.cards().challenged_and_declined).await;

    house.sandbox.act(&payment, Act::Approve);
    house.travel(TimeDelta::days(40)).await;

    let declined = house.payment(payment.id).await;
    assert_eq!(stands(&declined), ("requires_action", Some(AttemptStatus::Declined)));
    assert_eq!((declined.declines, house.captures(&payment)), (1, 0));
}

pub(super) async fn who_does_not_come_back_can_pay_no_more(house: House) {
    let payment = asked(&house, house.sandbox.cards().challenged).await;
    let patience = TimeDelta::seconds(house.flows.settings.action_expires_s.try_into().unwrap());

    house.travel(patience - TimeDelta::seconds(1)).await;
    let waiting = house.payment(payment.id).await;
    house.travel(TimeDelta::seconds(1)).await;

    assert_eq!(stands(&waiting), ASKED);
    assert_eq!(stands(&house.payment(payment.id).await), ("canceled", Some(AttemptStatus::Canceled)));
    assert!(!house.sandbox.holds_open(&payment));
    house.travel(TimeDelta::days(3)).await;
    assert_eq!(house.captures(&payment), 0);
}

// S1.19
pub(super) async fn what_waits_for_its_customer_is_canceled_at_the_gateway_first(house: House) {
    let payment = asked(&house, house.sandbox.cards().challenged).await;

    let canceled = house.flows.cancel_payment(house.owner, payment.id).await.unwrap();

    assert_eq!(canceled.status, Status::Canceled);
    assert!(!house.sandbox.holds_open(&payment));
    house.travel(TimeDelta::days(3)).await;
    assert_eq!(house.captures(&payment), 0);
}

// S1.9
pub(super) async fn a_lost_answer_that_asks_the_customer_is_found_out(house: House) {
    house.sandbox.trouble(Trouble::ChargeLost);
    let lost = house.charge_present(house.sandbox.cards().challenged).await;
    assert_eq!(stands(&lost), ("processing", Some(AttemptStatus::Unknown)));

    house.travel(TimeDelta::minutes(1)).await;
    let payment = house.payment(lost.id).await;
    assert_eq!(stands(&payment), ASKED);
    house.sandbox.act(&payment, Act::Approve);
    house.travel(TimeDelta::hours(1)).await;

    assert_eq!(house.payment(lost.id).await.status, Status::Succeeded);
    assert_eq!(house.captures(&payment), 1);
}

pub(super) async fn who_need_not_authenticate_pays_at_once(house: House) {
    let payment = house.charge_present(house.sandbox.cards().approved).await;

    assert_eq!(payment.status, Status::Succeeded);
    house.travel(TimeDelta::days(3)).await;
    assert_eq!(house.captures(&payment), 1);
}

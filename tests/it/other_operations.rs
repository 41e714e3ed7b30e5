//! What stands at the gateway in a payment's name and is not its own, or not any more: it is canceled there, and a capture
//! of it goes back (S1.4, S1.17).

use crate::{
    resolutions::{Fate, meet, said, second_in_review},
    support::{both, database::Database, world::World},
};
use chrono::TimeDelta;
use dunlin::domain::{
    attempt::{AttemptStatus, ExchangeKind},
    payment::{Payment, Ruling, Status},
};
use dunlin_jobs::PaymentId;

both! {
    the_operation_whose_charge_is_not_what_a_person_names_is_canceled
    a_capture_beside_the_charge_that_a_person_names_is_given_back
    another_charge_than_a_person_named_comes_before_a_person_by_the_gateways_word
    what_is_told_of_beside_a_payment_and_could_still_be_paid_is_canceled
    what_may_be_the_payments_own_is_not_canceled
    an_operation_gives_way_to_another_one_that_took_the_money
    a_capture_beside_one_that_a_person_looks_at_waits_for_their_word
    what_an_attempt_had_left_unseen_is_canceled_before_another_one_begins
}

const DECLINED: &str = "pm_card_visa_chargeDeclinedInsufficientFunds";

impl World {
    fn status_of(&self, intent: &str) -> String {
        self.intent(intent)["status"].as_str().unwrap().to_owned()
    }

    fn taken_by(&self, intent: &str) -> String {
        self.intent(intent)["latest_charge"].as_str().unwrap().to_owned()
    }

    /// Somebody tries to pay it; whether the gateway takes it.
    fn is_payable(&self, intent: &str) -> bool {
        let path = format!("/v1/payment_intents/{intent}/confirm");
        self.meddle(&path, "payment_method=pm_card_visa&off_session=true")["error"].is_null()
    }

    /// The attempts and keys of what was canceled at the gateway.
    async fn canceled(&self, id: PaymentId) -> Vec<(u32, String)> {
        let exchanges = self.flows.store.list_exchanges(id).await.unwrap();
        let cancels = exchanges.into_iter().filter(|exchange| exchange.kind == ExchangeKind::Cancel);
        cancels.map(|cancel| (cancel.attempt, cancel.idempotency_key.unwrap())).collect()
    }

    /// The charges that were given back, and how much of each.
    async fn given_back(&self) -> Vec<(String, i64)> {
        let mut charges = Vec::new();
        for (refund, amount) in self.returned() {
            charges.push((self.refund(refund.parse().unwrap()).await.charge, amount));
        }
        charges
    }

    /// The payment is resolved as paid by the charge that this intent has made.
    async fn say_paid_by(&self, id: PaymentId, intent: &str) -> Payment {
        let charge = self.taken_by(intent);
        self.say(&self.person(1), id, said(Ruling::Succeeded, Some(&charge))).await.unwrap()
    }
}

async fn the_operation_whose_charge_is_not_what_a_person_names_is_canceled(database: Database) {
    let mut world = World::new(database).await;
    let id = second_in_review(&mut world, false).await;
    let former = world.payment(id).await.operation.unwrap();
    world.pass(TimeDelta::seconds(1));
    let named = world.intent_beside(id, "pm_card_visa");

    let paid = world.say_paid_by(id, &named).await;
    world.run_due_jobs().await;

    assert_eq!((paid.status, paid.operation), (Status::Succeeded, Some(named)));
    assert_eq!(world.status_of(&former), "canceled");
    let key = format!("dunlin:test:{}:{id}:0:cancel:{former}", paid.tenant);
    assert_eq!(world.canceled(id).await, [(0, key)]);
    assert!(!world.is_payable(&former));
    world.travel(TimeDelta::days(10)).await;
    assert_eq!(world.statuses(id).await, [AttemptStatus::Declined, AttemptStatus::Succeeded]);
    assert_eq!((world.captures(id), world.returned()), (1, vec![]));
    assert_eq!(world.flows.store.list_jobs(id).await.unwrap(), []);
}

async fn a_capture_beside_the_charge_that_a_person_names_is_given_back(database: Database) {
    let mut world = World::new(database).await;
    let id = second_in_review(&mut world, true).await;
    let former = world.payment(id).await.operation.unwrap();
    world.pass(TimeDelta::seconds(1));
    let named = world.intent_beside(id, "pm_card_visa");

    world.say_paid_by(id, &named).await;
    world.travel(TimeDelta::days(10)).await;

    let all = [AttemptStatus::Declined, AttemptStatus::Succeeded, AttemptStatus::Duplicate];
    assert_eq!(world.statuses(id).await, all);
    assert_eq!((world.captures(id), world.given_back().await), (2, vec![(world.taken_by(&former), 1250)]));
    let paid = world.payment(id).await;
    assert_eq!((paid.status, paid.operation, paid.refunded), (Status::Succeeded, Some(named), 0));
    assert_eq!(world.flows.store.list_jobs(id).await.unwrap(), []);
}

// S1.13
async fn another_charge_than_a_person_named_comes_before_a_person_by_the_gateways_word(database: Database) {
    let mut world = World::new(database).await;
    meet(&mut world, |nth, passed| match nth {
        0 => Fate::Taken,
        _ if passed < TimeDelta::hours(37) => Fate::Lost,
        _ => Fate::Through,
    });
    let id = world.pay("pm_card_visa").await.id;
    world.travel(TimeDelta::hours(37) - TimeDelta::seconds(1)).await;
    world.in_review(id).await;
    world.pass(TimeDelta::seconds(1));
    // Of the same money, and nothing is written beside it: it is somebody else's.
    let slip = world.meddle(
        "/v1/payment_intents",
        "amount=1250&currency=eur&payment_method=pm_card_visa&confirm=true&off_session=true",
    );

    let paid = world.say_paid_by(id, slip["id"].as_str().unwrap()).await;
    world.tell("evt_1", "payment_intent.succeeded", &paid).await.unwrap();
    world.run_due_jobs().await;
    world.in_review(id).await;
    let own = world.capture(0)["intent"].as_str().unwrap().to_owned();
    let mended = world.say_paid_by(id, &own).await;
    world.travel(TimeDelta::days(10)).await;

    assert_eq!((paid.status, paid.operation), (Status::Succeeded, None));
    assert_eq!((mended.status, mended.operation), (Status::Succeeded, Some(own)));
    assert_eq!((world.statuses(id).await, world.returned()), (vec![AttemptStatus::Succeeded], vec![]));
    assert_eq!(world.canceled(id).await, []);
}

async fn what_is_told_of_beside_a_payment_and_could_still_be_paid_is_canceled(database: Database) {
    let world = World::new(database).await;
    let succeeded = world.pay("pm_card_visa").await.id;
    let retrying = world.pay(DECLINED).await.id;
    world.run_due_jobs().await;
    let canceled = world.pay("pm_card_visa").await.id;
    world.flows.cancel_payment(world.owner, canceled).await.unwrap();

    for (id, event) in [(succeeded, "evt_1"), (retrying, "evt_2"), (canceled, "evt_3")] {
        let before = world.payment(id).await;
        let other = world.intent_beside(id, DECLINED);
        world.tell_of(event, &before, &other).await;
        world.run_due_jobs().await;

        assert_eq!(world.status_of(&other), "canceled");
        assert_eq!(world.payment(id).await, before);
        assert_eq!(world.canceled(id).await.len(), 1);
        let exchanges = world.flows.store.list_exchanges(id).await.unwrap();
        let mut about_it = exchanges.iter().filter(|exchange| exchange.path.contains(&other));
        assert!(about_it.all(|exchange| exchange.attempt == 0), "it says nothing of an attempt");
    }
    let own = world.payment(retrying).await.operation.unwrap();
    assert_eq!(world.status_of(&own), "requires_payment_method");
}

async fn what_may_be_the_payments_own_is_not_canceled(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await;
    let other = world.intent_beside(payment.id, DECLINED);

    world.tell_of("evt_1", &payment, &other).await;
    dunlin::worker::run_due_jobs(&world.flows, dunlin_jobs::Lane::Reconcile, false).await.unwrap();
    let early = world.status_of(&other);
    world.travel(TimeDelta::hours(8)).await;

    assert_eq!((early.as_str(), world.status_of(&other).as_str()), ("requires_payment_method", "canceled"));
    assert_eq!((world.payment(payment.id).await.status, world.captures(payment.id)), (Status::Succeeded, 1));
}

async fn an_operation_gives_way_to_another_one_that_took_the_money(database: Database) {
    let mut world = World::new(database).await;
    let unknown = second_in_review(&mut world, false).await;
    world.pass(TimeDelta::seconds(1));
    let retrying = world.pay(DECLINED).await.id;
    world.run_due_jobs().await;

    for (id, event) in [(unknown, "evt_1"), (retrying, "evt_2")] {
        let before = world.payment(id).await;
        let (former, other) = (before.operation.clone().unwrap(), world.intent_beside(id, "pm_card_visa"));
        world.tell_of(event, &before, &other).await;
        world.travel(TimeDelta::seconds(10)).await;

        let told = world.payment(id).await;
        assert_eq!((told.operation.as_ref(), world.captures(id)), (Some(&other), 1));
        assert_eq!(world.status_of(&former), "canceled", "{:?}", told.status);
        assert!(!world.is_payable(&former));
    }
    world.in_review(retrying).await;
    assert_eq!(world.payment(unknown).await.status, Status::Succeeded);
}

async fn a_capture_beside_one_that_a_person_looks_at_waits_for_their_word(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay(DECLINED).await;
    world.run_due_jobs().await;
    let former = world.payment(payment.id).await.operation.unwrap();
    let other = world.intent_beside(payment.id, "pm_card_visa");
    assert!(world.is_payable(&former), "both are paid");

    world.tell_of("evt_1", &payment, &other).await;
    world.travel(TimeDelta::hours(5)).await;
    let held = world.in_review(payment.id).await;
    world.say_paid_by(payment.id, &other).await;
    world.travel(TimeDelta::days(3)).await;

    assert_eq!(held.operation.as_ref(), Some(&other));
    assert_eq!(world.payment(payment.id).await.status, Status::Succeeded);
    assert_eq!(world.captures(payment.id), 2);
    assert_eq!(world.given_back().await, [(world.taken_by(&former), 1250)]);
    assert_eq!(world.flows.store.list_jobs(payment.id).await.unwrap(), []);
}

// S1.9
async fn what_an_attempt_had_left_unseen_is_canceled_before_another_one_begins(database: Database) {
    let mut world = World::new(database).await;
    meet(&mut world, |nth, passed| match nth {
        0 => Fate::Taken,
        _ if passed < TimeDelta::hours(37) => Fate::Lost,
        // The gateway can be asked before it takes anything.
        usize::MAX => Fate::Through,
        _ if passed < TimeDelta::hours(38) => Fate::Lost,
        _ => Fate::Through,
    });
    let id = world.pay(DECLINED).await.id;
    world.travel(TimeDelta::hours(37) - TimeDelta::seconds(1)).await;
    world.agree(id, Ruling::ChargeAgain).await;
    world.travel(TimeDelta::minutes(30)).await;
    let waiting = world.statuses(id).await;
    world.travel(TimeDelta::hours(1)).await;

    let exchanges = world.flows.store.list_exchanges(id).await.unwrap();
    let cancel = exchanges.iter().find(|exchange| exchange.kind == ExchangeKind::Cancel).unwrap();
    let unseen = cancel.path.split('/').nth(3).unwrap();
    assert_eq!((waiting, cancel.attempt), (vec![AttemptStatus::Canceled], 1));
    assert_eq!(world.status_of(unseen), "canceled");
    assert_eq!(world.statuses(id).await, [AttemptStatus::Canceled, AttemptStatus::Declined]);
    assert_ne!(world.payment(id).await.operation.as_deref(), Some(unseen));
}

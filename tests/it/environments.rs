//! Environments: what is of one never meets an account of the other, even under the same name.

use crate::support::{both, database::Database, world::World};
use chrono::TimeDelta;
use dunlin::{
    domain::{payment::Status, refund::RefundStatus},
    gateway::{Account, Registry},
};

both! {
    an_account_that_has_become_live_takes_no_test_payment
    an_account_that_has_become_live_gives_nothing_of_a_test_payment_back
}

impl World {
    fn make_accounts_live(&mut self) {
        let account = self.flows.gateways.default_for(false).unwrap().clone();
        self.flows.gateways = Registry::of_accounts([Account { livemode: true, ..account }]);
    }
}

async fn an_account_that_has_become_live_takes_no_test_payment(database: Database) {
    let mut world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await;
    world.make_accounts_live();

    world.travel(TimeDelta::minutes(5)).await;

    assert_eq!(world.payment(payment.id).await.status, Status::Pending);
    assert_eq!(world.captures(payment.id), 0);
}

async fn an_account_that_has_become_live_gives_nothing_of_a_test_payment_back(database: Database) {
    let mut world = World::new(database).await;
    let payment = world.pay("pm_card_visa").await;
    world.run_due_jobs().await;
    let (refund, _) = world.try_refund(payment.id, None, "key").await.unwrap();
    world.make_accounts_live();

    world.travel(TimeDelta::minutes(5)).await;

    assert_eq!(world.refund(refund.id).await.status, RefundStatus::Pending);
    assert_eq!(world.returned(), []);
}

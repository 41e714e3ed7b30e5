//! Intake: what producers leave without HTTP is charged once, and what cannot be taken is kept with its reason.

mod letters;
mod restores;
mod stream;
mod table;
mod transactions;

use crate::support::{database::Database, world::World};
use dunlin::{
    config::Config,
    domain::letter::Letter,
    store::Owner,
    worker::intake::{Reading, read_table},
};
use dunlin_jobs::{Envelope, Method, Money, NewPayment, Order, PaymentId};
use serde_json::{Value, json};
use std::time::Duration;

/// The largest envelope that is taken here.
const MAX_BYTES: usize = 4096;

/// An envelope with a payment of 12.50 EUR by the sandbox's method.
fn envelope(id: &str) -> Envelope {
    let payment = NewPayment {
        method: Some(Method::card("pm_card_visa")),
        customer: Some("cus_1".to_owned()),
        ..NewPayment::of(Money::new(1250, "EUR".parse().unwrap()).unwrap())
    };
    Envelope::new(id, "test", false, Order::Charge(payment))
}

/// The same as JSON, with fields laid over it: `("payment.amount", json!(0))`.
fn with(id: &str, changes: &[(&str, Value)]) -> String {
    let mut value = serde_json::to_value(envelope(id)).unwrap();
    for (path, new) in changes {
        let place = path.split('.').fold(&mut value, |value, name| &mut value[name]);
        *place = new.clone();
    }
    value.to_string()
}

fn reading(world: &World) -> Reading {
    let settings = Config::load(None).unwrap().intake;
    let poll = Duration::from_millis(10);
    Reading { flows: world.flows.clone(), settings, max_bytes: MAX_BYTES, poll }
}

impl World {
    async fn leave(&self, envelope: &str) {
        self.flows.store.leave_mail(envelope).await.unwrap();
    }

    /// Reads the table once, from its beginning to its end.
    async fn read(&self) {
        read_table(&reading(self)).await.unwrap();
    }

    async fn letters(&self) -> Vec<Letter> {
        self.flows.store.list_letters(None, 200).await.unwrap()
    }

    /// How many envelopes wait.
    async fn waiting(&self) -> usize {
        let bag = self.flows.store.take_mail(0, 1000).await.unwrap();
        let waiting = bag.waiting.len();
        self.flows.store.empty_bag(bag, &[], &[]).await.unwrap();
        waiting
    }

    async fn payments(&self) -> Vec<PaymentId> {
        let owner: Owner = self.owner;
        let filter = dunlin::store::Filter { limit: 1000, ..dunlin::store::Filter::default() };
        let found = self.flows.store.list_payments(owner, &filter).await.unwrap();
        found.iter().map(|payment| payment.id).collect()
    }

    /// How often each payment was captured, after everything that is due has run.
    async fn charged(&self) -> Vec<usize> {
        self.run_due_jobs().await;
        self.payments().await.into_iter().map(|payment| self.captures(payment)).collect()
    }
}

/// What makes an envelope dead: the code and the field.
fn why(letter: &Letter) -> (&str, Option<&str>) {
    (&letter.code, letter.field.as_deref())
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(json!(null))
}

async fn world(database: Database) -> World {
    World::new(database).await
}

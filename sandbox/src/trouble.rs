//! Trouble is all that is to go wrong at present: orders first, then a rate. It is not in the journal.

use crate::{
    asked::Asked,
    books::Books,
    fault::{Fault, Twist},
    message::{Closing, Outcome, Reply, Request},
    order::{Choice, Order},
    problem::Problem,
    rate::{Chance, Rate},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct Trouble {
    orders: Vec<Order>,
    chance: Option<Chance>,
    given: BTreeMap<String, u64>,
    /// How the exchange at hand is to go another way.
    twist: Option<Twist>,
}

const MAX_ORDERS: usize = 100;

impl Trouble {
    /// The fault for this request, counted as given.
    pub(crate) fn draw(&mut self, books: &Books, request: &Request) -> Option<Fault> {
        self.twist = None;
        if self.orders.is_empty() && self.chance.is_none() {
            return None;
        }
        let asked = Asked::of(request, books);
        let Choice { name, fault } = self.ordered(&asked).or_else(|| self.by_chance(&asked, request))?;
        let given = self.given.entry(name).or_default();
        *given = given.saturating_add(1);
        if let Fault::Within(twist) = fault {
            self.twist = Some(twist);
        }
        Some(fault)
    }

    fn ordered(&mut self, asked: &Asked<'_>) -> Option<Choice> {
        let order = self.orders.iter_mut().find_map(|order| order.take(asked).then(|| order.fault.clone()));
        self.orders.retain(|order| !order.is_used_up());
        order
    }

    fn by_chance(&mut self, asked: &Asked<'_>, request: &Request) -> Option<Choice> {
        let chance = self.chance.as_mut().filter(|chance| chance.rate.method.covers(asked.operation))?;
        let keyless = || format!("{} {}?{}", request.method, request.path, request.query);
        let key = asked.key.map_or_else(keyless, str::to_owned);
        chance.draw(&key).cloned()
    }

    /// The twist of the exchange at hand; it is given once.
    pub(crate) fn twist(&mut self) -> Option<Twist> {
        self.twist.take()
    }

    /// Takes an order or a rate.
    pub(crate) fn add(&mut self, body: &[u8]) -> Result<Outcome, Problem> {
        let wrong =
            |error: serde_json::Error| Problem::invalid(format!("This is no order for faults: {error}"));
        let asked: Value = serde_json::from_slice(body).map_err(wrong)?;
        if asked.get("menu").is_some() {
            let rate: Rate = serde_json::from_value(asked).map_err(wrong)?;
            let chance = Chance::new(rate).map_err(|reason| Problem::invalid(format!("{reason}.")))?;
            self.chance = Some(chance);
            return Ok(Outcome::Reply(self.show()));
        }
        let order = serde_json::from_value(asked).map(Order::widened).map_err(wrong)?;
        if let Some(closing) = order.fault.fault.closing() {
            return self.close(&order, closing);
        }
        if self.orders.len() >= MAX_ORDERS {
            return Err(Problem::conflict(format!("There are {MAX_ORDERS} orders already.")));
        }
        self.orders.push(order);
        Ok(Outcome::Reply(self.show()))
    }

    fn close(&mut self, order: &Order, closing: Closing) -> Result<Outcome, Problem> {
        if order.is_choosy() {
            return Err(Problem::invalid("Connections are refused at once, and cannot be chosen."));
        }
        let given = self.given.entry(order.fault.name.clone()).or_default();
        *given = given.saturating_add(1);
        Ok(Outcome::Closed(Some(self.show()), closing))
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn show(&self) -> Reply {
        let rate = self.chance.as_ref().map(|chance| &chance.rate);
        Reply::json(200, &json!({ "orders": self.orders, "rate": rate, "given": self.given }))
    }
}

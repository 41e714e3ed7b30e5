//! The office: money goes back and is disputed (S1.20), by refunds that callers order, in the gateway's dashboard, and at
//! banks.

use super::{ledger, scheduler::Simulation};
use crate::support::world;
use dunlin::{
    domain::attempt::ExchangeKind,
    flow::{Flows, refunds::Request},
    gateway::Call,
    store::Owner,
    worker,
};
use dunlin_jobs::{GatewaySweep, Job, Lane, PaymentId};
use dunlin_sandbox::Bank;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Of payments of 1,250.
const AMOUNTS: [i64; 4] = [250, 400, 500, 1250];
/// How banks decide, or do not yet.
const DECISIONS: [&str; 3] = ["won", "lost", "under_review"];

impl Simulation<'_> {
    /// Somebody gives back some of what was taken, or objects to it, or decides.
    pub(super) async fn money_goes_back(&mut self) {
        let dice = self.dice();
        let captures: Vec<_> = ledger::captures(&self.bank).into_iter().collect();
        if captures.is_empty() {
            return;
        }
        let (payment, taken) = &captures[dice.throw(captures.len())];
        let (charge, amount) = (taken[0].charge.clone(), dice.pick(&AMOUNTS));
        match dice.throw(5) {
            0 => {
                let given = elsewhere(&self.bank, "refunds", &json!({ "charge": charge, "amount": amount }));
                self.tally.given_back_elsewhere += usize::from(given.is_some());
            }
            1 => self.disputed(&charge),
            2 => self.lists_are_read().await,
            _ => {
                let (process, nth) = (self.any_process(), self.nth());
                let amount = (dice.throw(3) > 0).then_some(amount);
                let key = format!("refund {nth}");
                let order = order(self.flows_of(process), self.owner, payment.parse().unwrap(), amount, key);
                self.spawn(process, order).await;
                self.tally.refunds_ordered += 1;
            }
        }
    }

    /// A payer objects to a charge; where one has, their bank moves until it has decided.
    fn disputed(&mut self, charge: &str) {
        let known = disputes(&self.bank);
        if let Some(dispute) = known.iter().find(|dispute| dispute["charge"] == charge) {
            let id = dispute["id"].as_str().unwrap();
            if dispute["status"] != "won" && dispute["status"] != "lost" {
                let decision = self.dice().pick(&DECISIONS);
                elsewhere(&self.bank, &format!("disputes/{id}"), &json!({ "status": decision }));
            }
        } else if elsewhere(&self.bank, "disputes", &json!({ "charge": charge })).is_some() {
            self.tally.disputed += 1;
        }
    }

    /// A worker reads the gateway's lists, as one does every quarter of an hour.
    pub(super) async fn lists_are_read(&mut self) {
        if !self.is_writing() {
            let process = self.any_process();
            self.spawn(process, read_lists(self.flows_of(process))).await;
        }
    }
}

async fn order(flows: Flows, owner: Owner, payment: PaymentId, amount: Option<i64>, key: String) {
    let key = world::key(&key, "same");
    let request = Request { amount, reason: None, metadata: BTreeMap::new(), key };
    let _ = flows.create_refund(owner, payment, request).await;
}

async fn read_lists(flows: Flows) {
    let job = Job::GatewaySweep(GatewaySweep { account: "sandbox".to_owned() });
    let now = flows.clock().now(true);
    flows.store.plant(&job, now).await.unwrap();
    flows.store.hurry(&job, now).await.unwrap();
    let _ = worker::run_due_jobs(&flows, Lane::Upkeep, true).await;
}

/// Has something done at the gateway past its API; nothing, where it is refused.
pub(super) fn elsewhere(bank: &Bank, path: &str, body: &Value) -> Option<Value> {
    let request = dunlin_sandbox::Request {
        method: "POST".to_owned(),
        path: format!("/_sandbox/{path}"),
        body: body.to_string().into_bytes(),
        ..dunlin_sandbox::Request::default()
    };
    let reply = bank.handle(&request).into_reply().filter(|reply| reply.status == 200)?;
    serde_json::from_slice(&reply.body).ok()
}

/// The gateway's disputes.
pub(super) fn disputes(bank: &Bank) -> Vec<Value> {
    let call = Call {
        kind: ExchangeKind::Query,
        method: "GET",
        path: "/v1/disputes?limit=100".to_owned(),
        idempotency_key: None,
        body: String::new(),
    };
    let page: Value = serde_json::from_slice(&world::answer(bank, &call).unwrap().body).unwrap();
    page["data"].as_array().unwrap().clone()
}

//! Mail: what the gateway tells unasked comes late, to any process, or never.

use super::{office::elsewhere, scheduler::Simulation};
use dunlin::{domain::attempt::AttemptStatus, flow::Flows};
use dunlin_sandbox::{Bank, Post, Request};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const ACCOUNT_KEY: &str = "Bearer sk_test_sandbox";
/// Where it would be posted to; nobody listens there, since the simulation is the postman.
const ENDPOINT: &str = "url=http://127.0.0.1:9/hook&enabled_events[]=*";

/// Has the gateway tell of everything; what its signatures are made with.
pub(super) fn listen(bank: &Bank) -> String {
    let request = Request {
        method: "POST".to_owned(),
        path: "/v1/webhook_endpoints".to_owned(),
        headers: vec![("authorization".to_owned(), ACCOUNT_KEY.to_owned())],
        body: ENDPOINT.as_bytes().to_vec(),
        ..Request::default()
    };
    let reply = bank.handle(&request).into_reply().expect("the sandbox answers");
    let made: Value = serde_json::from_slice(&reply.body).unwrap();
    made["secret"].as_str().expect("an endpoint has a secret").to_owned()
}

impl Simulation<'_> {
    /// The postman comes: some of it arrives, some is still on its way, and some is lost.
    pub(super) async fn mail_comes(&mut self) {
        if self.is_writing() {
            return;
        }
        let mut waiting = std::mem::take(&mut self.mail);
        waiting.extend(self.bank.deliveries());
        for delivery in waiting {
            let dice = self.dice();
            if dice.trouble(3) {
                self.mail.push(delivery);
            } else if self.tally.paid_late == 0 && dice.trouble(6) {
                self.bank.close_delivery(delivery);
            } else if let Some(post) = self.bank.post(delivery) {
                let process = self.any_process();
                let taken = hand_over(&self.flows_of(process), &post).await;
                self.tally.told += usize::from(taken);
                if taken {
                    self.bank.close_delivery(delivery);
                } else {
                    // A process whose clock is wrong believes no signature; the gateway tries again.
                    self.mail.push(delivery);
                }
            }
        }
    }

    /// Payers come back to intents that were declined, and pay them; of what one has paid the gateway tells for days.
    pub(super) async fn payers_come_back(&mut self) {
        for payment in self.payments().await {
            let is_declined =
                payment.attempt.is_some_and(|attempt| attempt.status == AttemptStatus::Declined);
            let operation = payment.operation.filter(|_| is_declined);
            if let Some(intent) = operation.filter(|_| self.dice().throw(2) == 0) {
                let paid = elsewhere(&self.bank, "pay", &json!({ "intent": intent }));
                self.tally.paid_late += usize::from(paid.is_some());
            }
        }
    }
}

async fn hand_over(flows: &Flows, post: &Post) -> bool {
    let headers = BTreeMap::from([("stripe-signature".to_owned(), post.signature.clone())]);
    flows.take_gateway_event("sandbox", &headers, &post.body).await.is_ok()
}

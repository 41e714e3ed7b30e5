//! What others do at the gateway, past dunlin, and how dunlin hears of it.

use super::{
    webhooks,
    world::{World, admin, answer},
};
use dunlin::{domain::attempt::ExchangeKind, gateway::Call, worker};
use dunlin_jobs::{GatewaySweep, Job, Lane, PaymentId};
use serde_json::{Value, json};

impl World {
    /// The gateway's id of the charge that paid a payment.
    pub(crate) async fn charge_of(&self, payment: PaymentId) -> String {
        self.payment(payment).await.attempt.unwrap().charge.unwrap()
    }

    /// One of the sandbox's admin calls that does what people or banks do.
    pub(crate) fn elsewhere(&self, path: &str, body: &Value) -> Value {
        admin(&self.bank, "POST", path, "", &body.to_string())
    }

    /// Somebody gives a part of a charge back in the dashboard; the refund's id.
    pub(crate) fn dashboard_refund(&self, charge: &str, amount: i64) -> String {
        let made = self.elsewhere("refunds", &json!({ "charge": charge, "amount": amount }));
        made["id"].as_str().unwrap().to_owned()
    }

    /// The payer objects to a charge; the dispute's id.
    pub(crate) fn dispute(&self, charge: &str) -> String {
        let made = self.elsewhere("disputes", &json!({ "charge": charge }));
        made["id"].as_str().unwrap().to_owned()
    }

    /// The bank decides about a dispute.
    pub(crate) fn decide(&self, dispute: &str, status: &str) {
        self.elsewhere(&format!("disputes/{dispute}"), &json!({ "status": status }));
    }

    /// Brings every event of the gateway's account, oldest first, and has it looked into; what is known is dropped.
    pub(crate) async fn deliver(&self) {
        let call = Call {
            kind: ExchangeKind::Query,
            method: "GET",
            path: "/v1/events?limit=100".to_owned(),
            idempotency_key: None,
            body: String::new(),
        };
        let told: Value = serde_json::from_slice(&answer(&self.bank, &call).unwrap().body).unwrap();
        for event in told["data"].as_array().unwrap().iter().rev() {
            let (body, at) = (event.to_string(), self.flows.clock().now(false).timestamp());
            let headers = webhooks::headers(at, &body);
            self.flows.take_gateway_event("sandbox", &headers, body.as_bytes()).await.unwrap();
        }
        // An event's job may wake a refund's, which is of another lane.
        self.run_due_jobs().await;
        self.run_due_jobs().await;
    }

    /// Reads the gateway's lists, as a worker does every quarter of an hour.
    pub(crate) async fn read_lists(&self) {
        let job = Job::GatewaySweep(GatewaySweep { account: "sandbox".to_owned() });
        let now = self.flows.clock().now(true);
        self.flows.store.plant(&job, now).await.unwrap();
        self.flows.store.hurry(&job, now).await.unwrap();
        assert_eq!(worker::run_due_jobs(&self.flows, Lane::Upkeep, true).await.unwrap(), 1);
        self.run_due_jobs().await;
    }

    /// What was told of a payment so far.
    pub(crate) async fn events(&self, payment: PaymentId) -> Vec<String> {
        self.flows.store.list_event_types(payment).await.unwrap()
    }

    pub(crate) async fn was_told(&self, payment: PaymentId, kind: &str) -> usize {
        self.events(payment).await.iter().filter(|told| *told == kind).count()
    }
}

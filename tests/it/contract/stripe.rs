//! Stripe's adapter keeps the contract against the sandbox.

use super::{Act, BEGIN, Cards, House, Sandbox, Trouble, contract};
use crate::support::{
    webhooks::{self, SECRET},
    world,
};
use dunlin::{
    domain::{attempt::ExchangeKind, payment::Payment},
    gateway::{AccountConfig, Call, GatewayName},
};
use dunlin_jobs::{PaymentId, RefundId};
use dunlin_sandbox::{Bank, Running};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

contract!(stripe);

#[derive(Debug)]
struct Stripe {
    bank: Arc<Bank>,
    running: Running,
}

pub(super) async fn house() -> House {
    let bank = Arc::new(Bank::simulated(7, BEGIN));
    let listen = "127.0.0.1:0".parse().unwrap();
    let running = dunlin_sandbox::serve_bank(Arc::clone(&bank), listen, Duration::ZERO).await.unwrap();
    House::over(Box::new(Stripe { bank, running })).await
}

impl Sandbox for Stripe {
    fn cards(&self) -> Cards {
        Cards {
            approved: "pm_card_visa",
            declined_once: "pm_sandbox_insufficient_funds_1",
            declined_for_ever: "pm_card_chargeDeclinedFraudulent",
            challenged: "pm_card_authenticationRequired",
            challenged_and_declined: "pm_card_threeDSecureRequiredChargeDeclined",
            lost_before: "pm_sandbox_lost_before",
            lost_after: "pm_sandbox_lost_after",
            error_kept: "pm_sandbox_error_after",
            slow: "pm_sandbox_slow_2000",
            wrong_amount: "pm_sandbox_wrong_amount",
            settles_late: "pm_sandbox_settles_after_60",
        }
    }

    fn account(&self) -> AccountConfig {
        AccountConfig {
            gateway: GatewayName::Stripe,
            livemode: false,
            base_url: format!("http://{}", self.running.address),
            secret_key: "sk_test_sandbox".to_owned().into(),
            webhook_secret: Some(SECRET.to_owned().into()),
            follows_test_clock: true,
        }
    }

    fn account_refused(&self) -> AccountConfig {
        AccountConfig { secret_key: "not a key".to_owned().into(), ..self.account() }
    }

    fn captures(&self, payment: PaymentId) -> usize {
        world::captures(&self.bank).get(&payment.to_string()).copied().unwrap_or(0)
    }

    fn returned(&self, refund: RefundId) -> usize {
        let page = world::admin(&self.bank, "GET", "refunds", "after=0&limit=10000", "");
        let ours = |object: &&serde_json::Value| object["metadata"]["dunlin_refund"] == refund.to_string();
        page["refunds"].as_array().unwrap().iter().filter(ours).count()
    }

    fn trouble(&self, trouble: Trouble) {
        let order = match trouble {
            Trouble::ChargeLimited => r#"{"fault": "rate_limited", "times": 1}"#,
            Trouble::ChargeLost => r#"{"fault": "cut_after", "times": 1}"#,
            Trouble::RefundLost => r#"{"fault": "cut_after", "times": 1, "method": "refund"}"#,
        };
        world::admin(&self.bank, "POST", "faults", "", order);
    }

    fn act(&self, payment: &Payment, act: Act) {
        let url = payment.attempt.as_ref().and_then(|attempt| attempt.action_url.as_deref()).unwrap();
        let answer = if act == Act::Approve { "approve" } else { "refuse" };
        assert_eq!(world::visit(&self.bank, url, answer), 303);
    }

    fn holds_open(&self, payment: &Payment) -> bool {
        let call = Call {
            kind: ExchangeKind::Query,
            method: "GET",
            path: format!("/v1/payment_intents/{}", payment.operation.as_ref().unwrap()),
            idempotency_key: None,
            body: String::new(),
        };
        let reply = world::answer(&self.bank, &call).unwrap();
        let intent: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        !matches!(intent["status"].as_str(), Some("canceled" | "succeeded"))
    }

    fn event(&self, secret: &str, at: i64, payment: PaymentId) -> (BTreeMap<String, String>, String) {
        let body = webhooks::event("evt_1", "payment_intent.succeeded", &payment.to_string());
        let signature = webhooks::signature(secret, at, &body);
        (BTreeMap::from([("stripe-signature".to_owned(), signature)]), body)
    }
}

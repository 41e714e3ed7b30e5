//! The customer: somebody who is there while they pay, is sent to their bank, and approves, refuses or leaves.

use super::{
    caller::{Caller, Taken},
    plan::Charge,
};
use futures_util::future::join_all;
use serde_json::Value;
use std::time::Duration;

/// Where they are led back to; nobody looks what is there.
pub(super) const BACK: &str = "https://shop.example/back";
/// How long their bank's page may take; it answers at once, or never.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// What a customer does at their bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Customer {
    Approves,
    Refuses,
    Leaves,
}

impl Customer {
    fn answer(self) -> Option<&'static str> {
        match self {
            Self::Approves => Some("answer=approve"),
            Self::Refuses => Some("answer=refuse"),
            Self::Leaves => None,
        }
    }
}

impl Caller {
    /// Every customer who is sent to their bank by now answers there.
    pub(super) async fn have_customers_answer(&self, charges: &[Charge], taken: &Taken) {
        let asked = charges.iter().filter_map(|charge| {
            let answer = charge.customer?.answer()?;
            Some(self.have_answered(taken.get(&charge.reference)?.first()?, answer))
        });
        join_all(asked).await;
    }

    /// Where the process or the page cannot be reached they come again another time.
    async fn have_answered(&self, payment: &str, answer: &'static str) {
        let Ok(payment) = self.get(&format!("/v1/payments/{payment}")).await else { return };
        let Some(url) = payment["next_action"]["url"].as_str() else { return };
        let page = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ANSWERED_WITHIN)
            .build();
        if let Ok(page) = page {
            let form = "application/x-www-form-urlencoded";
            let _ = page.post(url).header("content-type", form).body(answer).send().await;
        }
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.key).send().await?;
        Ok(serde_json::from_slice(&answer.error_for_status()?.bytes().await?)?)
    }

    /// The payments that wait for people.
    pub(super) async fn in_review(&self) -> anyhow::Result<Vec<Value>> {
        let page = self.get("/v1/payments?status=needs_review&limit=100").await?;
        Ok(page["data"].as_array().cloned().unwrap_or_default())
    }
}

//! The gateway as a cell finds it: what goes wrong there, whom it tells, and what time it has.

use super::plan::{Plan, Trouble};
use anyhow::{Context, bail};
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The sandbox's account that the processes use, as development.toml has it.
const ACCOUNT_KEY: &str = "sk_test_sandbox";
/// What the gateway tells of.
const TOLD_OF: &str = "enabled_events[]=payment_intent.succeeded&enabled_events[]=payment_intent.payment_failed\
    &enabled_events[]=refund.created&enabled_events[]=refund.updated&enabled_events[]=refund.failed\
    &enabled_events[]=charge.refunded&enabled_events[]=charge.dispute.created\
    &enabled_events[]=charge.dispute.updated&enabled_events[]=charge.dispute.closed";

/// Whom the gateway tells, and how it signs.
#[derive(Debug)]
pub(super) struct Endpoint {
    id: String,
    pub(super) secret: String,
}

/// An event as it is posted.
#[derive(Debug, Deserialize)]
pub(super) struct Signed {
    pub(super) payload: String,
    /// The name of the header that bears the signature.
    pub(super) header: String,
    pub(super) signature: String,
}

/// The sandbox's calls for a test, by its address.
#[derive(Debug)]
pub(super) struct Gateway {
    address: SocketAddr,
    http: reqwest::Client,
}

impl Gateway {
    pub(super) fn new(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self { address, http: reqwest::Client::builder().no_proxy().build()? })
    }

    /// Moves its clock, unless it is further already: a process may have died after it told it a later time.
    pub(super) async fn tell_time(&self, offset: TimeDelta) -> anyhow::Result<()> {
        let clock = self.send(self.http.get(self.url("/_sandbox/clock"))).await?;
        let stands_at = clock["offset_seconds"].as_i64().context("the sandbox told no time")?;
        if offset.num_seconds() <= stands_at {
            return Ok(());
        }
        let body = json!({ "offset_seconds": offset.num_seconds() });
        self.post("/_sandbox/clock", body.to_string()).await.map(|_| ())
    }

    /// Has go wrong what the plan says, and nothing else.
    pub(super) async fn make_trouble(&self, plan: &Plan) -> anyhow::Result<()> {
        self.calm().await?;
        match &plan.trouble {
            Trouble::None => {}
            Trouble::Refunds(faults) => {
                for (fault, times) in faults {
                    let order = json!({ "fault": fault, "times": times, "method": "refund" });
                    self.post("/_sandbox/faults", order.to_string()).await?;
                }
            }
            Trouble::Silence => {
                let charging = json!({ "seed": plan.seed, "rate": 1, "menu": ["cut_before", "cut_after"],
                    "method": ["create", "confirm"] });
                self.post("/_sandbox/faults", charging.to_string()).await?;
                let asking = json!({ "seed": plan.seed, "rate": 1, "menu": ["error_before"],
                    "method": ["retrieve", "list", "search"] });
                self.post("/_sandbox/faults", asking.to_string()).await?;
            }
            Trouble::Chance { rate, menu } => self.go_wrong_at_times(plan.seed, rate, menu).await?,
        }
        Ok(())
    }

    /// Has a share of all requests go wrong in one of these ways.
    pub(super) async fn go_wrong_at_times(&self, seed: u64, rate: &str, menu: &[&str]) -> anyhow::Result<()> {
        let method = ["create", "confirm", "cancel", "refund", "retrieve", "list", "search"];
        let rate: Value = serde_json::from_str(rate)?;
        let chance = json!({ "seed": seed, "rate": rate, "menu": menu, "method": method });
        self.post("/_sandbox/faults", chance.to_string()).await.map(|_| ())
    }

    /// Nothing goes wrong any more.
    pub(super) async fn calm(&self) -> anyhow::Result<()> {
        self.send(self.http.delete(self.url("/_sandbox/faults"))).await.map(|_| ())
    }

    /// Has the gateway tell that address of what it does.
    pub(super) async fn listen(&self, address: SocketAddr) -> anyhow::Result<Endpoint> {
        let body = format!("url=http://{address}/v1/gateways/sandbox/webhooks&{TOLD_OF}");
        let made = self.post("/v1/webhook_endpoints", body).await?;
        let text = |name: &str| made[name].as_str().map(str::to_owned);
        let (id, secret) = text("id").zip(text("secret")).context("the sandbox made no endpoint")?;
        Ok(Endpoint { id, secret })
    }

    pub(super) async fn stop_telling(&self, endpoint: &Endpoint) -> anyhow::Result<()> {
        let request = self.http.delete(self.url(&format!("/v1/webhook_endpoints/{}", endpoint.id)));
        self.send(request.bearer_auth(ACCOUNT_KEY)).await.map(|_| ())
    }

    /// The id of its last event, if there is one.
    pub(super) async fn last_event(&self) -> anyhow::Result<Option<String>> {
        let page = self.get("/v1/events?limit=1").await?;
        Ok(page["data"][0]["id"].as_str().map(str::to_owned))
    }

    /// The events after the one with that id, oldest first.
    pub(super) async fn events_after(&self, last: Option<&str>) -> anyhow::Result<Vec<Value>> {
        let mut events = Vec::<Value>::new();
        let mut last = last.map(str::to_owned);
        loop {
            let before = last.as_ref().map_or_else(String::new, |id| format!("&ending_before={id}"));
            let page = self.get(&format!("/v1/events?limit=100{before}")).await?;
            let newer = page["data"].as_array().context("the sandbox listed no events")?;
            events.extend(newer.iter().rev().cloned());
            if last.is_none() || page["has_more"] != true {
                return Ok(events);
            }
            last = events.last().and_then(|event| event["id"].as_str()).map(str::to_owned);
        }
    }

    /// An event's body and signature, as that endpoint gets them.
    pub(super) async fn sign(&self, event: &str, endpoint: &Endpoint) -> anyhow::Result<Signed> {
        let signed = self.get(&format!("/_sandbox/events/{event}/signed?endpoint={}", endpoint.id)).await?;
        serde_json::from_value(signed).context("the sandbox signed nothing")
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.http.get(self.url(path)).bearer_auth(ACCOUNT_KEY)).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) async fn post(&self, path: &str, body: String) -> anyhow::Result<Value> {
        self.send(self.http.post(self.url(path)).bearer_auth(ACCOUNT_KEY).body(body)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        if !status.is_success() {
            bail!("the sandbox refused: {status} {}", String::from_utf8_lossy(&body));
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

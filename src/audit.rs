//! The audit: what our tables say against what the sandbox's ledger says, payment by payment.

use crate::{
    domain::payment::{Payment, Status},
    store::Store,
};
use anyhow::Context;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{collections::HashMap, net::SocketAddr};

/// What came out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    pub payments: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub requires_action: u64,
    /// Payments whose outcome is not known yet, or that a person has to look at.
    pub unknown: u64,
    /// Payments that wait for a retry.
    pub retrying: u64,
    pub canceled: u64,
    /// Of the succeeded ones, those that were declined first.
    pub recovered_by_retry: u64,
    /// Payments whose outcome was unknown at some time and is known now.
    pub resolved_unknowns: u64,
    pub captures_expected: u64,
    pub captures_seen: u64,
    /// Captures beyond the first of their payment.
    pub double_captures: u64,
    /// Captured payments that we do not call succeeded, and succeeded ones that were not captured.
    pub lost: u64,
    /// Captures of another amount than the payment's.
    pub wrong_amounts: u64,
}

impl Findings {
    /// Whether both sides tell the same.
    pub fn agree(&self) -> bool {
        self.captures_expected == self.captures_seen
            && self.double_captures == 0
            && self.lost == 0
            && self.wrong_amounts == 0
    }
}

#[derive(Debug, Deserialize)]
struct Page<T> {
    #[serde(alias = "captures", alias = "refunds")]
    lines: Vec<T>,
    has_more: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Capture {
    pub(crate) seq: u64,
    pub(crate) charge: String,
    pub(crate) idempotency_key: Option<String>,
    /// In seconds of the sandbox's clock.
    pub(crate) at: i64,
    amount: i64,
    metadata: HashMap<String, String>,
}

/// Money that went out to the payer, or that came back since a bank would not have it.
#[derive(Debug, Deserialize)]
pub(crate) struct Movement {
    pub(crate) seq: u64,
    /// The gateway's ids of the refund and of the charge.
    #[serde(rename = "refund")]
    pub(crate) operation: String,
    pub(crate) charge: String,
    pub(crate) direction: Direction,
    pub(crate) amount: i64,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) at: i64,
    metadata: HashMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    Out,
    Back,
}

/// Reads both sides whole and compares them.
pub async fn compare(store: &Store, sandbox: SocketAddr) -> anyhow::Result<Findings> {
    let captures = read_ledger(sandbox, 0).await?;
    let mut findings = Findings { captures_seen: captures.len().try_into()?, ..Findings::default() };
    let mut by_payment: HashMap<String, Vec<i64>> = HashMap::new();
    for capture in captures {
        by_payment.entry(capture.payment().to_owned()).or_default().push(capture.amount);
    }
    findings.double_captures =
        by_payment.values().map(|amounts| u64::try_from(amounts.len() - 1).unwrap_or(0)).sum();
    let mut after = None;
    loop {
        let page = store.list_all_payments(after, 1000).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for payment in &page {
            findings.take(payment, by_payment.remove(&payment.id.to_string()).as_deref());
        }
    }
    // What is left was captured for nobody we know.
    findings.lost += u64::try_from(by_payment.len())?;
    findings.resolved_unknowns = u64::try_from(store.count_once_unknown().await?)?;
    Ok(findings)
}

impl Capture {
    /// The payment that it was made for.
    pub(crate) fn payment(&self) -> &str {
        self.metadata.get("dunlin_payment").map_or("", String::as_str)
    }
}

impl Movement {
    /// The refund that it was made for.
    pub(crate) fn refund(&self) -> &str {
        self.metadata.get("dunlin_refund").map_or("", String::as_str)
    }
}

impl Findings {
    fn take(&mut self, payment: &Payment, captured: Option<&[i64]>) {
        self.payments += 1;
        let succeeded = payment.status == Status::Succeeded;
        match &payment.status {
            Status::Succeeded => self.succeeded += 1,
            Status::Failed => self.failed += 1,
            Status::RequiresAction => self.requires_action += 1,
            Status::Retrying { .. } => self.retrying += 1,
            Status::Canceled => self.canceled += 1,
            Status::Pending | Status::Processing | Status::NeedsReview { .. } => self.unknown += 1,
        }
        self.captures_expected += u64::from(succeeded);
        self.recovered_by_retry += u64::from(succeeded && payment.declines > 0);
        self.lost += u64::from(succeeded != captured.is_some());
        let other = |amount: &i64| *amount != payment.money.minor();
        self.wrong_amounts += u64::from(captured.is_some_and(|amounts| amounts.iter().any(other)));
    }
}

/// The captures after the one with that number.
pub(crate) async fn read_ledger(sandbox: SocketAddr, seen: u64) -> anyhow::Result<Vec<Capture>> {
    read_lines(sandbox, "captures", seen, |capture: &Capture| capture.seq).await
}

/// The ledger's refunds after the line with that number.
pub(crate) async fn read_refunds(sandbox: SocketAddr, seen: u64) -> anyhow::Result<Vec<Movement>> {
    read_lines(sandbox, "refunds", seen, |movement: &Movement| movement.seq).await
}

async fn read_lines<T: DeserializeOwned>(
    sandbox: SocketAddr,
    name: &str,
    seen: u64,
    seq: impl Fn(&T) -> u64,
) -> anyhow::Result<Vec<T>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut lines: Vec<T> = Vec::new();
    loop {
        let after = lines.last().map_or(seen, &seq);
        let url = format!("http://{sandbox}/_sandbox/{name}?after={after}&limit=5000");
        let body = http.get(url).send().await?.error_for_status()?.bytes().await?;
        let page: Page<T> = serde_json::from_slice(&body).context("the sandbox's ledger cannot be read")?;
        lines.extend(page.lines);
        if !page.has_more {
            return Ok(lines);
        }
    }
}

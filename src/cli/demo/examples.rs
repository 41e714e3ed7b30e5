//! One payment of each kind that the demo has shown, to be looked at.

use super::super::api::Api;
use anyhow::Context;
use serde::Serialize;
use serde_json::Value;

const CHARGES: &str = include_str!("../../../examples/charges.csv");

/// A payment, and what there is to see.
#[derive(Debug, Serialize)]
pub(super) struct Example {
    pub(super) kind: &'static str,
    pub(super) payment: String,
    pub(super) status: String,
    #[serde(skip)]
    pub(super) shows: &'static str,
}

/// The kinds in the billing run, by the method that leads to them.
const KINDS: [(&str, &str, &str); 3] = [
    (
        "recovered_by_retry",
        "pm_sandbox_insufficient_funds_1",
        "recovered by retry: declined at first, paid a day later",
    ),
    (
        "waiting_for_customer",
        "pm_card_authenticationRequired",
        "waiting for the customer: their bank wants to see them, and nobody was there",
    ),
    (
        "resolved_unknown",
        "pm_sandbox_error_after",
        "an unknown outcome, resolved: every answer was an error, and the gateway was asked",
    ),
];

/// The first rows of the billing run, below its header.
pub(super) fn rows(count: u16) -> String {
    let lines = CHARGES.split_inclusive('\n').take(usize::from(count) + 1);
    lines.collect()
}

/// Finds one payment of each kind that is among the rows, and adds the one that was asked at the checkout.
pub(super) async fn find(api: &Api, rows: &str, asked: Value) -> anyhow::Result<Vec<Example>> {
    let mut found = Vec::new();
    for (kind, method, shows) in KINDS {
        let method = format!(",{method},");
        let Some(row) = rows.lines().find(|row| row.contains(&method)) else { continue };
        let reference = row.split(',').next().map(str::to_owned);
        let listed = api.list_some("/v1/payments", &[("reference", reference)], 1).await?;
        let payment = listed.found.first().with_context(|| format!("{row} was charged"))?;
        found.push(Example::new(kind, payment, shows)?);
    }
    let shows = "asked at the checkout: next_action leads the customer to their bank";
    found.push(Example::new("asked_at_checkout", &asked, shows)?);
    Ok(found)
}

impl Example {
    fn new(kind: &'static str, payment: &Value, shows: &'static str) -> anyhow::Result<Self> {
        let text = |field: &str| payment[field].as_str().map(str::to_owned).context("a payment has it");
        Ok(Self { kind, payment: text("id")?, status: text("status")?, shows })
    }
}

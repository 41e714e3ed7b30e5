//! People: two of them, with a key each, who look into the gateway's ledger and say what became of a payment in review.

use super::{caller::Caller, room::Room};
use crate::audit;
use anyhow::Context;
use serde_json::{Value, json};
use std::collections::HashMap;

/// What the second one may do.
const SCOPES: [&str; 2] = ["payments:read", "approve_unknown"];

/// What they do in one process's life. Whatever fails, they come again.
pub(super) async fn look(first: &Caller, room: &Room) -> anyhow::Result<()> {
    let waiting = first.in_review().await?;
    if waiting.is_empty() {
        return Ok(());
    }
    let wanted = json!({ "name": "second pair of eyes", "scopes": SCOPES });
    let made = first.post("/v1/api_keys", None, &wanted).await?;
    let second = first.with_key(made["secret"].as_str().context("a key has a secret")?);
    let captures = audit::read_ledger(room.sandbox.address, room.judged).await?;
    let charges: HashMap<&str, &str> =
        captures.iter().rev().map(|capture| (capture.payment(), capture.charge.as_str())).collect();
    for payment in &waiting {
        let id = payment["id"].as_str().context("a payment has an id")?;
        // What does not count now may count later: what was sent last could still come to light.
        let _ = say(first, &second, payment, charges.get(id).copied()).await;
    }
    Ok(())
}

async fn say(first: &Caller, second: &Caller, payment: &Value, charge: Option<&str>) -> anyhow::Result<()> {
    let id = payment["id"].as_str().unwrap_or_default();
    let path = format!("/v1/payments/{id}/resolve");
    let version = payment["version"].as_i64().unwrap_or_default();
    let key = |what: &str| format!("{id}-{version}-{what}");
    if let Some(charge) = charge {
        let said = json!({ "outcome": "succeeded", "charge": charge, "reason": "it is in the ledger",
            "evidence": "the sandbox" });
        return first.post(&path, Some(&key("paid")), &said).await.map(drop);
    }
    // Who was there is not charged behind their back.
    let outcome = if payment["off_session"] == false { "canceled" } else { "charge_again" };
    let proposed =
        json!({ "outcome": outcome, "reason": "it is not in the ledger", "evidence": "the sandbox" });
    first.post(&path, Some(&key("proposed")), &proposed).await?;
    let agreed = json!({ "outcome": outcome, "approve": true });
    second.post(&path, Some(&key("agreed")), &agreed).await.map(drop)
}

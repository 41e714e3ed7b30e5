//! Holds of gateway accounts, asked of a running server: why an account is not charged, and a person's word on it.

use super::{
    Ending,
    api::Where,
    note, say, table,
    words::{Paint, moment},
};
use crate::{config::Config, domain::clock::Time};
use anyhow::Context;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
pub(super) struct Act {
    /// The account's name here.
    name: String,
    /// Why, for the audit trail.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    place: Where,
}

/// What is told of an account.
#[derive(Debug, Deserialize)]
struct Account {
    name: String,
    status: String,
    hold: Option<Hold>,
}

#[derive(Debug, Deserialize)]
struct Hold {
    reason: String,
    detail: String,
    remedy: String,
    since: Time,
    next_probe_at: Option<Time>,
    payments_allowed: Option<u32>,
}

impl Account {
    fn read(told: &Value) -> anyhow::Result<Self> {
        Self::deserialize(told).context("the server told of a gateway account that is none")
    }
}

pub(super) async fn status(place: Where, config: &Config) -> anyhow::Result<Ending> {
    let (json, api) = (place.json, place.api(config)?);
    let found = api.get("/v1/gateways").await?;
    let accounts = found["data"].as_array().context("the server's answer is no list")?;
    if json {
        say(&found);
    } else {
        lines(accounts, Paint::detect())?.iter().for_each(say);
    }
    // Why nothing moves, where that is so for all.
    if let Some(standstill) = api.standstill().await {
        note(standstill);
    }
    Ok(Ending::Done)
}

fn lines(accounts: &[Value], paint: Paint) -> anyhow::Result<Vec<String>> {
    let accounts = accounts.iter().map(Account::read).collect::<Result<Vec<_>, _>>()?;
    let remedy =
        |Account { name, hold, .. }: &Account| hold.as_ref().map(|hold| format!("{name}: {}", hold.remedy));
    let remedies: Vec<_> = accounts.iter().filter_map(remedy).collect();
    let row = |Account { name, status, hold }| {
        let none = || "-".to_owned();
        let (since, next, why) = match hold {
            None => (none(), none(), none()),
            Some(hold) => {
                let next = match (hold.payments_allowed, hold.next_probe_at) {
                    (Some(allowed), _) => format!("{allowed} at a time"),
                    (None, Some(at)) => format!("probe at {}", moment(at)),
                    (None, None) => "a person".to_owned(),
                };
                (moment(hold.since), next, format!("{}: {}", hold.reason, hold.detail))
            }
        };
        [name, paint.status(&status), since, next, why]
    };
    let rows: Vec<_> = accounts.into_iter().map(row).collect();
    let told = table::lines(["NAME", "STATUS", "SINCE (UTC)", "NEXT", "WHY"], &rows);
    Ok(told.into_iter().chain(remedies).collect())
}

pub(super) async fn act(act: Act, what: &str, config: &Config) -> anyhow::Result<Ending> {
    let Act { name, reason, place } = act;
    let (json, api) = (place.json, place.api(config)?);
    let told = api.post(&format!("/v1/gateways/{name}/{what}"), &json!({ "reason": reason })).await?;
    if json {
        say(told);
    } else {
        let account = Account::read(&told)?;
        say(format_args!("{name} is {}: `dunlin gateways status` tells how it stands", account.status));
    }
    Ok(Ending::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_of_each_account_why_it_is_not_charged() {
        let hold = |more: Value| {
            let mut hold = json!({ "reason": "credentials", "detail": "HTTP 401", "remedy": "mend the key", "since": "2026-11-30T08:00:00Z" });
            hold.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            hold
        };
        let probed = hold(json!({ "next_probe_at": "2026-11-30T08:00:05Z", "payments_allowed": null }));
        let resuming = hold(json!({ "next_probe_at": null, "payments_allowed": 4 }));
        let account =
            |name: &str, status: &str, hold: Value| json!({ "name": name, "status": status, "hold": hold });
        let told = lines(
            &[
                account("a", "active", Value::Null),
                account("b", "on_hold", probed),
                account("c", "resuming", resuming),
            ],
            Paint::plain(),
        );

        let told = told.unwrap();
        assert_eq!(told[1], "a     active    -                    -                             -");
        assert!(
            told[2].contains("probe at 2026-11-30 08:00:05") && told[2].ends_with("credentials: HTTP 401")
        );
        assert!(told[3].contains("resuming") && told[3].contains("4 at a time"));
        assert_eq!(told[4..], ["b: mend the key", "c: mend the key"]);
    }
}

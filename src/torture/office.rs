//! The office: what others do with the money at the gateway, past dunlin, and how the gateway tells of it until it has
//! been heard (S1.20).

use super::{
    caller::{Caller, Taken},
    gateway::{Gateway, Signed},
    plan::{AMOUNT, Charge, Return},
    room::Room,
};
use crate::audit::{self, Capture, Movement};
use anyhow::ensure;
use serde_json::{Value, json};

/// What somebody does with a charge once it is captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elsewhere {
    /// A part of it, in minor units, is given back in the dashboard.
    GivesBack(i64),
    /// Its payer disputes it, and their bank comes to this.
    Disputes(&'static str),
}

pub(super) const ELSEWHERE: [Elsewhere; 5] = [
    Elsewhere::GivesBack(300),
    Elsewhere::GivesBack(500),
    Elsewhere::Disputes("needs_response"),
    Elsewhere::Disputes("won"),
    Elsewhere::Disputes("lost"),
];

impl Elsewhere {
    /// Whether it leaves enough of the charge for what is asked back of it, whichever comes first.
    pub(super) fn leaves_enough_for(self, returns: &[Return]) -> bool {
        match self {
            Self::Disputes(_) => returns.is_empty(),
            Self::GivesBack(amount) => {
                let asked = returns.iter().map(|back| back.amount.unwrap_or(AMOUNT)).sum::<i64>();
                asked + amount <= AMOUNT
            }
        }
    }
}

/// What the ledger of a cell shows.
struct Books {
    captured: Vec<Capture>,
    given_back: Vec<Movement>,
}

/// Does what is to be done at the gateway by now; each once, whatever befell the processes in between.
pub(super) async fn act(charges: &[Charge], room: &Room, taken: &Taken) -> anyhow::Result<()> {
    if charges.iter().all(|charge| charge.elsewhere.is_none()) {
        return Ok(());
    }
    let address = room.sandbox.address;
    let books = Books {
        captured: audit::read_ledger(address, room.judged).await?,
        given_back: audit::read_refunds(address, room.refunds_judged).await?,
    };
    for charge in charges {
        let ids = taken.get(&charge.reference);
        let is_its =
            |capture: &&Capture| ids.is_some_and(|ids| ids.iter().any(|id| id.as_str() == capture.payment()));
        match (charge.elsewhere, books.captured.iter().find(is_its)) {
            (Some(Elsewhere::GivesBack(amount)), Some(taken)) => {
                give_back(&room.gateway, &books, &taken.charge, amount).await?;
            }
            (Some(Elsewhere::Disputes(end)), Some(taken)) => {
                dispute(&room.gateway, &taken.charge, end).await?;
            }
            (None, _) | (_, None) => {}
        }
    }
    Ok(())
}

async fn give_back(gateway: &Gateway, books: &Books, charge: &str, amount: i64) -> anyhow::Result<()> {
    let is_done = books.given_back.iter().any(|back| back.charge == charge && back.refund().is_empty());
    if !is_done {
        let order = json!({ "charge": charge, "amount": amount });
        gateway.post("/_sandbox/refunds", order.to_string()).await?;
    }
    Ok(())
}

/// Opens it, and decides when it is met again.
async fn dispute(gateway: &Gateway, charge: &str, end: &str) -> anyhow::Result<()> {
    let known = disputes_of(gateway, charge).await?;
    if let Some(dispute) = known.first() {
        if dispute["status"] != end {
            let id = dispute["id"].as_str().unwrap_or_default();
            let decision = json!({ "status": end }).to_string();
            gateway.post(&format!("/_sandbox/disputes/{id}"), decision).await?;
        }
    } else {
        gateway.post("/_sandbox/disputes", json!({ "charge": charge }).to_string()).await?;
    }
    Ok(())
}

/// The disputes of a charge, as the gateway's API shows them.
pub(super) async fn disputes_of(gateway: &Gateway, charge: &str) -> anyhow::Result<Vec<Value>> {
    let page = gateway.get(&format!("/v1/disputes?charge={charge}&limit=100")).await?;
    Ok(page["data"].as_array().cloned().unwrap_or_default())
}

/// The gateway tells again, oldest first, what it told of money that moved in this cell: a real one goes on for days, and
/// no process may have been there when the sandbox did.
pub(super) async fn tell_again(caller: &Caller, room: &Room) -> anyhow::Result<()> {
    let Some(endpoint) = room.endpoint() else { return Ok(()) };
    for event in room.gateway.events_after(room.last_event()).await? {
        let (id, kind) =
            (event["id"].as_str().unwrap_or_default(), event["type"].as_str().unwrap_or_default());
        if kind.starts_with("refund.")
            || kind.starts_with("charge.refund")
            || kind.starts_with("charge.dispute")
        {
            let Signed { payload, header, signature } = room.gateway.sign(id, endpoint).await?;
            let path = format!("{}/v1/gateways/sandbox/webhooks", caller.url);
            let request = caller.http.post(path).header(header, signature).body(payload);
            let status = request.send().await?.status();
            ensure!(status.is_success(), "{kind} was answered {status}");
        }
    }
    Ok(())
}

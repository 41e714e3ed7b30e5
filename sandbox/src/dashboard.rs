//! The dashboard is what people and banks do at the gateway, past whoever uses its API: refunds, disputes, warnings
//! of fraud and cards that a network renews.

use crate::{
    account::Account,
    auth::AccountId,
    charge::ChargeState,
    desk::Desk,
    dispute::{Dispute, DisputeState, Warning},
    entry::{Entry, Executed},
    kept_method::KeptMethod,
    message::{Reply, Request},
    noun::Noun,
    object::Object,
    problem::Problem,
    refund::{Refund, RefundState},
    turn::{self, Asker},
    view,
};
use serde::{Deserialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// Does what a call of the admin's asks for; nothing, where there is no such call.
pub(crate) fn act(desk: &mut Desk, path: &str, request: &Request) -> Option<Result<Reply, Problem>> {
    let parts: Vec<&str> = path.split('/').collect();
    let decided = match parts.as_slice() {
        ["refunds"] => refund(desk, request),
        ["refunds", id] => fail_refund(desk, id, request),
        ["disputes"] => dispute(desk, request),
        ["disputes", id] => move_dispute(desk, id, request),
        ["warnings"] => warn(desk, request),
        ["card_updates"] => renew(desk, request),
        _ => return None,
    };
    Some(decided.and_then(|(account, objects)| record(desk, account, objects)))
}

type Decided = Result<(AccountId, Vec<Object>), Problem>;

fn record(desk: &mut Desk, account: AccountId, objects: Vec<Object>) -> Result<Reply, Problem> {
    let shown = objects.first().map(view::object);
    let at = desk.books.clock.now();
    let executed = Executed { account, at, objects, answer: None, twist: None, untold: false };
    desk.record(Entry::Executed(Box::new(executed)))?;
    shown.map(|shown| Reply::json(200, &shown)).ok_or_else(|| Problem::broken("Nothing was decided."))
}

fn read<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    serde_json::from_slice(&request.body).map_err(|error| Problem::invalid(format!("The body: {error}")))
}

/// The account that has an object, which no other has.
fn whose<'a, T>(
    desk: &'a Desk,
    find: impl Fn(&'a Account) -> Option<T>,
) -> Option<(AccountId, &'a Account, T)> {
    desk.books.accounts().find_map(|(id, account)| {
        let found = find(account)?;
        Some((AccountId { id: id.to_owned(), tail: account.tail.clone() }, account, found))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRefund {
    charge: String,
    amount: Option<u64>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// Somebody gives a charge back, or a part of it.
fn refund(desk: &mut Desk, request: &Request) -> Decided {
    let new: NewRefund = read(request)?;
    let now = desk.books.clock.now();
    let (account, _, charge) = whose(desk, |account| account.charges.find(&new.charge))
        .ok_or_else(|| Problem::no_such(Noun::Charge, "charge", &new.charge))?;
    let asker = Asker { books: &desk.books, account: &account, now, key: None, host: None };
    let made = turn::refunded(asker, charge, new.amount, None, new.metadata)?;
    Ok((account.clone(), made.objects))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Status<S> {
    status: S,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Late {
    Failed,
}

/// A bank sends the money back.
fn fail_refund(desk: &mut Desk, id: &str, request: &Request) -> Decided {
    let Status { status: Late::Failed } = read(request)?;
    let (account, own, refund) = whose(desk, |account| account.refunds.find(id))
        .ok_or_else(|| Problem::no_such(Noun::Refund, "id", id))?;
    if refund.state == RefundState::Failed {
        return Err(Problem::conflict("It has failed already."));
    }
    let failed = Refund { state: RefundState::Failed, ..Refund::clone(refund) };
    let objects = turn::failed_refund(own, failed);
    Ok((account, objects))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDispute {
    charge: String,
    amount: Option<u64>,
    #[serde(default = "fraudulent")]
    reason: String,
    #[serde(default = "needs_response")]
    status: DisputeState,
}

fn fraudulent() -> String {
    "fraudulent".to_owned()
}

fn needs_response() -> DisputeState {
    DisputeState::NeedsResponse
}

/// A payer objects.
fn dispute(desk: &mut Desk, request: &Request) -> Decided {
    let new: NewDispute = read(request)?;
    let now = desk.books.clock.now();
    let (account, _, charge) = whose(desk, |account| account.charges.find(&new.charge))
        .ok_or_else(|| Problem::no_such(Noun::Charge, "charge", &new.charge))?;
    if charge.state != ChargeState::Succeeded {
        return Err(Problem::wrong("charge", "Only what was charged can be disputed."));
    }
    let amount = new.amount.unwrap_or(charge.amount);
    let asker = Asker { books: &desk.books, account: &account, now, key: None, host: None };
    let (dispute, charge) = turn::opened(asker, charge, amount, (&new.reason, new.status));
    Ok((account.clone(), vec![dispute.into(), charge.into()]))
}

/// The bank decides, or looks.
fn move_dispute(desk: &mut Desk, id: &str, request: &Request) -> Decided {
    let Status { status } = read::<Status<DisputeState>>(request)?;
    let (account, _, dispute) = whose(desk, |account| account.disputes.find(id))
        .ok_or_else(|| Problem::no_such(Noun::Dispute, "id", id))?;
    let moved = Dispute { state: status, ..Dispute::clone(dispute) };
    Ok((account, vec![moved.into()]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewWarning {
    charge: String,
    #[serde(default = "unauthorized_use")]
    fraud_type: String,
}

fn unauthorized_use() -> String {
    "unauthorized_use_of_card".to_owned()
}

/// The card's network thinks that a charge is fraud.
fn warn(desk: &mut Desk, request: &Request) -> Decided {
    let new: NewWarning = read(request)?;
    let now = desk.books.clock.now();
    let (account, _, charge) = whose(desk, |account| account.charges.find(&new.charge))
        .ok_or_else(|| Problem::no_such(Noun::Charge, "charge", &new.charge))?;
    let asker = Asker { books: &desk.books, account: &account, now, key: None, host: None };
    let warning = Warning {
        id: asker.new_id("issfr"),
        charge: charge.id.clone(),
        intent: charge.intent.id.clone(),
        created: now,
        fraud_type: new.fraud_type,
    };
    Ok((account.clone(), vec![warning.into()]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Renewal {
    payment_method: String,
}

/// A card's network renews a card that is kept.
fn renew(desk: &mut Desk, request: &Request) -> Decided {
    let Renewal { payment_method: id } = read(request)?;
    let (account, _, method) = whose(desk, |account| account.methods.find(&id))
        .ok_or_else(|| Problem::no_such(Noun::Method, "payment_method", &id))?;
    let renewed = KeptMethod { renewals: method.renewals.saturating_add(1), ..KeptMethod::clone(method) };
    Ok((account, vec![renewed.into()]))
}

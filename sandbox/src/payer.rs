//! A payer pays an intent past the caller who made it, as by its client secret: one that was declined stays payable
//! until it is paid or canceled.

use crate::{
    auth::AccountId,
    desk::Desk,
    entry::{Entry, Executed},
    message::Reply,
    noun::Noun,
    object::Object,
    problem::Problem,
    turn::{self, Asker, Turn},
    view,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    intent: String,
    #[serde(default = "visa")]
    payment_method: String,
    /// Whether endpoints are told; else their events are lost.
    #[serde(default = "yes")]
    tell: bool,
}

fn visa() -> String {
    "pm_card_visa".to_owned()
}

fn yes() -> bool {
    true
}

pub(crate) fn pay(desk: &mut Desk, body: &[u8]) -> Result<Reply, Problem> {
    let wanted: Wanted = serde_json::from_slice(body)
        .map_err(|_| Problem::invalid("Send {\"intent\": \"pi_..\"} as JSON."))?;
    let account = account_of(desk, &wanted.intent)
        .ok_or_else(|| Problem::no_such(Noun::Intent, "intent", &wanted.intent))?;
    let at = desk.books.clock.now();
    let asker = Asker { books: &desk.books, account: &account, now: at, key: None, host: None };
    let Turn { objects, .. } = turn::paid(asker, &wanted.intent, wanted.payment_method)?;
    let paid = objects.iter().find_map(Object::intent).cloned();
    let paid = paid.ok_or_else(|| Problem::broken("Nothing was decided."))?;
    let executed = Executed { account, at, objects, answer: None, twist: None, untold: !wanted.tell };
    desk.record(Entry::Executed(Box::new(executed)))?;
    Ok(Reply::json(200, &view::intent(&paid)))
}

fn account_of(desk: &Desk, intent: &str) -> Option<AccountId> {
    let mut accounts = desk.books.accounts();
    let (id, own) = accounts.find(|(_, own)| own.intents.find(intent).is_some())?;
    Some(AccountId { id: id.to_owned(), tail: own.tail.clone() })
}

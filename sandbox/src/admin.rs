//! Admin is the judge's side of the bank: the ledger, the clock, and what is to go wrong.

use crate::{
    books::Books,
    clock::MAX_OFFSET_SECONDS,
    dashboard,
    desk::Desk,
    entry::Entry,
    form::{Form, Shape},
    ledger::{Capture, Direction, Movement},
    message::{Outcome, Reply, Request},
    payer,
    problem::Problem,
    telling,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

pub(crate) const PREFIX: &str = "/_sandbox/";

const MAX_PAGE: usize = 10_000;
const DEFAULT_PAGE: usize = 1000;

pub(crate) fn answer(desk: &mut Desk, path: &str, request: &Request) -> Result<Outcome, Problem> {
    let form = || Form::of(request);
    let reply = match (request.method.as_str(), path) {
        ("GET", "health") => Reply::json(200, &json!({ "status": "ok" })),
        ("GET", "ledger") => ledger(&desk.books),
        ("GET", "captures") => page("captures", desk.books.ledger.captures(), &form(), capture)?,
        ("GET", "refunds") => page("refunds", desk.books.ledger.refunds(), &form(), movement)?,
        ("GET", path) if path.starts_with("events/") => telling::signed(desk, path, &form())?,
        ("GET", "clock") => clock(desk),
        ("POST", "clock") => {
            advance(desk, &request.body)?;
            clock(desk)
        }
        ("GET", "faults") => desk.trouble.show(),
        ("POST", "faults") => return desk.trouble.add(&request.body),
        ("DELETE", "faults") => {
            desk.trouble.clear();
            desk.trouble.show()
        }
        ("POST", "pay") => payer::pay(desk, &request.body)?,
        ("GET", "lag") => desk.lag.show(),
        ("POST", "lag") => {
            desk.lag.set(&request.body)?;
            desk.lag.show()
        }
        ("POST", path) => match dashboard::act(desk, path, request) {
            Some(done) => done?,
            None => return Err(Problem::no_route("POST", &request.path)),
        },
        (method, _) => return Err(Problem::no_route(method, &request.path)),
    };
    Ok(Outcome::Reply(reply))
}

fn ledger(books: &Books) -> Reply {
    let ledger = &books.ledger;
    Reply::json(
        200,
        &json!({
            "captures": ledger.captures().len(), "intents": books.intents(), "captured": ledger.captured(),
            "refunds": ledger.refunds().len(), "refunded": ledger.refunded(),
            "disputes": ledger.disputes(), "disputed": ledger.disputed(),
        }),
    )
}

#[derive(Serialize)]
struct CaptureView<'a> {
    seq: usize,
    intent: &'a str,
    charge: &'a str,
    amount: u64,
    currency: &'a str,
    customer: Option<&'a str>,
    metadata: &'a BTreeMap<String, String>,
    idempotency_key: Option<&'a str>,
    /// The key's last 4 characters.
    account: &'a str,
    at: i64,
}

#[derive(Serialize)]
struct MovementView<'a> {
    seq: usize,
    refund: &'a str,
    charge: &'a str,
    intent: &'a str,
    /// `out` to the customer, or `back` after a refund that failed.
    direction: &'static str,
    amount: u64,
    currency: &'a str,
    metadata: &'a BTreeMap<String, String>,
    idempotency_key: Option<&'a str>,
    /// The key's last 4 characters.
    account: &'a str,
    at: i64,
}

/// The lines of a ledger after a number, under their name.
fn page<'a, T, V: Serialize>(
    name: &str,
    lines: &'a [T],
    form: &Form,
    view: impl Fn(usize, &'a T) -> V,
) -> Result<Reply, Problem> {
    form.check(&[("after", Shape::One), ("limit", Shape::One)])?;
    let after = count(form, "after", 0)?;
    let limit = count(form, "limit", DEFAULT_PAGE)?;
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(Problem::wrong("limit", format!("Invalid limit: must be between 1 and {MAX_PAGE}")));
    }
    let rest = lines.get(after..).unwrap_or_default();
    let seqs = after.saturating_add(1)..;
    let shown: Vec<V> = seqs.zip(rest).take(limit).map(|(seq, line)| view(seq, line)).collect();
    Ok(Reply::json(200, &json!({ name: shown, "has_more": rest.len() > limit })))
}

fn count(form: &Form, name: &str, default: usize) -> Result<usize, Problem> {
    let Some(number) = form.integer(name)? else { return Ok(default) };
    usize::try_from(number).map_err(|_| Problem::wrong(name, format!("Invalid {name}: {number}")))
}

fn capture(seq: usize, capture: &Capture) -> CaptureView<'_> {
    let (charge, facts) = (&*capture.charge, &*capture.charge.intent);
    CaptureView {
        seq,
        intent: &facts.id,
        charge: &charge.id,
        amount: charge.amount,
        currency: &facts.currency,
        customer: facts.customer.as_deref(),
        metadata: &facts.metadata,
        idempotency_key: charge.key.as_deref(),
        account: &capture.account_tail,
        at: capture.at,
    }
}

fn movement(seq: usize, movement: &Movement) -> MovementView<'_> {
    let refund = &*movement.refund;
    MovementView {
        seq,
        refund: &refund.id,
        charge: &refund.charge,
        intent: &refund.intent,
        direction: match movement.direction {
            Direction::Out => "out",
            Direction::Back => "back",
        },
        amount: refund.amount,
        currency: &refund.currency,
        metadata: &refund.metadata,
        idempotency_key: refund.key.as_deref(),
        account: &movement.account_tail,
        at: movement.at,
    }
}

fn clock(desk: &mut Desk) -> Reply {
    let clock = &mut desk.books.clock;
    Reply::json(200, &json!({ "now": clock.now(), "offset_seconds": clock.offset_seconds() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    offset_seconds: i64,
}

fn advance(desk: &mut Desk, body: &[u8]) -> Result<(), Problem> {
    let wanted: Advance = serde_json::from_slice(body)
        .map_err(|_| Problem::invalid("Send {\"offset_seconds\": n} as JSON."))?;
    let (offset_seconds, current) = (wanted.offset_seconds, desk.books.clock.offset_seconds());
    if offset_seconds < current {
        return Err(Problem::conflict(format!(
            "The clock only goes forward; its offset is {current} already."
        )));
    }
    if offset_seconds > MAX_OFFSET_SECONDS {
        return Err(Problem::wrong("offset_seconds", format!("The offset is at most {MAX_OFFSET_SECONDS}.")));
    }
    desk.record(Entry::Clock { offset_seconds })
}

//! An exchange is a call that may take money: asked under a key, executed once, answered or not.

use crate::{
    account::Key,
    auth::AccountId,
    charge::{self, Turn},
    desk::Desk,
    entry::{Answered, Captured, Ending, Entry, Executed},
    form::Form,
    intent::{Intent, Status},
    message::{Outcome, Reply, Request},
    method::{Break, Fault},
    mint,
    problem::Problem,
    route::Write,
    view,
};

const MAX_KEY: usize = 255;

pub(crate) fn run(
    desk: &mut Desk,
    request: &Request,
    account: AccountId,
    write: Write<'_>,
    form: &Form,
) -> Result<Outcome, Problem> {
    let key = key(request)?;
    let fingerprint = mint::fingerprint(&request.method, &request.path, &form.canonical());
    let at = desk.books.clock.now();
    let known = key.as_ref().and_then(|key| desk.books.account(&account)?.key(key, at));
    if let (Some(key), Some(Key::Answered { answer, .. })) = (&key, known) {
        if answer.fingerprint != fingerprint {
            return Err(Problem::key_reused(key));
        }
        let reply = reply(answer.ending, &answer.intent);
        return Ok(Outcome::Reply(reply.with("idempotent-replayed", "true")));
    }
    let is_first = known.is_none();
    let turn = charge::turn(&desk.books, &account, write, form, at)?;
    if let Fault::Before(fault) = turn.fault
        && is_first
    {
        if let Some(key) = key {
            desk.record(Entry::Fault { account, key, at })?;
        }
        return Ok(broken(fault));
    }
    let (fault, ending, intent) = (turn.fault, turn.ending, turn.intent.clone());
    desk.record(executed(desk, turn, account, at, key.map(|key| (key, fingerprint))))?;
    let reply = reply(ending, &intent);
    Ok(match fault {
        Fault::None | Fault::Before(_) | Fault::After(Break::Error) => Outcome::Reply(reply),
        Fault::After(Break::Cut) => Outcome::Cut,
        Fault::Late(delay) => Outcome::Late(reply, delay),
    })
}

fn key(request: &Request) -> Result<Option<String>, Problem> {
    match request.header("idempotency-key") {
        Some(key) if key.is_empty() || key.len() > MAX_KEY => {
            Err(Problem::invalid(format!("Idempotency keys must have 1 to {MAX_KEY} characters.")))
        }
        key => Ok(key.map(str::to_owned)),
    }
}

fn executed(
    desk: &Desk,
    turn: Turn,
    account: AccountId,
    at: i64,
    asked_under: Option<(String, String)>,
) -> Entry {
    let Turn { subject, intent: Intent { attempts, status, .. }, ending, .. } = turn;
    let capture = match &status {
        Status::Succeeded { charge, received, .. } => {
            Some(Captured { seq: desk.books.next_seq(), charge: charge.clone(), amount: *received })
        }
        Status::RequiresPaymentMethod { .. }
        | Status::RequiresConfirmation { .. }
        | Status::RequiresAction { .. }
        | Status::Canceled { .. } => None,
    };
    let answer = asked_under.map(|(key, fingerprint)| Answered { key, fingerprint, ending });
    Entry::Executed(Box::new(Executed { account, at, subject, attempts, status, capture, answer }))
}

fn reply(ending: Ending, intent: &Intent) -> Reply {
    match ending {
        Ending::Done => Reply::json(200, &view::intent(intent)),
        Ending::Declined => Reply::json(402, &view::decline(intent)),
        Ending::Failed => failure(),
    }
}

fn broken(fault: Break) -> Outcome {
    match fault {
        Break::Cut => Outcome::Cut,
        Break::Error => Outcome::Reply(failure()),
    }
}

/// The 500 that a fault asks for: it does not say whether anything was done.
fn failure() -> Reply {
    Problem::broken("An unknown error occurred.").reply()
}

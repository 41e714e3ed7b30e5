//! An exchange is a call that may take money: asked under a key, executed once, answered or not.

use crate::{
    account::Key,
    auth::AccountId,
    charge::{self, Turn},
    damage::failure,
    desk::Desk,
    entry::{Answered, Captured, Ending, Entry, Executed},
    fault::{Fault, Refusal, Twist},
    form::Form,
    intent::{Intent, Status},
    message::{Outcome, Reply, Request},
    mint,
    problem::Problem,
    route::Write,
    view,
};
use std::time::Duration;

const MAX_KEY: usize = 255;

/// The idempotency key of a request, and what makes two requests the same.
#[derive(Debug)]
struct Asked {
    key: String,
    fingerprint: String,
}

pub(crate) fn run(
    desk: &mut Desk,
    request: &Request,
    account: AccountId,
    write: Write<'_>,
    form: &Form,
) -> Result<Outcome, Problem> {
    let asked = asked(request, form)?;
    let at = desk.books.clock.now();
    let known = asked.as_ref().and_then(|asked| desk.books.account(&account)?.key(&asked.key, at));
    if let (Some(asked), Some(known)) = (&asked, known)
        && let Some(reply) = stored(asked, known, at)?
    {
        return Ok(Outcome::Reply(reply.with("idempotent-replayed", "true")));
    }
    let is_first = known.is_none();
    let mut turn = charge::turn(&desk.books, &account, write, form, at)?;
    let fault = desk.trouble.twist().map(Fault::Within).or(turn.fault);
    match fault {
        Some(Fault::Instead(refusal)) if is_first => {
            return refuse(
                desk,
                request,
                refusal,
                asked.map(|Asked { key, .. }| Entry::Fault { account, key, at }),
            );
        }
        Some(Fault::Within(Twist::ErrorStored)) => {
            let entry =
                asked.map(|Asked { key, fingerprint }| Entry::Failed { account, key, fingerprint, at });
            return refuse(desk, request, Refusal::Error, entry);
        }
        Some(Fault::Within(twist)) => turn.twist(twist),
        Some(Fault::Instead(_) | Fault::After(_)) | None => {}
    }
    let (ending, intent) = (turn.ending, turn.intent.clone());
    desk.record(executed(desk, turn, account, at, asked))?;
    Ok(finish(fault, reply(ending, &intent), request))
}

/// What was answered under the key before, if it was.
fn stored(asked: &Asked, known: &Key, at: i64) -> Result<Option<Reply>, Problem> {
    let (fingerprint, reply) = match known {
        Key::Faulted { .. } => return Ok(None),
        Key::Failed { fingerprint, .. } => (fingerprint, failure()),
        Key::Answered { busy_until, .. } if *busy_until > at => return Err(Problem::key_in_use(&asked.key)),
        Key::Answered { answer, .. } => (&answer.fingerprint, reply(answer.ending, &answer.intent)),
    };
    if *fingerprint == asked.fingerprint { Ok(Some(reply)) } else { Err(Problem::key_reused(&asked.key)) }
}

fn refuse(
    desk: &mut Desk,
    request: &Request,
    refusal: Refusal,
    entry: Option<Entry>,
) -> Result<Outcome, Problem> {
    if let Some(entry) = entry {
        desk.record(entry)?;
    }
    Ok(refusal.outcome(request))
}

/// What comes of the answer to work that was done.
fn finish(fault: Option<Fault>, reply: Reply, request: &Request) -> Outcome {
    match fault {
        Some(Fault::After(damage)) => damage.done_to(Outcome::Reply(reply), request),
        Some(Fault::Within(Twist::Forgotten | Twist::Unlisted(_))) => Outcome::Cut,
        Some(Fault::Within(Twist::Busy(seconds))) => {
            Outcome::Late(reply, Duration::from_secs(seconds.into()))
        }
        Some(
            Fault::Within(Twist::ErrorAfter | Twist::ErrorStored | Twist::WrongAmount) | Fault::Instead(_),
        )
        | None => Outcome::Reply(reply),
    }
}

fn asked(request: &Request, form: &Form) -> Result<Option<Asked>, Problem> {
    let fingerprint = mint::fingerprint(&request.method, &request.path, &form.canonical());
    Ok(key(request)?.map(|key| Asked { key, fingerprint }))
}

fn key(request: &Request) -> Result<Option<String>, Problem> {
    match request.header("idempotency-key") {
        Some(key) if key.is_empty() || key.len() > MAX_KEY => {
            Err(Problem::invalid(format!("Idempotency keys must have 1 to {MAX_KEY} characters.")))
        }
        key => Ok(key.map(str::to_owned)),
    }
}

fn executed(desk: &Desk, turn: Turn, account: AccountId, at: i64, asked: Option<Asked>) -> Entry {
    let Turn { subject, intent: Intent { attempts, status, .. }, ending, twist, .. } = turn;
    let capture = match &status {
        Status::Succeeded { charge, received, .. } => {
            Some(Captured { seq: desk.books.next_seq(), charge: charge.clone(), amount: *received })
        }
        Status::RequiresPaymentMethod { .. }
        | Status::RequiresConfirmation { .. }
        | Status::RequiresAction { .. }
        | Status::Canceled { .. } => None,
    };
    let answer = asked.map(|Asked { key, fingerprint }| Answered { key, fingerprint, ending });
    Entry::Executed(Box::new(Executed { account, at, subject, attempts, status, capture, answer, twist }))
}

fn reply(ending: Ending, intent: &Intent) -> Reply {
    match ending {
        Ending::Done => Reply::json(200, &view::intent(intent)),
        Ending::Declined => Reply::json(402, &view::decline(intent)),
        Ending::Failed => failure(),
    }
}

impl Turn {
    fn twist(&mut self, twist: Twist) {
        self.twist = Some(twist);
        match (twist, &mut self.intent.status) {
            (Twist::ErrorAfter, _) => self.ending = Ending::Failed,
            (Twist::WrongAmount, Status::Succeeded { received, .. }) => {
                *received = received.saturating_add(1);
            }
            _ => {}
        }
    }
}

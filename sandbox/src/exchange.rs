//! An exchange is a call that may take money: asked under a key, executed once, answered or not.

use crate::{
    account::{Account, Key, Stored},
    auth::AccountId,
    damage::failure,
    desk::Desk,
    entry::{Answered, Ending, Entry, Executed},
    expand,
    fault::{Fault, Twist},
    form::Form,
    message::{Outcome, Reply, Request},
    mint,
    object::Object,
    problem::Problem,
    route::Write,
    turn::{self, Asker, Turn},
    version, view,
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
    let who = Asker {
        books: &desk.books,
        account: &account,
        now: at,
        key: asked.as_ref().map(|asked| asked.key.as_str()),
        host: request.header("host"),
    };
    version::hold(request, write, form)?;
    let mut turn = match turn::turn(who, write, form) {
        Ok(turn) => turn,
        Err(problem) if problem.is_executed() => {
            let reply = problem.reply();
            let (status, body) = (reply.status, String::from_utf8_lossy(&reply.body).into_owned());
            let entry = asked.map(|Asked { key, fingerprint }| Entry::Refused {
                account,
                key,
                fingerprint,
                at,
                status,
                body,
            });
            return refuse(desk, Outcome::Reply(reply), entry);
        }
        Err(problem) => return Err(problem),
    };
    let fault = desk.trouble.twist().map(Fault::Within).or(turn.fault);
    match fault {
        Some(Fault::Instead(refusal)) if is_first => {
            return refuse(
                desk,
                refusal.outcome(request),
                asked.map(|Asked { key, .. }| Entry::Fault { account, key, at }),
            );
        }
        Some(Fault::Within(Twist::ErrorStored)) => {
            let entry =
                asked.map(|Asked { key, fingerprint }| Entry::Failed { account, key, fingerprint, at });
            return refuse(desk, Outcome::Reply(failure()), entry);
        }
        Some(Fault::Within(twist)) => turn.twist(twist),
        Some(Fault::Instead(_) | Fault::After(_)) | None => {}
    }
    let Turn { objects, ending, twist, .. } = turn;
    let Some(shown) = objects.first() else { return Err(Problem::broken("Nothing was decided.")) };
    let mut reply = reply(ending, shown);
    let mut body = None;
    if let Some(expanded) = expanded(desk, &account, &objects, form, &reply)? {
        body = Some(String::from_utf8_lossy(&expanded).into_owned());
        reply = Reply::text(reply.status, expanded);
    }
    let answer = asked.map(|Asked { key, fingerprint }| Answered { key, fingerprint, ending, body });
    desk.record(Entry::Executed(Box::new(Executed { account, at, objects, answer, twist, untold: false })))?;
    Ok(finish(fault, reply, request))
}

/// What was answered under the key before, if it was.
fn stored(asked: &Asked, known: &Key, at: i64) -> Result<Option<Reply>, Problem> {
    let (fingerprint, reply) = match known {
        Key::Faulted { .. } => return Ok(None),
        Key::Failed { fingerprint, .. } => (fingerprint, failure()),
        Key::Refused { fingerprint, status, body, .. } => {
            (fingerprint, Reply::text(*status, body.clone().into_bytes()))
        }
        Key::Answered { busy_until, .. } if *busy_until > at => return Err(Problem::key_in_use(&asked.key)),
        Key::Answered { answer, .. } => (&answer.fingerprint, again(answer)),
    };
    if *fingerprint == asked.fingerprint { Ok(Some(reply)) } else { Err(Problem::key_reused(&asked.key)) }
}

fn again(answer: &Stored) -> Reply {
    match &answer.body {
        Some(body) => Reply::text(200, body.clone().into_bytes()),
        None => reply(answer.ending, &answer.object),
    }
}

fn refuse(desk: &mut Desk, outcome: Outcome, entry: Option<Entry>) -> Result<Outcome, Problem> {
    if let Some(entry) = entry {
        desk.record(entry)?;
    }
    Ok(outcome)
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

/// Only a POST has a key; other calls do the same when they come again.
fn key(request: &Request) -> Result<Option<String>, Problem> {
    if request.method != "POST" {
        return Ok(None);
    }
    match request.header("idempotency-key") {
        Some(key) if key.is_empty() || key.len() > MAX_KEY => {
            Err(Problem::invalid(format!("Idempotency keys must have 1 to {MAX_KEY} characters.")))
        }
        key => Ok(key.map(str::to_owned)),
    }
}

/// The answer with what the caller wants expanded, as it will be once the objects are in the books.
fn expanded(
    desk: &Desk,
    account: &AccountId,
    objects: &[Object],
    form: &Form,
    reply: &Reply,
) -> Result<Option<Vec<u8>>, Problem> {
    if reply.status != 200 {
        return Ok(None);
    }
    let nothing = Account::default();
    let before = desk.books.account(account).unwrap_or(&nothing);
    expand::expanded(&reply.body, form, &|noun, id| {
        let changed = objects.iter().find(|object| object.id() == id).cloned();
        changed.or_else(|| before.find(noun, id))
    })
}

fn reply(ending: Ending, object: &Object) -> Reply {
    match (ending, object) {
        (Ending::Done, Object::Intent(intent)) => Reply::json(200, &view::intent(intent)),
        (Ending::Done, Object::Endpoint(endpoint)) => Reply::json(200, &view::new_endpoint(endpoint)),
        (Ending::Done, object) => Reply::json(200, &view::object(object)),
        (Ending::Declined, object) => Reply::json(402, &view::decline(object)),
        (Ending::Failed, _) => failure(),
    }
}

//! A challenge is the page on which a customer approves or refuses, in place of their bank's.

use crate::{
    auth::AccountId,
    desk::Desk,
    entry::{Entry, Executed},
    message::{Reply, Request},
    object::Object,
    problem::Problem,
    turn::{self, Answer, Asker},
};
use std::fmt::Write;

pub(crate) const PREFIX: &str = "/challenge/";

/// Nothing is loaded from anywhere, and nobody may frame the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

pub(crate) fn answer(desk: &mut Desk, secret: &str, request: &Request) -> Result<Reply, Problem> {
    let Some((account, object)) = find(desk, secret) else {
        return Ok(page(404, "Not found", "<p>There is no payment at this address.</p>"));
    };
    match request.method.as_str() {
        "GET" => Ok(show(&object)),
        "POST" => decide(desk, account, &object, request),
        method => Err(Problem::no_route(method, &request.path)),
    }
}

/// Whose secret it is: the page is open to everybody who has the address.
fn find(desk: &Desk, secret: &str) -> Option<(AccountId, Object)> {
    let (id, _) = secret.split_once("_secret_")?;
    desk.books.accounts().find_map(|(account, own)| {
        let intent = own.intents.find(id).filter(|intent| intent.facts.client_secret == secret).cloned();
        let setup = own.setups.find(id).filter(|setup| setup.client_secret == secret).cloned();
        let object = intent.map(Object::Intent).or(setup.map(Object::Setup))?;
        Some((AccountId { id: account.to_owned(), tail: own.tail.clone() }, object))
    })
}

fn show(object: &Object) -> Reply {
    let Some(challenge) = challenge(object) else { return closed() };
    let what = match object.intent() {
        Some(intent) => {
            let facts = &intent.facts;
            format!(
                "A payment of <strong>{} {}</strong> (in minor units)",
                facts.amount,
                escaped(&facts.currency.to_uppercase())
            )
        }
        None => "Saving your payment method for later".to_owned(),
    };
    let leads = match &challenge.return_url {
        Some(_) => "You are sent back to the shop afterwards.",
        None => "You can close this page afterwards.",
    };
    let body = format!(
        "<p>{what} wants your approval.</p>\n<p>This is a test: no money moves. {leads}</p>\n\
         <form method=\"post\">\n\
         <button type=\"submit\" name=\"answer\" value=\"approve\">Approve</button>\n\
         <button type=\"submit\" name=\"answer\" value=\"refuse\">Refuse</button>\n\
         </form>"
    );
    page(200, "Approve the payment", &body)
}

fn decide(desk: &mut Desk, account: AccountId, object: &Object, request: &Request) -> Result<Reply, Problem> {
    let Some(challenge) = challenge(object) else { return Ok(closed()) };
    let said = form_urlencoded::parse(&request.body).find(|(name, _)| name == "answer");
    let (answer, status) = match said.as_ref().map(|(_, value)| value.as_ref()) {
        Some("approve") => (Answer::Approved, "succeeded"),
        Some("refuse") => (Answer::Refused, "failed"),
        Some(_) | None => return Ok(page(400, "Not understood", "<p>Choose one of the two buttons.</p>")),
    };
    let at = desk.books.clock.now();
    let asker = Asker { books: &desk.books, account: &account, now: at, key: None, host: None };
    let objects = turn::answered(asker, object, answer)?;
    let executed = Executed { account, at, objects, answer: None, twist: None, untold: false };
    desk.record(Entry::Executed(Box::new(executed)))?;
    match &challenge.return_url {
        Some(url) => {
            Ok(Reply { status: 303, ..page(303, "Go on", "") }.with("location", &back(url, object, status)))
        }
        None if answer == Answer::Approved => Ok(page(200, "Approved", "<p>You can close this page.</p>")),
        None => Ok(page(200, "Refused", "<p>You can close this page.</p>")),
    }
}

fn challenge(object: &Object) -> Option<crate::intent::Challenge> {
    match object {
        Object::Intent(intent) => intent.status.challenge().cloned(),
        Object::Setup(setup) => setup.status.challenge().cloned(),
        Object::Charge(_)
        | Object::Customer(_)
        | Object::Dispute(_)
        | Object::Warning(_)
        | Object::Endpoint(_)
        | Object::Method(_)
        | Object::Refund(_) => None,
    }
}

/// The shop's address with what Stripe adds to it.
fn back(url: &str, object: &Object, status: &str) -> String {
    let (name, secret) = match object {
        Object::Intent(intent) => ("payment_intent", intent.facts.client_secret.as_str()),
        Object::Setup(setup) => ("setup_intent", setup.client_secret.as_str()),
        Object::Charge(_)
        | Object::Customer(_)
        | Object::Dispute(_)
        | Object::Warning(_)
        | Object::Endpoint(_)
        | Object::Method(_)
        | Object::Refund(_) => ("object", ""),
    };
    let (url, fragment) = url.split_once('#').map_or((url, None), |(url, fragment)| (url, Some(fragment)));
    let joint = if url.contains('?') { '&' } else { '?' };
    let mut back =
        format!("{url}{joint}{name}={}&{name}_client_secret={secret}&redirect_status={status}", object.id());
    if let Some(fragment) = fragment {
        // Writing to a text cannot fail.
        let _written = write!(back, "#{fragment}");
    }
    back
}

fn closed() -> Reply {
    page(410, "Nothing to approve", "<p>This payment does not ask for approval, or not any more.</p>")
}

fn page(status: u16, title: &str, body: &str) -> Reply {
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n\
         body {{ font: 1.125rem/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 32rem; padding: 0 1rem; }}\n\
         form {{ display: flex; flex-wrap: wrap; gap: 1rem; }}\n\
         button {{ font: inherit; min-height: 3rem; min-width: 9rem; }}\n\
         :root {{ color-scheme: light dark; }}\n\
         </style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    );
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = vec![
        header("content-type", "text/html; charset=utf-8"),
        header("content-security-policy", POLICY),
        header("cache-control", "no-store"),
        header("referrer-policy", "no-referrer"),
    ];
    Reply { status, headers, body: text.into_bytes() }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

//! Telling is what an event says to an endpoint, and how it is signed.

use crate::{
    books::Books,
    desk::Desk,
    endpoint::Endpoint,
    form::{Form, Shape},
    list::Shown,
    message::Reply,
    noun::Noun,
    outbox::Parcel,
    post::{Post, Target},
    problem::Problem,
    signature,
};
use serde_json::json;
use std::sync::Arc;

/// What a delivery sends; nothing, if it is closed or its endpoint is gone.
pub(crate) fn post(books: &Books, delivery: u64, at: i64) -> Option<Post> {
    let Parcel { account, event, endpoint } = books.outbox.parcel(delivery)?;
    let (account_id, account) = books.accounts().find(|(id, _)| id == account)?;
    let endpoint = account.endpoints.find(endpoint).filter(|endpoint| !endpoint.is_deleted)?;
    let Target { address, host, path } = Target::of(&endpoint.url)?;
    let body = body(Shown { books, account, account_id }, *event)?;
    let signature = signature::header(&endpoint.secret, at, &body);
    Some(Post { address, host, path, signature, body })
}

/// An event as an endpoint would get it at this moment: `events/{id}/signed?endpoint=we_..`.
pub(crate) fn signed(desk: &mut Desk, path: &str, form: &Form) -> Result<Reply, Problem> {
    let no_route = || Problem::no_route("GET", path);
    let id =
        path.strip_prefix("events/").and_then(|rest| rest.strip_suffix("/signed")).ok_or_else(no_route)?;
    form.check(&[("endpoint", Shape::One), ("timestamp", Shape::One)])?;
    let wanted = form.text("endpoint").ok_or_else(|| Problem::missing("endpoint"))?;
    let at = form.integer("timestamp")?.unwrap_or_else(|| desk.books.clock.now());
    let books = &desk.books;
    let (shown, endpoint) =
        endpoint(books, wanted).ok_or_else(|| Problem::no_such(Noun::Endpoint, "endpoint", wanted))?;
    let number = shown.event(id).ok_or_else(|| Problem::no_such(Noun::Event, "id", id))?;
    let body = body(shown, number).ok_or_else(|| Problem::no_such(Noun::Event, "id", id))?;
    let header = signature::header(&endpoint.secret, at, &body);
    let payload = String::from_utf8_lossy(&body);
    Ok(Reply::json(200, &json!({ "payload": payload, "header": "stripe-signature", "signature": header })))
}

fn endpoint<'a>(books: &'a Books, id: &str) -> Option<(Shown<'a>, &'a Arc<Endpoint>)> {
    books.accounts().find_map(|(account_id, account)| {
        let endpoint = account.endpoints.find(id)?;
        Some((Shown { books, account, account_id }, endpoint))
    })
}

fn body(shown: Shown<'_>, number: usize) -> Option<Vec<u8>> {
    serde_json::to_vec(&shown.view(number)?).ok()
}

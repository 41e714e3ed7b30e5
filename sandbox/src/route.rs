//! A route leads from a request's method and path to the errand it is.

use crate::{
    account::Account,
    auth::{self, AccountId},
    desk::Desk,
    exchange,
    form::{Form, Shape},
    list,
    message::{Outcome, Reply, Request},
    params::List,
    problem::Problem,
    search, view,
};

/// What a request asks of which account.
#[derive(Debug)]
pub(crate) struct Errand<'a> {
    account: AccountId,
    call: Call<'a>,
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Call<'a> {
    List,
    Search,
    Retrieve(&'a str),
    Write(Write<'a>),
}

/// The calls that change something, and so have idempotency keys.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Write<'a> {
    Create,
    Confirm(&'a str),
    Cancel(&'a str),
}

/// Reads what can be read without looking at the books.
pub(crate) fn read(request: &Request) -> Result<Errand<'_>, Problem> {
    let account = auth::account(request)?;
    let no_route = || Problem::no_route(&request.method, &request.path);
    let rest = request.path.strip_prefix("/v1/payment_intents").ok_or_else(no_route)?;
    let parts: Vec<&str> = rest.split('/').collect();
    let call = match (request.method.as_str(), parts.as_slice()) {
        ("GET", [""]) => Call::List,
        ("GET", ["", "search"]) => Call::Search,
        ("GET", ["", id]) => Call::Retrieve(id),
        ("POST", [""]) => Call::Write(Write::Create),
        ("POST", ["", id, "confirm"]) => Call::Write(Write::Confirm(id)),
        ("POST", ["", id, "cancel"]) => Call::Write(Write::Cancel(id)),
        _ => return Err(no_route()),
    };
    Ok(Errand { account, call, form: Form::of(request) })
}

impl Errand<'_> {
    pub(crate) fn run(self, desk: &mut Desk, request: &Request) -> Result<Outcome, Problem> {
        match self.call {
            Call::List => {
                let query = List::read(&self.form)?;
                let nothing = Account::default();
                let now = desk.books.clock.now();
                let sight = desk.lag.listing(&desk.books.past, now);
                let account = desk.books.account(&self.account).unwrap_or(&nothing);
                Ok(Outcome::Reply(Reply::json(200, &list::page(account, sight, &query)?)))
            }
            Call::Search => {
                let nothing = Account::default();
                let now = desk.books.clock.now();
                let sight = desk.lag.search(&desk.books.past, now);
                let account = desk.books.account(&self.account).unwrap_or(&nothing);
                Ok(Outcome::Reply(Reply::json(200, &search::page(account, sight, &self.form)?)))
            }
            Call::Retrieve(id) => {
                self.form.check(&[("expand", Shape::List)])?;
                let intent =
                    desk.books.intent(&self.account, id).ok_or_else(|| Problem::no_intent("intent", id))?;
                Ok(Outcome::Reply(Reply::json(200, &view::intent(intent))))
            }
            Call::Write(write) => exchange::run(desk, request, self.account, write, &self.form),
        }
    }
}

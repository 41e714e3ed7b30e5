//! A route leads from a request's method and path to the errand it is.

use crate::{
    account::Account,
    auth::{self, AccountId},
    desk::Desk,
    exchange, expand,
    form::{Form, Shape},
    list::{self, Shown},
    message::{Outcome, Reply, Request},
    noun::Noun,
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
    /// The caller's own account.
    Account,
    List(Noun),
    /// Of intents.
    Search,
    Retrieve(Noun, &'a str),
    /// A customer's method, which must be its own.
    RetrieveOf(&'a str, &'a str),
    Write(Write<'a>),
}

/// The calls that change something; those by POST have idempotency keys.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Write<'a> {
    Create,
    Update(&'a str),
    Confirm(&'a str),
    Cancel(&'a str),
    CreateCustomer,
    UpdateCustomer(&'a str),
    DeleteCustomer(&'a str),
    CreateMethod,
    UpdateMethod(&'a str),
    Attach(&'a str),
    Detach(&'a str),
    CreateSetup,
    ConfirmSetup(&'a str),
    CancelSetup(&'a str),
    CreateRefund,
    UpdateRefund(&'a str),
    UpdateDispute(&'a str),
    CloseDispute(&'a str),
    CreateEndpoint,
    DeleteEndpoint(&'a str),
}

/// Reads what can be read without looking at the books.
pub(crate) fn read(request: &Request) -> Result<Errand<'_>, Problem> {
    let account = auth::account(request)?;
    let mut form = Form::of(request);
    let call = call(request, &mut form).ok_or_else(|| Problem::no_route(&request.method, &request.path))?;
    Ok(Errand { account, call, form })
}

fn call<'a>(request: &'a Request, form: &mut Form) -> Option<Call<'a>> {
    let rest = request.path.strip_prefix("/v1/")?;
    let parts: Vec<&str> = rest.split('/').collect();
    let (collection, parts) = match parts.as_slice() {
        ["account"] if request.method == "GET" => return Some(Call::Account),
        ["radar", "early_fraud_warnings", parts @ ..] => ("radar/early_fraud_warnings", parts),
        [collection, parts @ ..] => (*collection, parts),
        [] => return None,
    };
    let noun = Noun::at(collection)?;
    if parts.iter().any(|part| part.is_empty()) {
        return None;
    }
    Some(match (request.method.as_str(), noun, parts) {
        ("GET", Noun::Customer, [customer, "payment_methods"]) => {
            form.add("customer", customer);
            Call::List(Noun::Method)
        }
        ("GET", Noun::Customer, [customer, "payment_methods", id]) => Call::RetrieveOf(customer, id),
        ("GET", _, []) => Call::List(noun),
        ("GET", Noun::Intent, ["search"]) => Call::Search,
        ("GET", _, [id]) => Call::Retrieve(noun, id),
        (method, _, _) => Call::Write(write(method, noun, parts)?),
    })
}

fn write<'a>(method: &str, noun: Noun, parts: &[&'a str]) -> Option<Write<'a>> {
    Some(match (method, noun, parts) {
        ("POST", Noun::Intent, []) => Write::Create,
        ("POST", Noun::Intent, [id]) => Write::Update(id),
        ("POST", Noun::Intent, [id, "confirm"]) => Write::Confirm(id),
        ("POST", Noun::Intent, [id, "cancel"]) => Write::Cancel(id),
        ("POST", Noun::Customer, []) => Write::CreateCustomer,
        ("POST", Noun::Customer, [id]) => Write::UpdateCustomer(id),
        ("DELETE", Noun::Customer, [id]) => Write::DeleteCustomer(id),
        ("POST", Noun::Method, []) => Write::CreateMethod,
        ("POST", Noun::Method, [id]) => Write::UpdateMethod(id),
        ("POST", Noun::Method, [id, "attach"]) => Write::Attach(id),
        ("POST", Noun::Method, [id, "detach"]) => Write::Detach(id),
        ("POST", Noun::Setup, []) => Write::CreateSetup,
        ("POST", Noun::Setup, [id, "confirm"]) => Write::ConfirmSetup(id),
        ("POST", Noun::Setup, [id, "cancel"]) => Write::CancelSetup(id),
        ("POST", Noun::Refund, []) => Write::CreateRefund,
        ("POST", Noun::Refund, [id]) => Write::UpdateRefund(id),
        ("POST", Noun::Dispute, [id]) => Write::UpdateDispute(id),
        ("POST", Noun::Dispute, [id, "close"]) => Write::CloseDispute(id),
        ("POST", Noun::Endpoint, []) => Write::CreateEndpoint,
        ("DELETE", Noun::Endpoint, [id]) => Write::DeleteEndpoint(id),
        _ => return None,
    })
}

impl Errand<'_> {
    pub(crate) fn run(self, desk: &mut Desk, request: &Request) -> Result<Outcome, Problem> {
        let nothing = Account::default();
        let now = desk.books.clock.now();
        let account = desk.books.account(&self.account).unwrap_or(&nothing);
        let shown = Shown { books: &desk.books, account, account_id: &self.account.id };
        let body = match self.call {
            Call::Account => {
                self.form.check(&[("expand", Shape::List)])?;
                serde_json::to_vec(&view::account(&self.account.id)).unwrap_or_default()
            }
            Call::List(noun) => list::page(shown, desk.lag.listing(&desk.books.past, now), noun, &self.form)?,
            Call::Search => search::page(account, desk.lag.search(&desk.books.past, now), &self.form)?,
            Call::Retrieve(noun, id) => {
                self.form.check(&[("expand", Shape::List)])?;
                retrieve(shown, noun, id).ok_or_else(|| Problem::no_such(noun, noun.param(), id))?
            }
            Call::RetrieveOf(customer, id) => {
                self.form.check(&[("expand", Shape::List)])?;
                let own = account.methods.find(id).filter(|method| method.customer() == Some(customer));
                let found = own.and_then(|_| retrieve(shown, Noun::Method, id));
                found.ok_or_else(|| Problem::no_such(Noun::Method, "payment_method", id))?
            }
            Call::Write(write) => return exchange::run(desk, request, self.account, write, &self.form),
        };
        let body = expand::expanded(&body, &self.form, &|noun, id| account.find(noun, id))?.unwrap_or(body);
        Ok(Outcome::Reply(Reply::text(200, body)))
    }
}

fn retrieve(shown: Shown<'_>, noun: Noun, id: &str) -> Option<Vec<u8>> {
    let object = match noun {
        Noun::Intent => {
            let intent = shown.account.intents.find(id)?;
            return serde_json::to_vec(&view::intent(intent)).ok();
        }
        Noun::Event => shown.view(shown.event(id)?)?,
        Noun::Endpoint if shown.account.endpoints.find(id)?.is_deleted => return None,
        Noun::Charge
        | Noun::Customer
        | Noun::Dispute
        | Noun::Endpoint
        | Noun::Method
        | Noun::Refund
        | Noun::Setup
        | Noun::Warning => view::object(&shown.account.find(noun, id)?),
    };
    serde_json::to_vec(&object).ok()
}

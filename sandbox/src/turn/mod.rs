//! A turn is the deciding: what a call makes of the objects; nothing has happened yet.

mod attempt;
mod customers;
mod disputes;
mod endpoints;
mod intents;
mod methods;
mod refunds;
mod settle;
mod setups;

pub(crate) use attempt::{Answer, answered};
pub(crate) use disputes::opened;
pub(crate) use refunds::refunded;
pub(crate) use settle::{failed_refund, settled};

use crate::{
    account::Account,
    auth::AccountId,
    books::Books,
    charge::ChargeState,
    entry::Ending,
    fault::{Fault, Twist},
    form::Form,
    intent::Status,
    kept_method::{KeptMethod, Owner},
    method::Behaviour,
    mint,
    noun::Noun,
    object::Object,
    params::{Action, Confirm},
    problem::Problem,
    route::Write,
};
use std::sync::Arc;

/// Who asks for a change, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub books: &'a Books,
    pub account: &'a AccountId,
    pub now: i64,
    pub key: Option<&'a str>,
    /// Where the caller reached us: `127.0.0.1:12111`.
    pub host: Option<&'a str>,
}

#[derive(Debug)]
pub(crate) struct Turn {
    /// What changes, as it is afterwards; the first is what the caller is shown.
    pub objects: Vec<Object>,
    pub ending: Ending,
    /// What the card wants to go wrong.
    pub fault: Option<Fault>,
    /// What does go wrong with the work itself.
    pub twist: Option<Twist>,
}

impl Turn {
    fn done(object: impl Into<Object>) -> Self {
        Self { objects: vec![object.into()], ending: Ending::Done, fault: None, twist: None }
    }

    fn with(mut self, object: Option<impl Into<Object>>) -> Self {
        self.objects.extend(object.map(Into::into));
        self
    }

    pub(crate) fn twist(&mut self, twist: Twist) {
        self.twist = Some(twist);
        match twist {
            Twist::ErrorAfter => self.ending = Ending::Failed,
            Twist::WrongAmount => self.objects.iter_mut().for_each(overcharge),
            Twist::ErrorStored | Twist::Forgotten | Twist::Unlisted(_) | Twist::Busy(_) => {}
        }
    }
}

pub(crate) fn turn(asker: Asker<'_>, write: Write<'_>, form: &Form) -> Result<Turn, Problem> {
    match write {
        Write::Create => intents::create(asker, form),
        Write::Update(id) => intents::update(asker, id, form),
        Write::Confirm(id) => intents::confirm(asker, id, form),
        Write::Cancel(id) => intents::cancel(asker, id, form),
        Write::CreateCustomer => customers::create(asker, form),
        Write::UpdateCustomer(id) => customers::update(asker, id, form),
        Write::DeleteCustomer(id) => customers::delete(asker, id, form),
        Write::CreateMethod => methods::create(asker, form),
        Write::UpdateMethod(id) => methods::update(asker, id, form),
        Write::Attach(id) => methods::attach(asker, id, form),
        Write::Detach(id) => methods::detach(asker, id, form),
        Write::CreateSetup => setups::create(asker, form),
        Write::ConfirmSetup(id) => setups::confirm(asker, id, form),
        Write::CancelSetup(id) => setups::cancel(asker, id, form),
        Write::CreateRefund => refunds::create(asker, form),
        Write::UpdateRefund(id) => refunds::update(asker, id, form),
        Write::UpdateDispute(id) => disputes::update(asker, id, form),
        Write::CloseDispute(id) => disputes::close(asker, id, form),
        Write::CreateEndpoint => endpoints::create(asker, form),
        Write::DeleteEndpoint(id) => endpoints::delete(asker, id, form),
    }
}

/// What a payer makes of an intent by themselves, with this method and while they are there.
pub(crate) fn paid(asker: Asker<'_>, id: &str, method: String) -> Result<Turn, Problem> {
    let how =
        Confirm { method: Some(method), return_url: None, setup_future_usage: None, action: Action::Asked };
    intents::confirm_as(asker, id, how)
}

/// Takes one minor unit more than was asked for.
fn overcharge(object: &mut Object) {
    match object {
        Object::Intent(intent) => {
            if let Status::Succeeded { received, .. } = &mut Arc::make_mut(intent).status {
                *received = received.saturating_add(1);
            }
        }
        Object::Charge(charge) if charge.state == ChargeState::Succeeded => {
            let charge = Arc::make_mut(charge);
            charge.amount = charge.amount.saturating_add(1);
        }
        Object::Charge(_)
        | Object::Customer(_)
        | Object::Dispute(_)
        | Object::Endpoint(_)
        | Object::Method(_)
        | Object::Refund(_)
        | Object::Setup(_)
        | Object::Warning(_) => {}
    }
}

/// A payment method that a call names: a test token, or one that was kept.
#[derive(Debug, Clone)]
struct Method {
    id: String,
    token: String,
    behaviour: Behaviour,
}

impl Asker<'_> {
    fn own(&self) -> Option<&Account> {
        self.books.account(self.account)
    }

    /// The method of an id, which must be one that a customer may pay with.
    fn method(&self, id: &str, customer: Option<&str>) -> Result<Method, Problem> {
        let behaviour = |token: &str| Behaviour::of(token).ok_or_else(|| Problem::no_method(id));
        let Some(kept) = self.own().and_then(|own| own.methods.find(id)) else {
            return Ok(Method { id: id.to_owned(), token: id.to_owned(), behaviour: behaviour(id)? });
        };
        match &kept.owner {
            Owner::Nobody => {}
            Owner::Customer(owner) if customer == Some(owner) => {}
            Owner::Customer(_) => return Err(methods::of_another(customer)),
            Owner::Gone | Owner::Spent => return Err(methods::used()),
        }
        Ok(Method { id: id.to_owned(), token: kept.token.clone(), behaviour: behaviour(&kept.token)? })
    }

    /// What a bare token becomes when it is kept for a customer; one that is kept already stays itself.
    fn keep(&self, method: &Method, customer: Option<&str>) -> Option<KeptMethod> {
        let owner = Owner::Customer(customer?.to_owned());
        match self.own().and_then(|own| own.methods.find(&method.id)) {
            Some(kept) if kept.owner == owner => None,
            Some(kept) => Some(KeptMethod { owner, ..KeptMethod::clone(kept) }),
            None => Some(self.new_method(&method.token, owner)),
        }
    }

    /// A method of nobody's is spent by one use; a test token is another method each time.
    fn spend(&self, method: &Method) -> Option<KeptMethod> {
        let kept = self.own()?.methods.find(&method.id)?;
        (kept.owner == Owner::Nobody).then(|| KeptMethod { owner: Owner::Spent, ..KeptMethod::clone(kept) })
    }

    fn new_method(&self, token: &str, owner: Owner) -> KeptMethod {
        let (id, token) = (self.new_id("pm"), token.to_owned());
        let metadata = std::collections::BTreeMap::new();
        KeptMethod { id, created: self.now, token, owner, renewals: 0, metadata }
    }

    pub(crate) fn new_id(&self, prefix: &str) -> String {
        mint::object(prefix, self.books.salt(), self.books.births())
    }

    /// A customer exists when it is named, unless it was deleted.
    fn check_customer(&self, id: Option<&str>) -> Result<(), Problem> {
        let known = id.and_then(|id| self.own()?.customers.find(id));
        match known.filter(|customer| customer.is_deleted) {
            Some(customer) => {
                let missing = Problem::no_such(Noun::Customer, "customer", &customer.id);
                Err(missing.with_status(400))
            }
            None => Ok(()),
        }
    }

    /// The page where a customer is asker about an intent with this secret.
    fn challenge(&self, client_secret: &str, return_url: Option<String>) -> crate::intent::Challenge {
        let (scheme, host) = match self.host {
            Some(host) => ("http", host),
            None => ("https", "sandbox.invalid"),
        };
        let url = format!("{scheme}://{host}/challenge/{client_secret}");
        crate::intent::Challenge { url, return_url, key: self.key.map(str::to_owned) }
    }
}

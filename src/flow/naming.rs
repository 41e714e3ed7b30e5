//! Naming: who is charged, and by what, where a payment names a customer or a payment method that is known here.
//! What is found is the payment's own from then on.

use super::{FlowError, payments::Request};
use crate::{
    domain::payment::Method,
    store::{AllKnown, Known, KnownMethod, Names},
};
use dunlin_jobs::{Currency, CustomerId, MethodId};

/// What a payment is made with, once nothing is left to be looked up.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) currency: Currency,
    pub(super) method: Method,
    pub(super) method_id: Option<MethodId>,
    pub(super) gateway: Option<String>,
    pub(super) customer: Option<String>,
}

/// What the requests name. A token and a customer of the caller's own are names of nothing here.
pub(super) fn names<'a>(requests: impl Iterator<Item = &'a Request>) -> Names {
    let mut names = Names::default();
    for request in requests {
        let method = request.method_id();
        names.methods.extend(method);
        if let Some(id) = request.customer_id() {
            names.customers.insert(id);
        } else if method.is_none() && is_needed(request) {
            names.external_ids.extend(request.customer.clone());
        }
    }
    names
}

/// Whether the request means something else when what is known has changed.
fn is_needed(request: &Request) -> bool {
    request.method.is_none() || request.currency.is_none() || request.method_id().is_some()
}

/// Puts what is known where the request leaves it out; a request that contradicts it is refused.
pub(super) fn find(request: &Request, all: &AllKnown) -> Result<Found, FlowError> {
    let by_id = match request.customer_id() {
        Some(id) => Some(all.customers.get(&id).ok_or_else(|| no_customer(id))?),
        None => None,
    };
    let customer = by_id.or_else(|| all.external_ids.get(request.customer.as_ref()?));
    match (&request.method, request.method_id()) {
        (Some(method), None) => Ok(Found {
            currency: currency(request, customer)?,
            method: method.clone(),
            method_id: None,
            gateway: request.gateway.clone(),
            customer: request.customer.clone(),
        }),
        (_, Some(id)) => {
            let known = all.methods.get(&id).ok_or_else(no_method)?;
            check_customer(request, known)?;
            take(request, known)
        }
        (None, None) => take(request, customer.ok_or_else(|| unknown_customer(request))?),
    }
}

/// The request with a customer's method, the one that it means.
fn take(request: &Request, known: &Known) -> Result<Found, FlowError> {
    let Some(KnownMethod { id, method, account, attached }) = &known.method else {
        let customer = known.customer;
        return Err(invalid(
            "method",
            format!("{customer} has no payment method: attach one to the customer, or send one here"),
        ));
    };
    if !attached {
        let detail = format!("{id} is detached: leave it out for the customer's default, or name another");
        return Err(invalid("method.payment_method", detail));
    }
    let own = request.method.as_ref().and_then(|method| method.gateway_customer.as_ref());
    if own.is_some() && own != method.gateway_customer.as_ref() {
        let detail = format!("{id} has its own: leave this out");
        return Err(invalid("method.gateway_customer", detail));
    }
    if request.gateway.as_ref().is_some_and(|gateway| gateway != account) {
        let detail = format!("{id} is of the gateway account {account:?}: leave this out, or send that");
        return Err(invalid("gateway", detail));
    }
    Ok(Found {
        currency: currency(request, Some(known))?,
        method: method.clone(),
        method_id: Some(*id),
        gateway: Some(account.clone()),
        customer: request.customer.clone().or_else(|| Some(known.customer.to_string())),
    })
}

/// A method is charged for its own customer, by whichever of their ids.
fn check_customer(request: &Request, known: &Known) -> Result<(), FlowError> {
    let Some(named) = &request.customer else { return Ok(()) };
    if request.customer_id() == Some(known.customer) || known.external_id.as_ref() == Some(named) {
        return Ok(());
    }
    let detail = format!(
        "the payment method is of {}, not of this customer: leave one of the two out, or send what goes together",
        known.customer
    );
    Err(invalid("customer", detail))
}

fn currency(request: &Request, customer: Option<&Known>) -> Result<Currency, FlowError> {
    request.currency.or_else(|| customer?.currency).ok_or_else(|| {
        let detail = "send an ISO 4217 code such as \"EUR\": it can be left out only for a customer known here who has one";
        invalid("currency", detail.to_owned())
    })
}

fn no_customer(id: CustomerId) -> FlowError {
    invalid(
        "customer",
        format!("there is no customer {id}: make one by POST /v1/customers, or send your own id"),
    )
}

fn no_method() -> FlowError {
    let detail =
        "there is no such payment method: attach it to a customer first, or send the gateway's token";
    invalid("method.payment_method", detail.to_owned())
}

fn unknown_customer(request: &Request) -> FlowError {
    let detail = match &request.customer {
        Some(_) => {
            "no customer has this id or external_id, so there is no payment method to take: send one here, or \
                    make the customer and attach one"
        }
        None => "send a payment method, or name a customer who has one",
    };
    invalid("method", detail.to_owned())
}

fn invalid(field: &str, detail: String) -> FlowError {
    FlowError::Invalid { field: field.to_owned(), detail }
}

impl Request {
    /// The customer, where it is one of ours that is named.
    fn customer_id(&self) -> Option<CustomerId> {
        self.customer.as_ref()?.parse().ok()
    }

    /// The payment method, where it is one of ours that is named.
    fn method_id(&self) -> Option<MethodId> {
        self.method.as_ref()?.payment_method.parse().ok()
    }
}

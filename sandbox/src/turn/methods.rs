//! What the calls on payment methods decide: tokens only, never a card's number.

use super::{Asker, Turn};
use crate::{
    debit,
    form::{Form, Shape},
    kept_method::{KeptMethod, Owner},
    kind::Kind,
    method::Behaviour,
    noun::Noun,
    params,
    problem::Problem,
    test_card,
};
use std::sync::Arc;

const CREATE: &[(&str, Shape)] = &[
    ("billing_details", Shape::Map),
    ("card", Shape::Keys(&["token"])),
    ("expand", Shape::List),
    ("metadata", Shape::Map),
    ("type", Shape::One),
];

pub(super) fn create(asker: Asker<'_>, form: &Form) -> Result<Turn, Problem> {
    if let Some((name, _)) = form.inner("card").find(|(name, _)| *name != "token") {
        let message = "Sending credit card numbers directly to the API is unsafe, and the sandbox takes none. \
                       Send a test token: card[token]=tok_visa.";
        return Err(Problem::wrong(&format!("card[{name}]"), message).with_status(402));
    }
    form.check(CREATE)?;
    match form.text("type").map(Kind::named) {
        None => return Err(Problem::missing("type")),
        Some(Some(Kind::Card)) => {}
        Some(_) => {
            let message =
                "The sandbox makes payment methods of cards alone; attach a token of a bank account.";
            return Err(Problem::wrong("type", message));
        }
    }
    let (_, token) = form.inner("card").last().ok_or_else(|| Problem::missing("card"))?;
    let card = token.strip_prefix("tok_").map(|name| format!("pm_card_{name}"));
    let card = card.filter(|card| Behaviour::of(card).is_some() && debit::kind(card) == Kind::Card);
    let card = card.ok_or_else(|| {
        Problem::parameter("resource_missing", "card[token]", format!("No such token: '{token}'"))
    })?;
    let mut method = asker.new_method(&card, Owner::Nobody);
    params::merge(&mut method.metadata, params::changes(form)?)?;
    Ok(Turn::done(method))
}

pub(super) fn update(asker: Asker<'_>, id: &str, form: &Form) -> Result<Turn, Problem> {
    form.check(&[("expand", Shape::List), ("metadata", Shape::Map)])?;
    let mut method = KeptMethod::clone(find(asker, id)?);
    params::merge(&mut method.metadata, params::changes(form)?)?;
    Ok(Turn::done(method))
}

pub(super) fn attach(asker: Asker<'_>, id: &str, form: &Form) -> Result<Turn, Problem> {
    form.check(&[("customer", Shape::One), ("expand", Shape::List)])?;
    let customer = form.text("customer").ok_or_else(|| Problem::missing("customer"))?;
    asker.check_customer(Some(customer))?;
    let token = asker.own().and_then(|own| own.methods.find(id)).map_or(id, |kept| kept.token.as_str());
    if let Some(decline) = token.strip_prefix("pm_card_").and_then(test_card::attach_decline) {
        return Err(Problem::declined(decline));
    }
    let owner = Owner::Customer(customer.to_owned());
    let method = match asker.own().and_then(|own| own.methods.find(id)) {
        None if Behaviour::of(id).is_some() => asker.new_method(id, owner),
        None => return Err(Problem::no_such(Noun::Method, "payment_method", id)),
        Some(kept) => match &kept.owner {
            Owner::Nobody => KeptMethod { owner, ..KeptMethod::clone(kept) },
            Owner::Customer(known) if known == customer => KeptMethod::clone(kept),
            Owner::Customer(_) => {
                return Err(Problem::invalid(
                    "The payment method you provided has already been attached to a customer.",
                ));
            }
            Owner::Gone | Owner::Spent => return Err(Problem::invalid(USED)),
        },
    };
    Ok(Turn::done(method))
}

pub(super) fn detach(asker: Asker<'_>, id: &str, form: &Form) -> Result<Turn, Problem> {
    form.check(&[("expand", Shape::List)])?;
    let kept = find(asker, id)?;
    if kept.customer().is_none() {
        return Err(Problem::invalid(
            "The payment method you provided is not attached to a customer so detachment is impossible.",
        ));
    }
    Ok(Turn::done(KeptMethod { owner: Owner::Gone, ..KeptMethod::clone(kept) }))
}

fn find<'a>(asker: Asker<'a>, id: &str) -> Result<&'a KeptMethod, Problem> {
    let found = asker.books.account(asker.account).and_then(|own| own.methods.find(id));
    found.map(Arc::as_ref).ok_or_else(|| Problem::no_such(Noun::Method, "payment_method", id))
}

pub(super) fn of_another(customer: Option<&str>) -> Problem {
    Problem::wrong(
        "payment_method",
        match customer {
            None => {
                "The PaymentMethod you provided is attached to a customer so for security purposes you must provide \
                 the customer in the request."
            }
            Some(_) => "The PaymentMethod you provided does not belong to the customer of the request.",
        },
    )
}

const USED: &str = "This PaymentMethod was previously used without being attached to a Customer or was detached from a \
                    Customer, and may not be used again.";

/// A method that was used once without a customer, or that was detached. Stripe names neither code nor parameter.
pub(super) fn used() -> Problem {
    Problem::invalid(
        "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a \
         connected account without Customer attachment, or was detached from a Customer. It may not be used again. To \
         use a PaymentMethod multiple times, you must attach it to a Customer first.",
    )
}

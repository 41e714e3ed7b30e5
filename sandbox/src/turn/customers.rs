//! What the calls on customers decide.

use super::{Asker, Turn};
use crate::{
    customer::Customer,
    form::{Form, Shape},
    kept_method::{KeptMethod, Owner},
    noun::Noun,
    params,
    problem::Problem,
};
use std::{collections::BTreeMap, sync::Arc};

const WRITE: &[(&str, Shape)] = &[
    ("description", Shape::Free),
    ("email", Shape::Free),
    ("expand", Shape::List),
    ("invoice_settings", Shape::Keys(&["default_payment_method"])),
    ("metadata", Shape::Map),
    ("name", Shape::Free),
    ("payment_method", Shape::One),
    ("phone", Shape::Free),
];
const MAX_TEXT: usize = 5000;

pub(super) fn create(asker: Asker<'_>, form: &Form) -> Result<Turn, Problem> {
    let newborn = Customer {
        id: asker.new_id("cus"),
        created: asker.now,
        name: None,
        email: None,
        phone: None,
        description: None,
        metadata: BTreeMap::new(),
        default_method: None,
        is_deleted: false,
    };
    let customer = written(newborn, form)?;
    let kept = match form.text("payment_method") {
        Some(id) => asker.keep(&asker.method(id, Some(&customer.id))?, Some(&customer.id)),
        None => None,
    };
    Ok(Turn::done(customer).with(kept))
}

pub(super) fn update(asker: Asker<'_>, id: &str, form: &Form) -> Result<Turn, Problem> {
    if form.text("payment_method").is_some() {
        return Err(Problem::unknown("payment_method"));
    }
    Ok(Turn::done(written(Customer::clone(find(asker, id)?), form)?))
}

/// Deletes a customer and lets go of its payment methods.
pub(super) fn delete(asker: Asker<'_>, id: &str, form: &Form) -> Result<Turn, Problem> {
    form.check(&[])?;
    let customer = Customer { is_deleted: true, ..Customer::clone(find(asker, id)?) };
    let mut turn = Turn::done(customer);
    if let Some(own) = asker.own() {
        let kept = own.methods.of(id).iter().filter_map(|position| own.methods.at(*position));
        let gone = kept.map(|kept| KeptMethod { owner: Owner::Gone, ..KeptMethod::clone(kept) });
        turn.objects.extend(gone.map(Into::into));
    }
    Ok(turn)
}

fn find<'a>(asker: Asker<'a>, id: &str) -> Result<&'a Customer, Problem> {
    let found = asker.books.account(asker.account).and_then(|own| own.customers.find(id));
    let found = found.filter(|customer| !customer.is_deleted);
    found.map(Arc::as_ref).ok_or_else(|| Problem::no_such(Noun::Customer, "id", id))
}

fn written(mut customer: Customer, form: &Form) -> Result<Customer, Problem> {
    form.check(WRITE)?;
    let write = |name: &str, old: Option<String>| match form.text(name) {
        Some(text) if text.chars().count() > MAX_TEXT => Err(params::too_long(name, MAX_TEXT)),
        // An empty text takes away what was there.
        Some(text) => Ok(Some(text.to_owned()).filter(|text| !text.is_empty())),
        None => Ok(old),
    };
    customer.name = write("name", customer.name)?;
    customer.email = write("email", customer.email)?;
    customer.phone = write("phone", customer.phone)?;
    customer.description = write("description", customer.description)?;
    let default_method = form.inner("invoice_settings").last().map(|(_, id)| id.to_owned());
    customer.default_method = default_method.or(customer.default_method);
    params::merge(&mut customer.metadata, params::changes(form)?)?;
    Ok(customer)
}

//! What the calls on setup intents decide.

use super::{Asker, Turn, attempt};
use crate::{
    form::{Form, Shape},
    intent::Usage,
    mint,
    noun::Noun,
    params,
    problem::Problem,
    setup::{Setup, SetupStatus},
};
use std::sync::Arc;

const CREATE: &[(&str, Shape)] = &[
    ("allowed_payment_method_types", Shape::List),
    ("automatic_payment_methods", Shape::Keys(&["allow_redirects", "enabled"])),
    ("confirm", Shape::One),
    ("customer", Shape::One),
    ("description", Shape::One),
    ("expand", Shape::List),
    ("metadata", Shape::Map),
    ("payment_method", Shape::One),
    ("payment_method_types", Shape::List),
    ("return_url", Shape::One),
    ("usage", Shape::One),
];
const CONFIRM: &[(&str, Shape)] =
    &[("expand", Shape::List), ("payment_method", Shape::One), ("return_url", Shape::One)];

pub(super) fn create(asker: Asker<'_>, form: &Form) -> Result<Turn, Problem> {
    form.check(CREATE)?;
    asker.check_customer(form.text("customer"))?;
    let id = asker.new_id("seti");
    let setup = Setup {
        client_secret: mint::client_secret(asker.books.salt(), &id),
        id,
        created: asker.now,
        customer: form.owned("customer"),
        description: params::description(form)?,
        metadata: params::metadata(form)?,
        types: params::types(form)?,
        usage: params::usage(form, "usage")?.unwrap_or(Usage::OffSession),
        status: SetupStatus::RequiresPaymentMethod { failure: None },
    };
    let method = match form.text("payment_method") {
        Some(id) => Some(asker.method(id, setup.customer.as_deref())?),
        None => None,
    };
    match (form.flag("confirm")?, method) {
        (true, None) => Err(Problem::missing("payment_method")),
        (true, Some(method)) => Ok(attempt::begin_setup(asker, &setup, &method, params::return_url(form)?)),
        (false, Some(method)) => {
            Ok(Turn::done(setup.has_status(SetupStatus::RequiresConfirmation { method: method.id })))
        }
        (false, None) => Ok(Turn::done(setup)),
    }
}

pub(super) fn confirm(asker: Asker<'_>, id: &str, form: &Form) -> Result<Turn, Problem> {
    form.check(CONFIRM)?;
    let setup = find(asker, id)?;
    if !setup.status.is_open() {
        return Err(closed("confirm", setup));
    }
    let method = form.text("payment_method").or_else(|| setup.status.method());
    let method = method.ok_or_else(|| {
        let message = "You cannot confirm this SetupIntent because it's missing a payment method.";
        Problem::unexpected_setup(setup, message.to_owned())
    })?;
    let method = asker.method(method, setup.customer.as_deref())?;
    Ok(attempt::begin_setup(asker, setup, &method, params::return_url(form)?))
}

pub(super) fn cancel(asker: Asker<'_>, id: &str, form: &Form) -> Result<Turn, Problem> {
    let (setup, reason) = (find(asker, id)?, params::cancellation_reason(form)?);
    if !setup.status.is_open() {
        return Err(closed("cancel", setup));
    }
    Ok(Turn::done(setup.has_status(SetupStatus::Canceled { reason })))
}

fn find<'a>(asker: Asker<'a>, id: &str) -> Result<&'a Setup, Problem> {
    let found = asker.books.account(asker.account).and_then(|own| own.setups.find(id));
    found.map(Arc::as_ref).ok_or_else(|| Problem::no_such(Noun::Setup, "intent", id))
}

fn closed(verb: &str, setup: &Setup) -> Problem {
    let status = setup.status.name();
    Problem::unexpected_setup(
        setup,
        format!("You cannot {verb} this SetupIntent because it has a status of {status}."),
    )
}

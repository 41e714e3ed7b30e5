//! What the calls on payment intents decide.

use super::{Asker, Method, Turn, attempt};
use crate::{
    debit,
    form::Form,
    intent::{Facts, Intent, Status},
    kind::Kind,
    mint,
    noun::Noun,
    params::{self, Confirm, Create, Update},
    problem::Problem,
};
use std::sync::Arc;

pub(super) fn create(asker: Asker<'_>, form: &Form) -> Result<Turn, Problem> {
    let wanted = Create::read(form)?;
    created(asker, wanted).map_err(Problem::executed)
}

fn created(asker: Asker<'_>, wanted: Create) -> Result<Turn, Problem> {
    asker.check_customer(wanted.customer.as_deref())?;
    let id = mint::intent(asker.books.salt(), asker.books.intents());
    let facts = Facts {
        client_secret: mint::client_secret(asker.books.salt(), &id),
        id,
        amount: wanted.amount,
        currency: wanted.currency,
        created: asker.now,
        customer: wanted.customer,
        description: wanted.description,
        metadata: wanted.metadata,
        confirmation_method: wanted.confirmation_method,
        types: wanted.types,
        setup_future_usage: wanted.setup_future_usage,
        statement_descriptor_suffix: wanted.statement_descriptor_suffix,
    };
    let method = match wanted.method {
        Some(id) => Some(usable(asker, &facts, &id)?),
        None => None,
    };
    let status = match &method {
        Some(method) => Status::RequiresConfirmation { method: method.id.clone() },
        None => Status::RequiresPaymentMethod { failure: None },
    };
    let intent = Intent { facts: Arc::new(facts), attempts: 0, status };
    match (wanted.confirm, method) {
        (None, _) => Ok(Turn::done(intent)),
        (Some(_), None) => Err(Problem::missing("payment_method")),
        (Some(how), Some(method)) => Ok(attempt::begin(asker, &intent, method, how)),
    }
}

pub(super) fn update(asker: Asker<'_>, id: &str, form: &Form) -> Result<Turn, Problem> {
    let intent = find(asker, id)?;
    let wanted = Update::read(form)?;
    let mut facts = Facts::clone(&intent.facts);
    params::merge(&mut facts.metadata, wanted.metadata)?;
    facts.description = wanted.description.or(facts.description);
    facts.setup_future_usage = wanted.setup_future_usage.or(facts.setup_future_usage);
    Ok(Turn::done(Intent { facts: Arc::new(facts), ..intent.clone() }))
}

pub(super) fn confirm(asker: Asker<'_>, id: &str, form: &Form) -> Result<Turn, Problem> {
    confirm_as(asker, id, Confirm::read(form)?).map_err(Problem::executed)
}

pub(super) fn confirm_as(asker: Asker<'_>, id: &str, how: Confirm) -> Result<Turn, Problem> {
    let intent = find(asker, id)?;
    if let Status::Succeeded { .. } = intent.status {
        let message = "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed.";
        return Err(Problem::unexpected_state(intent, message.to_owned()));
    }
    if !intent.status.is_open() {
        return Err(closed("confirm", intent));
    }
    let Some(method) = how.method.as_deref().or_else(|| intent.status.method()) else {
        let message = "You cannot confirm this PaymentIntent because it's missing a payment method.";
        return Err(Problem::unexpected_state(intent, message.to_owned()));
    };
    let method = usable(asker, &intent.facts, method)?;
    match how.setup_future_usage {
        None => Ok(attempt::begin(asker, intent, method, how)),
        usage => {
            let facts = Facts { setup_future_usage: usage, ..Facts::clone(&intent.facts) };
            let intent = Intent { facts: Arc::new(facts), ..intent.clone() };
            Ok(attempt::begin(asker, &intent, method, how))
        }
    }
}

pub(super) fn cancel(asker: Asker<'_>, id: &str, form: &Form) -> Result<Turn, Problem> {
    let reason = params::cancellation_reason(form)?;
    canceled(asker, id, reason).map_err(Problem::executed)
}

fn canceled(asker: Asker<'_>, id: &str, reason: Option<String>) -> Result<Turn, Problem> {
    let intent = find(asker, id)?;
    if !intent.status.is_open() {
        return Err(closed("cancel", intent));
    }
    let failure = intent.status.failure().cloned();
    Ok(Turn::done(intent.next(intent.attempts, Status::Canceled { at: asker.now, reason, failure })))
}

fn find<'a>(asker: Asker<'a>, id: &str) -> Result<&'a Intent, Problem> {
    let found = asker.books.intent(asker.account, id);
    found.map(Arc::as_ref).ok_or_else(|| Problem::no_such(Noun::Intent, "intent", id))
}

fn closed(verb: &str, intent: &Intent) -> Problem {
    let status = intent.status.name();
    let message = format!("You cannot {verb} this PaymentIntent because it has a status of {status}.");
    Problem::unexpected_state(intent, message)
}

/// The method of an id, if the intent takes its kind and its customer has it.
fn usable(asker: Asker<'_>, facts: &Facts, id: &str) -> Result<Method, Problem> {
    let method = asker.method(id, facts.customer.as_deref())?;
    let kind = debit::kind(&method.token);
    if !kind.takes(&facts.currency) {
        let message = format!(
            "The currency provided ({}) is invalid for the PaymentMethod type {}.",
            facts.currency,
            kind.name()
        );
        return Err(Problem::parameter("payment_intent_incompatible_payment_method", "currency", message));
    }
    // The sandbox's own tokens pass for every type.
    if facts.types.is_empty() || facts.types.contains(&kind) || method.token.starts_with("pm_sandbox_") {
        return Ok(method);
    }
    let allowed: Vec<_> = facts.types.iter().copied().map(Kind::name).collect();
    let message = format!(
        "The PaymentMethod provided ({}) is not allowed for this PaymentIntent. This PaymentIntent takes: {}.",
        kind.name(),
        allowed.join(", ")
    );
    Err(Problem::parameter("payment_intent_incompatible_payment_method", "payment_method", message))
}

//! What the calls on refunds decide: never more than is left.

use super::{Asker, Turn, disputes};
use crate::{
    charge::{Charge, ChargeState},
    form::{Form, Shape},
    intent::Status,
    noun::Noun,
    params,
    problem::Problem,
    refund::{Refund, RefundState},
};
use std::{collections::BTreeMap, sync::Arc};

const CREATE: &[(&str, Shape)] = &[
    ("amount", Shape::One),
    ("charge", Shape::One),
    ("expand", Shape::List),
    ("metadata", Shape::Map),
    ("payment_intent", Shape::One),
    ("reason", Shape::One),
];
const REASONS: [&str; 3] = ["duplicate", "fraudulent", "requested_by_customer"];

pub(super) fn create(asker: Asker<'_>, form: &Form) -> Result<Turn, Problem> {
    form.check(CREATE)?;
    let amount = params::optional_amount(form)?;
    let reason = form.owned("reason");
    if let Some(other) = reason.as_deref().filter(|reason| !REASONS.contains(reason)) {
        return Err(Problem::wrong(
            "reason",
            format!("Invalid reason: must be one of {}; got {other}", REASONS.join(", ")),
        ));
    }
    let metadata = params::metadata(form)?;
    let charge = charge(asker, form).map_err(Problem::executed)?;
    refunded(asker, charge, amount, reason, metadata).map_err(Problem::executed)
}

/// A refund of a charge, as far as there is anything to give back.
pub(crate) fn refunded(
    asker: Asker<'_>,
    charge: &Charge,
    amount: Option<u64>,
    reason: Option<String>,
    metadata: BTreeMap<String, String>,
) -> Result<Turn, Problem> {
    if disputes::holds(asker.own(), charge) {
        return Err(Problem::charged_back(&charge.id));
    }
    let amount = grant(charge, amount)?;
    let state = RefundState::of(&charge.token, asker.now);
    let refund = Refund {
        id: asker.new_id("re"),
        charge: charge.id.clone(),
        intent: charge.intent.id.clone(),
        created: asker.now,
        amount,
        currency: charge.intent.currency.clone(),
        reason,
        metadata,
        key: asker.key.map(str::to_owned),
        state,
    };
    let refunded = charge.refunded.saturating_add(amount);
    Ok(Turn::done(refund).with(Some(Charge { refunded, ..Charge::clone(charge) })))
}

pub(super) fn update(asker: Asker<'_>, id: &str, form: &Form) -> Result<Turn, Problem> {
    form.check(&[("expand", Shape::List), ("metadata", Shape::Map)])?;
    let found = asker.books.account(asker.account).and_then(|own| own.refunds.find(id));
    let refund = found.ok_or_else(|| Problem::no_such(Noun::Refund, "id", id))?;
    let mut refund = Refund::clone(refund);
    params::merge(&mut refund.metadata, params::changes(form)?)?;
    Ok(Turn::done(refund))
}

/// The charge that is meant, by its own name or by its intent's.
fn charge<'a>(asker: Asker<'a>, form: &Form) -> Result<&'a Charge, Problem> {
    let own = asker.books.account(asker.account);
    match (form.text("charge"), form.text("payment_intent")) {
        (None, None) => Err(Problem::parameter(
            "parameter_missing",
            "charge",
            "One of the following params should be provided for this request: payment_intent or charge.",
        )),
        (Some(id), None) => {
            let found = own.and_then(|own| own.charges.find(id));
            found.map(Arc::as_ref).ok_or_else(|| Problem::no_such(Noun::Charge, "charge", id))
        }
        (None, Some(id)) => {
            let intent = asker.books.intent(asker.account, id);
            let intent = intent.ok_or_else(|| Problem::no_such(Noun::Intent, "payment_intent", id))?;
            let paid = match &intent.status {
                Status::Succeeded { charge, .. } | Status::Processing { charge, .. } => Some(charge.as_str()),
                Status::RequiresPaymentMethod { .. }
                | Status::RequiresConfirmation { .. }
                | Status::RequiresAction { .. }
                | Status::Canceled { .. } => None,
            };
            let charge = paid.and_then(|charge| own.and_then(|own| own.charges.find(charge)));
            charge.map(Arc::as_ref).ok_or_else(|| {
                let message =
                    format!("This PaymentIntent ({id}) does not have a successful charge to refund.");
                Problem::wrong("payment_intent", message)
            })
        }
        (Some(_), Some(_)) => Err(Problem::wrong(
            "charge",
            "You may only specify one of these parameters: charge, payment_intent.",
        )),
    }
}

/// How much is given back of a charge, if it can be.
fn grant(charge: &Charge, wanted: Option<u64>) -> Result<u64, Problem> {
    match charge.state {
        ChargeState::Succeeded => {}
        ChargeState::Pending => {
            let message = "The payment has not settled yet, so that nothing can be refunded.";
            return Err(Problem::parameter("charge_not_refundable", "charge", message));
        }
        ChargeState::Failed(_) => {
            let message = format!("Charge {} has failed, so that nothing can be refunded.", charge.id);
            return Err(Problem::parameter("charge_not_refundable", "charge", message));
        }
    }
    let left = charge.left();
    if left == 0 {
        return Err(Problem::refunded_already(&charge.id));
    }
    match wanted {
        Some(amount) if amount > left => {
            let message =
                format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left})");
            Err(Problem::parameter("amount_too_large", "amount", message))
        }
        amount => Ok(amount.unwrap_or(left)),
    }
}

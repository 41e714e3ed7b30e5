//! A view is how an intent looks on Stripe's wire.

use crate::{
    decline::Wording,
    intent::{Confirmation, Failure, Intent, Status},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Stripe's intent object, as far as charging needs it.
#[derive(Debug, Serialize)]
pub(crate) struct IntentView<'a> {
    id: &'a str,
    object: &'static str,
    amount: u64,
    amount_capturable: u64,
    amount_received: u64,
    canceled_at: Option<i64>,
    cancellation_reason: Option<&'a str>,
    capture_method: &'static str,
    client_secret: &'a str,
    confirmation_method: Confirmation,
    created: i64,
    currency: &'a str,
    customer: Option<&'a str>,
    description: Option<&'a str>,
    last_payment_error: Option<FailureView<'a>>,
    latest_charge: Option<&'a str>,
    livemode: bool,
    metadata: &'a BTreeMap<String, String>,
    next_action: Option<ActionView<'a>>,
    payment_method: Option<&'a str>,
    payment_method_types: [&'static str; 1],
    status: &'static str,
}

pub(crate) fn intent(intent: &Intent) -> IntentView<'_> {
    let (facts, status) = (&*intent.facts, &intent.status);
    let (canceled_at, cancellation_reason) = match status {
        Status::Canceled { at, reason, .. } => (Some(*at), reason.as_deref()),
        Status::RequiresPaymentMethod { .. }
        | Status::RequiresConfirmation { .. }
        | Status::RequiresAction { .. }
        | Status::Succeeded { .. } => (None, None),
    };
    IntentView {
        id: &facts.id,
        object: "payment_intent",
        amount: facts.amount,
        amount_capturable: 0,
        amount_received: received(status),
        canceled_at,
        cancellation_reason,
        capture_method: "automatic",
        client_secret: &facts.client_secret,
        confirmation_method: facts.confirmation_method,
        created: facts.created,
        currency: &facts.currency,
        customer: facts.customer.as_deref(),
        description: facts.description.as_deref(),
        last_payment_error: status.failure().map(failure),
        latest_charge: status.latest_charge(),
        livemode: false,
        metadata: &facts.metadata,
        next_action: action(intent),
        payment_method: status.method(),
        payment_method_types: ["card"],
        status: status.name(),
    }
}

fn received(status: &Status) -> u64 {
    match status {
        Status::Succeeded { received, .. } => *received,
        Status::RequiresPaymentMethod { .. }
        | Status::RequiresConfirmation { .. }
        | Status::RequiresAction { .. }
        | Status::Canceled { .. } => 0,
    }
}

#[derive(Debug, Serialize)]
struct ActionView<'a> {
    redirect_to_url: RedirectView<'a>,
    r#type: &'static str,
}

#[derive(Debug, Serialize)]
struct RedirectView<'a> {
    return_url: Option<&'a str>,
    url: String,
}

fn action(intent: &Intent) -> Option<ActionView<'_>> {
    let return_url = match &intent.status {
        Status::RequiresAction { return_url, .. } => return_url.as_deref(),
        Status::RequiresPaymentMethod { .. }
        | Status::RequiresConfirmation { .. }
        | Status::Succeeded { .. }
        | Status::Canceled { .. } => return None,
    };
    let url = format!("https://sandbox.invalid/3ds/{}", intent.id());
    Some(ActionView { redirect_to_url: RedirectView { return_url, url }, r#type: "redirect_to_url" })
}

#[derive(Debug, Serialize)]
struct FailureView<'a> {
    charge: &'a str,
    #[serde(flatten)]
    wording: Wording,
    payment_method: MethodView<'a>,
    r#type: &'static str,
}

#[derive(Debug, Serialize)]
struct MethodView<'a> {
    id: &'a str,
    object: &'static str,
    r#type: &'static str,
}

fn failure(failure: &Failure) -> FailureView<'_> {
    FailureView {
        charge: &failure.charge,
        wording: failure.decline.wording(),
        payment_method: MethodView { id: &failure.method, object: "payment_method", r#type: "card" },
        r#type: "card_error",
    }
}

/// The body of a 402: the failure with the intent it happened to.
#[derive(Debug, Serialize)]
pub(crate) struct DeclineView<'a> {
    error: DeclinedIntentView<'a>,
}

#[derive(Debug, Serialize)]
struct DeclinedIntentView<'a> {
    #[serde(flatten)]
    failure: Option<FailureView<'a>>,
    payment_intent: IntentView<'a>,
}

pub(crate) fn decline(declined: &Intent) -> DeclineView<'_> {
    let failure = declined.status.failure().map(failure);
    DeclineView { error: DeclinedIntentView { failure, payment_intent: intent(declined) } }
}

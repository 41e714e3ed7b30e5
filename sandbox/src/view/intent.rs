//! An intent's view: the one that is asked for most, so it is written without detours.

use super::others::{named_method, setup};
use crate::{
    debit,
    decline::Wording,
    intent::{Cause, Confirmation, Failure, Intent, Status, Usage},
    kind::Kind,
    object::Object,
    setup::Setup,
};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Stripe's intent object; what nothing here fills is null.
#[derive(Debug, Serialize)]
pub(crate) struct IntentView<'a> {
    id: &'a str,
    object: &'static str,
    amount: u64,
    amount_capturable: u64,
    amount_details: Tip,
    amount_received: u64,
    application: (),
    application_fee_amount: (),
    automatic_payment_methods: Option<Automatic>,
    canceled_at: Option<i64>,
    cancellation_reason: Option<&'a str>,
    capture_method: &'static str,
    client_secret: &'a str,
    confirmation_method: Confirmation,
    created: i64,
    currency: &'a str,
    customer: Option<&'a str>,
    description: Option<&'a str>,
    invoice: (),
    last_payment_error: Option<FailureView<'a>>,
    latest_charge: Option<&'a str>,
    livemode: bool,
    metadata: &'a BTreeMap<String, String>,
    next_action: Option<ActionView<'a>>,
    on_behalf_of: (),
    payment_method: Option<&'a str>,
    payment_method_configuration_details: (),
    payment_method_options: Empty,
    payment_method_types: Vec<Kind>,
    processing: (),
    receipt_email: (),
    review: (),
    setup_future_usage: Option<Usage>,
    shipping: (),
    source: (),
    statement_descriptor: (),
    statement_descriptor_suffix: Option<&'a str>,
    status: &'static str,
    transfer_data: (),
    transfer_group: (),
}

#[derive(Debug, Serialize)]
struct Empty {}

#[derive(Debug, Serialize)]
struct Tip {
    tip: Empty,
}

/// What stands there when the caller named no types.
#[derive(Debug, Serialize)]
struct Automatic {
    allow_redirects: &'static str,
    enabled: bool,
}

pub(crate) fn intent(intent: &Intent) -> IntentView<'_> {
    let (facts, status) = (&*intent.facts, &intent.status);
    let (canceled_at, cancellation_reason) = match status {
        Status::Canceled { at, reason, .. } => (Some(*at), reason.as_deref()),
        Status::RequiresPaymentMethod { .. }
        | Status::RequiresConfirmation { .. }
        | Status::RequiresAction { .. }
        | Status::Processing { .. }
        | Status::Succeeded { .. } => (None, None),
    };
    IntentView {
        id: &facts.id,
        object: "payment_intent",
        amount: facts.amount,
        amount_capturable: 0,
        amount_details: Tip { tip: Empty {} },
        amount_received: received(status),
        application: (),
        application_fee_amount: (),
        automatic_payment_methods: facts
            .types
            .is_empty()
            .then_some(Automatic { allow_redirects: "always", enabled: true }),
        canceled_at,
        cancellation_reason,
        capture_method: "automatic",
        client_secret: &facts.client_secret,
        confirmation_method: facts.confirmation_method,
        created: facts.created,
        currency: &facts.currency,
        customer: facts.customer.as_deref(),
        description: facts.description.as_deref(),
        invoice: (),
        last_payment_error: status.failure().map(|it| failure(it, "payment_intent")),
        latest_charge: status.latest_charge(),
        livemode: false,
        metadata: &facts.metadata,
        next_action: action(intent),
        on_behalf_of: (),
        payment_method: status.method(),
        payment_method_configuration_details: (),
        payment_method_options: Empty {},
        payment_method_types: types(&facts.types, &facts.currency),
        processing: (),
        receipt_email: (),
        review: (),
        setup_future_usage: facts.setup_future_usage,
        shipping: (),
        source: (),
        statement_descriptor: (),
        statement_descriptor_suffix: facts.statement_descriptor_suffix.as_deref(),
        status: status.name(),
        transfer_data: (),
        transfer_group: (),
    }
}

fn types(named: &[Kind], currency: &str) -> Vec<Kind> {
    if named.is_empty() {
        return Kind::ALL.into_iter().filter(|kind| kind.takes(currency)).collect();
    }
    named.to_vec()
}

fn received(status: &Status) -> u64 {
    match status {
        Status::Succeeded { received, .. } => *received,
        Status::RequiresPaymentMethod { .. }
        | Status::RequiresConfirmation { .. }
        | Status::RequiresAction { .. }
        | Status::Processing { .. }
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
    url: &'a str,
}

fn action(intent: &Intent) -> Option<ActionView<'_>> {
    let challenge = intent.status.challenge()?;
    let (return_url, url) = (challenge.return_url.as_deref(), challenge.url.as_str());
    Some(ActionView { redirect_to_url: RedirectView { return_url, url }, r#type: "redirect_to_url" })
}

/// Why an attempt failed, as intents and errors say it.
#[derive(Debug, Serialize)]
pub(super) struct FailureView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<&'a str>,
    #[serde(flatten)]
    words: Words,
    payment_method: Value,
    r#type: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Words {
    Declined(Wording),
    Other { code: String, message: &'static str },
}

pub(super) fn failure<'a>(failure: &'a Failure, intent: &str) -> FailureView<'a> {
    let (words, r#type) = match failure.cause {
        Cause::Declined(decline) => (Words::Declined(decline.wording()), "card_error"),
        Cause::Returned(reason) => {
            let code = format!("{intent}_payment_attempt_failed");
            (Words::Other { code, message: reason.message() }, "invalid_request_error")
        }
        Cause::Unauthenticated => {
            let code = format!("{intent}_authentication_failure");
            let message = "The provided PaymentMethod has failed authentication. You can provide \
                           payment_method_data or a new PaymentMethod to attempt to fulfill this intent again.";
            (Words::Other { code, message }, "invalid_request_error")
        }
    };
    let payment_method = named_method(&failure.method, debit::kind(&failure.method));
    FailureView { charge: failure.charge.as_deref(), words, payment_method, r#type }
}

/// The body of a 402: the failure with the intent it happened to.
#[derive(Debug, Serialize)]
pub(crate) struct DeclineView<'a> {
    error: DeclinedView<'a>,
}

#[derive(Debug, Serialize)]
struct DeclinedView<'a> {
    #[serde(flatten)]
    failure: Option<FailureView<'a>>,
    #[serde(flatten)]
    object: Declined<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Declined<'a> {
    PaymentIntent(Box<IntentView<'a>>),
    SetupIntent(Value),
}

fn declined_setup(declined: &Setup) -> DeclineView<'_> {
    let failure = declined.status.failure().map(|it| failure(it, "setup_intent"));
    DeclineView { error: DeclinedView { failure, object: Declined::SetupIntent(setup(declined)) } }
}

fn declined_intent(declined: &Intent) -> DeclineView<'_> {
    let failure = declined.status.failure().map(|it| failure(it, "payment_intent"));
    DeclineView {
        error: DeclinedView { failure, object: Declined::PaymentIntent(Box::new(intent(declined))) },
    }
}

/// What a decline looks like, for an object that can be declined.
pub(crate) fn decline(declined: &Object) -> Option<DeclineView<'_>> {
    match declined {
        Object::Intent(intent) => Some(declined_intent(intent)),
        Object::Setup(setup) => Some(declined_setup(setup)),
        Object::Charge(_)
        | Object::Customer(_)
        | Object::Dispute(_)
        | Object::Warning(_)
        | Object::Endpoint(_)
        | Object::Method(_)
        | Object::Refund(_) => None,
    }
}

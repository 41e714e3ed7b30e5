//! The views of customers, payment methods, setups and endpoints.

use super::{charge::no_billing_details, intent::failure};
use crate::{
    customer::Customer,
    endpoint::Endpoint,
    intent::Usage,
    kept_method::KeptMethod,
    kind::Kind,
    method::Behaviour,
    mint,
    setup::{Setup, SetupStatus},
};
use serde_json::{Value, json};

/// The caller's own account, as Stripe shows it to whoever has its key.
pub(crate) fn account(id: &str) -> Value {
    json!({
        "id": id, "object": "account", "business_type": null, "capabilities": { "card_payments": "active" },
        "charges_enabled": true, "country": "DE", "default_currency": "eur", "details_submitted": true,
        "email": null, "payouts_enabled": true, "type": "standard",
    })
}

pub(crate) fn customer(customer: &Customer) -> Value {
    if customer.is_deleted {
        return json!({ "id": customer.id, "object": "customer", "deleted": true });
    }
    json!({
        "id": customer.id, "object": "customer", "address": null, "balance": 0, "created": customer.created,
        "currency": null, "default_source": null, "delinquent": false, "description": customer.description,
        "discount": null, "email": customer.email,
        "invoice_prefix": mint::likeness(&customer.id).to_ascii_uppercase().get(..8),
        "invoice_settings": {
            "custom_fields": null, "default_payment_method": customer.default_method, "footer": null,
            "rendering_options": null,
        },
        "livemode": false, "metadata": customer.metadata, "name": customer.name, "phone": customer.phone,
        "preferred_locales": [], "shipping": null, "tax_exempt": "none", "test_clock": null,
    })
}

pub(crate) fn method(method: &KeptMethod) -> Value {
    let kind = method.kind();
    let mut details = details(&method.token, kind);
    if method.renewals > 0 && kind == Kind::Card {
        details["exp_year"] = (2040 + i64::from(method.renewals)).into();
    }
    json!({
        "id": method.id, "object": "payment_method", "allow_redisplay": "unspecified",
        "billing_details": no_billing_details(), "created": method.created, "customer": method.customer(),
        "livemode": false, "metadata": method.metadata, "type": kind.name(),
        kind.name(): details,
    })
}

/// The method that an error names; a card that was kept is told from its token elsewhere.
pub(crate) fn named_method(id: &str, kind: Kind) -> Value {
    let mut method = json!({ "id": id, "object": "payment_method", "type": kind.name() });
    if kind == Kind::Card && Behaviour::of(id).is_some() {
        method["card"] = details(id, kind);
    }
    method
}

/// What can be told of a card or an account.
pub(super) fn details(token: &str, kind: Kind) -> Value {
    match kind {
        Kind::Card => {
            let (brand, last4) = match token.strip_prefix("pm_card_") {
                Some("mastercard") => ("mastercard", "4444"),
                Some("amex") => ("amex", "0005"),
                Some("pendingRefund") => ("visa", "7726"),
                Some("refundFail") => ("visa", "5126"),
                Some(_) | None => ("visa", "4242"),
            };
            json!({
                "brand": brand,
                "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
                "country": "US", "exp_month": 12, "exp_year": 2040, "fingerprint": mint::likeness(token),
                "funding": "credit", "last4": last4, "network": brand,
            })
        }
        Kind::SepaDebit => json!({
            "bank_code": "37040044", "country": token.rsplit('_').next().map(str::to_ascii_uppercase),
            "fingerprint": mint::likeness(token), "last4": "3000",
        }),
        Kind::UsBankAccount => json!({
            "account_holder_type": "individual", "account_type": "checking", "bank_name": "STRIPE TEST BANK",
            "fingerprint": mint::likeness(token), "last4": "6789", "routing_number": "110000000",
        }),
    }
}

pub(crate) fn setup(setup: &Setup) -> Value {
    let types =
        if setup.types.is_empty() { vec![Kind::Card, Kind::UsBankAccount] } else { setup.types.clone() };
    let failed = setup.status.failure().map(|it| failure(it, "setup_intent"));
    let action = setup.status.challenge().map(|challenge| {
        json!({
            "redirect_to_url": { "return_url": challenge.return_url, "url": challenge.url },
            "type": "redirect_to_url",
        })
    });
    let reason = match &setup.status {
        SetupStatus::Canceled { reason } => reason.as_deref(),
        SetupStatus::RequiresPaymentMethod { .. }
        | SetupStatus::RequiresConfirmation { .. }
        | SetupStatus::RequiresAction { .. }
        | SetupStatus::Succeeded { .. } => None,
    };
    json!({
        "id": setup.id, "object": "setup_intent", "application": null, "automatic_payment_methods": null,
        "cancellation_reason": reason, "client_secret": setup.client_secret, "created": setup.created,
        "customer": setup.customer, "description": setup.description, "flow_directions": null,
        "last_setup_error": failed, "latest_attempt": null, "livemode": false, "mandate": null,
        "metadata": setup.metadata, "next_action": action, "on_behalf_of": null,
        "payment_method": setup.status.method(), "payment_method_configuration_details": null,
        "payment_method_options": {}, "payment_method_types": types, "single_use_mandate": null,
        "status": setup.status.name(),
        "usage": match setup.usage {
            Usage::OffSession => "off_session",
            Usage::OnSession => "on_session",
        },
    })
}

/// Without its secret, which is told once.
pub(crate) fn endpoint(endpoint: &Endpoint) -> Value {
    if endpoint.is_deleted {
        return json!({ "id": endpoint.id, "object": "webhook_endpoint", "deleted": true });
    }
    json!({
        "id": endpoint.id, "object": "webhook_endpoint", "api_version": endpoint.api_version,
        "application": null, "created": endpoint.created, "description": endpoint.description,
        "enabled_events": endpoint.events, "livemode": false, "metadata": endpoint.metadata,
        "status": "enabled", "url": endpoint.url,
    })
}

/// With its secret, for whoever created it.
pub(crate) fn new_endpoint(new: &Endpoint) -> Value {
    let mut view = endpoint(new);
    if !new.is_deleted {
        view["secret"] = new.secret.clone().into();
    }
    view
}

//! The views of charges and refunds.

use super::others::details;
use crate::{
    charge::{Charge, ChargeState},
    debit,
    intent::Cause,
    kind::Kind,
    mint,
    refund::{Refund, RefundState},
};
use serde_json::{Value, json};

pub(crate) fn charge(charge: &Charge) -> Value {
    let kind = debit::kind(&charge.token);
    let failed = match charge.state {
        ChargeState::Failed(cause) => Some(failure(cause)),
        ChargeState::Pending | ChargeState::Succeeded => None,
    };
    let captured = if charge.state == ChargeState::Succeeded { charge.amount } else { 0 };
    let mut view = json!({
        "id": charge.id, "object": "charge", "amount": charge.amount, "amount_captured": captured,
        "amount_refunded": charge.refunded,
        "balance_transaction": (captured > 0).then(|| mint::booking(&charge.id)),
        "billing_details": no_billing_details(), "captured": charge.state != ChargeState::Pending,
        "created": charge.created, "currency": charge.intent.currency, "customer": charge.intent.customer,
        "description": charge.intent.description, "disputed": charge.disputed,
        "failure_code": failed.as_ref().map(|failed| &failed["code"]),
        "failure_message": failed.as_ref().map(|failed| &failed["message"]),
        "fraud_details": {}, "livemode": false, "metadata": charge.intent.metadata,
        "outcome": outcome(charge, failed.as_ref()), "paid": charge.state == ChargeState::Succeeded,
        "payment_intent": charge.intent.id, "payment_method": charge.method,
        "payment_method_details": { "type": kind.name(), kind.name(): details(&charge.token, kind) },
        "refunded": charge.refunded > 0 && charge.left() == 0,
        "statement_descriptor_suffix": charge.intent.statement_descriptor_suffix, "status": state(charge.state),
    });
    for name in UNUSED {
        view[name] = Value::Null;
    }
    view
}

/// Fields of Stripe's charge that nothing here fills.
const UNUSED: [&str; 20] = [
    "application",
    "application_fee",
    "application_fee_amount",
    "calculated_statement_descriptor",
    "destination",
    "dispute",
    "failure_balance_transaction",
    "invoice",
    "on_behalf_of",
    "order",
    "receipt_email",
    "receipt_number",
    "receipt_url",
    "review",
    "shipping",
    "source",
    "source_transfer",
    "statement_descriptor",
    "transfer_data",
    "transfer_group",
];

fn state(state: ChargeState) -> &'static str {
    match state {
        ChargeState::Pending => "pending",
        ChargeState::Succeeded => "succeeded",
        ChargeState::Failed(_) => "failed",
    }
}

/// A failure's words, as its error says them.
fn failure(cause: Cause) -> Value {
    match cause {
        Cause::Declined(decline) => serde_json::to_value(decline.wording()).unwrap_or_default(),
        Cause::Returned(reason) => json!({ "code": reason.code(), "message": reason.message() }),
        Cause::Unauthenticated => json!({ "code": null, "message": null }),
    }
}

fn outcome(charge: &Charge, failed: Option<&Value>) -> Value {
    let approved = json!({
        "advice_code": null, "network_advice_code": null, "network_decline_code": null,
        "network_status": "approved_by_network", "reason": null, "risk_level": "normal",
        "seller_message": "Payment complete.", "type": "authorized",
    });
    match (charge.state, failed) {
        (ChargeState::Succeeded, _) if debit::kind(&charge.token) == Kind::Card => approved,
        (ChargeState::Failed(Cause::Declined(decline)), _) if decline.is_blocked() => json!({
            "advice_code": null, "network_advice_code": null, "network_decline_code": null,
            "network_status": "not_sent_to_network", "reason": "highest_risk_level", "risk_level": "highest",
            "seller_message": "The gateway blocked this payment as too risky.", "type": "blocked",
        }),
        (ChargeState::Failed(Cause::Declined(_)), Some(words)) => {
            let reason = words.get("decline_code").or_else(|| words.get("code"));
            json!({
                "advice_code": words.get("advice_code"),
                "network_advice_code": words.get("network_advice_code"),
                "network_decline_code": words.get("network_decline_code"),
                "network_status": "declined_by_network", "reason": reason, "risk_level": "normal",
                "seller_message": "The bank declined the payment.", "type": "issuer_declined",
            })
        }
        (ChargeState::Pending | ChargeState::Succeeded | ChargeState::Failed(_), _) => Value::Null,
    }
}

pub(super) fn no_billing_details() -> Value {
    json!({
        "address": {
            "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null,
        },
        "email": null, "name": null, "phone": null,
    })
}

pub(crate) fn refund(refund: &Refund) -> Value {
    let mut view = json!({
        "id": refund.id, "object": "refund", "amount": refund.amount,
        "balance_transaction": mint::booking(&refund.id), "charge": refund.charge, "created": refund.created,
        "currency": refund.currency, "destination_details": {}, "metadata": refund.metadata,
        "payment_intent": refund.intent, "reason": refund.reason, "receipt_number": null,
        "source_transfer_reversal": null, "status": refund.state.name(), "transfer_reversal": null,
    });
    if refund.state == RefundState::Failed {
        view["failure_balance_transaction"] = mint::booking(&format!("{} back", refund.id)).into();
        view["failure_reason"] = "unknown".into();
    }
    view
}

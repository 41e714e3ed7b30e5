//! The views of disputes and of warnings of fraud.

use crate::dispute::{Dispute, Warning};
use serde_json::{Value, json};

pub(crate) fn dispute(dispute: &Dispute) -> Value {
    let holds = dispute.state.holds_funds();
    json!({
        "id": dispute.id, "object": "dispute", "amount": dispute.amount, "balance_transactions": [],
        "charge": dispute.charge, "created": dispute.created, "currency": dispute.currency,
        "enhanced_eligibility_types": [], "evidence": {},
        "evidence_details": {
            "due_by": (!dispute.state.is_closed()).then_some(dispute.due_by),
            "has_evidence": dispute.has_evidence, "past_due": false,
            "submission_count": i32::from(dispute.has_evidence),
        },
        "is_charge_refundable": !holds, "livemode": false, "metadata": dispute.metadata,
        "payment_intent": dispute.intent, "reason": dispute.reason, "status": dispute.state.name(),
    })
}

pub(crate) fn warning(warning: &Warning) -> Value {
    json!({
        "id": warning.id, "object": "radar.early_fraud_warning", "actionable": true, "charge": warning.charge,
        "created": warning.created, "fraud_type": warning.fraud_type, "livemode": false,
        "payment_intent": warning.intent,
    })
}

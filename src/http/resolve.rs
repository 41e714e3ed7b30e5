//! `/v1/payments/{id}/resolve`: what became of a payment in review, by the word of people.

use super::{
    Api,
    caller::{ApproveUnknown, Caller},
    extract::{Body, Id, IdempotencyKey, fingerprint},
    operation::says,
    problem::Problem,
    routes::{Routes, post},
    told::Told,
};
use crate::{
    domain::{
        event::View,
        payment::{Payment, Ruling},
    },
    flow::{
        payments::{MAX_REFERENCE, MAX_TEXT},
        resolve::Request,
    },
    store::change::Key,
};
use axum::{extract::State, http::StatusCode};
use dunlin_jobs::{PaymentId, ResolutionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

const SCOPE: &str = "POST /v1/payments/{id}/resolve";

pub(super) fn routes() -> Routes {
    let resolve_says = says("Resolve a payment")
        .text(
            "Says what became of one that needs_review. That the gateway took the money, one person says, and the charge \
             that they name is looked up there. That it took none, one proposes, and a second one approves that \
             proposal, by its id, with another API key.",
        )
        .refuses(StatusCode::CONFLICT, "payment_not_resolvable")
        .refuses(StatusCode::CONFLICT, "already_proposed")
        .refuses(StatusCode::CONFLICT, "not_proposed")
        .refuses(StatusCode::CONFLICT, "second_approver_needed")
        .refuses(StatusCode::CONFLICT, "work_in_hand");
    Routes::about("Payments").route("/v1/payments/{id}/resolve", post(resolve, resolve_says))
}

/// A person's word.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({
    "outcome": "canceled", "reason": "their support found nothing of it", "evidence": "ticket 4711",
}))]
struct Said {
    outcome: Ruling,
    /// Why you are sure. An approval can do without.
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_TEXT))]
    reason: Option<String>,
    /// Where it can be seen: the gateway's dashboard, or a ticket. Needed but for an approval.
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_TEXT))]
    evidence: Option<String>,
    /// The gateway's id of the charge: with `succeeded`, and only then.
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_REFERENCE))]
    charge: Option<String>,
    /// The id of the resolution that somebody else has proposed, and to which you agree.
    #[serde(default)]
    approve: Option<ResolutionId>,
}

async fn resolve(
    State(api): State<Api>,
    Caller { holder, .. }: Caller<ApproveUnknown>,
    Id(payment): Id<PaymentId>,
    IdempotencyKey(key): IdempotencyKey,
    Body(said): Body<Said>,
) -> Result<Told<Payment>, Problem> {
    let key = Key { scope: SCOPE.to_owned(), key, fingerprint: fingerprint(SCOPE, &(payment, &said)) };
    let Said { outcome, reason, evidence, charge, approve } = said;
    let request = Request { outcome, reason, evidence, charge, approve, key };
    let (payment, fresh) = api.flows.resolve_payment(&holder, payment, request).await?;
    Ok(Told::of(&View::from(&payment)).fresh(fresh))
}

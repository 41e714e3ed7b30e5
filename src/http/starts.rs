//! `/v1/payments/{id}/process`: the first attempt of a payment that waits, now.

use super::{
    Api,
    caller::{Caller, PaymentsWrite},
    extract::{Id, IdempotencyKey, fingerprint},
    operation::says,
    problem::Problem,
    routes::{Routes, post},
    told::Told,
};
use crate::{
    domain::{event::View, payment::Payment},
    store::change::Key,
};
use axum::{extract::State, http::StatusCode};
use dunlin_jobs::PaymentId;

const SCOPE: &str = "POST /v1/payments/{id}/process";

pub(super) fn routes() -> Routes {
    let process_says = says("Process a payment")
        .text("Charges now what was made with `capture: deferred`, or with a `process_at` that is still to come.")
        .refuses(StatusCode::CONFLICT, "payment_not_processable");
    Routes::about("Payments").route("/v1/payments/{id}/process", post(process, process_says))
}

async fn process(
    State(api): State<Api>,
    Caller { holder, .. }: Caller<PaymentsWrite>,
    Id(payment): Id<PaymentId>,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<Told<Payment>, Problem> {
    let key = Key { scope: SCOPE.to_owned(), key, fingerprint: fingerprint(SCOPE, &payment) };
    let (payment, fresh) = api.flows.process_payment(&holder, payment, key).await?;
    Ok(Told::of(&View::from(&payment)).fresh(fresh))
}

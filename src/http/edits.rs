//! `PATCH /v1/payments/{id}`: what a caller has written beside a payment, changed.

use super::{
    Api,
    caller::{Caller, PaymentsWrite},
    extract::{Body, Id},
    operation::says,
    problem::Problem,
    routes::{Routes, patch},
    told::Told,
};
use crate::{
    domain::{
        event::View,
        payment::{Edit, Payment},
        update::Update,
    },
    flow::payments::{MAX_METADATA_KEY, MAX_TEXT},
};
use axum::extract::State;
use dunlin_jobs::PaymentId;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

pub(super) fn routes() -> Routes {
    let edit_says = says("Update a payment").text(
        "Changes its description and its metadata, whatever its status is; what is not named stays, and nothing that \
         is charged changes.",
    );
    Routes::about("Payments").route("/v1/payments/{id}", patch(edit, edit_says))
}

/// What is to be changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({ "metadata": { "order": "7", "campaign": null } }))]
struct Changes {
    /// Null takes it away.
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_TEXT))]
    description: Update<String>,
    #[serde(default)]
    #[schemars(schema_with = "metadata_update")]
    metadata: BTreeMap<String, Option<String>>,
}

/// What may stand in `metadata` to change it.
pub(super) fn metadata_update(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "description": "Texts to write, by their names; null takes one away, and what is not named stays.",
        "propertyNames": { "minLength": 1, "maxLength": MAX_METADATA_KEY },
        "additionalProperties": { "type": ["string", "null"], "maxLength": MAX_TEXT },
    })
}

async fn edit(
    State(api): State<Api>,
    Caller { holder, .. }: Caller<PaymentsWrite>,
    Id(payment): Id<PaymentId>,
    Body(Changes { description, metadata }): Body<Changes>,
) -> Result<Told<Payment>, Problem> {
    let payment = api.flows.edit_payment(&holder, payment, Edit { description, metadata }).await?;
    Ok(Told::of(&View::from(&payment)))
}

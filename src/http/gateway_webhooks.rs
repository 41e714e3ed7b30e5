//! `/v1/gateways/{account}/webhooks`: what gateways tell of their own accord. There is no API key; the signature
//! is the key, and the answer comes after the commit (S4.12).

use super::{
    Api,
    extract::{Account, Raw},
    operation::says,
    problem::Problem,
    routes::{Routes, post},
    told::{Shown, Told},
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

pub(super) fn routes() -> Routes {
    let take_says = says("Take a webhook of a gateway")
        .text("For gateways to call: an event as they send it, with their signature in the headers.")
        .refuses(StatusCode::BAD_REQUEST, "signature_invalid");
    Routes::about("Gateways").route("/v1/gateways/{account}/webhooks", post(take, take_says))
}

#[derive(Debug, Serialize, JsonSchema)]
struct Received {
    #[schemars(extend("const" = true))]
    received: bool,
}

impl Shown for Received {
    type View<'a> = Self;
}

async fn take(
    State(api): State<Api>,
    Account(account): Account,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Told<Received>, Problem> {
    let text = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let headers: BTreeMap<_, _> = headers.iter().filter_map(text).collect();
    api.flows.take_gateway_event(&account, &headers, &body).await?;
    Ok(Told::of(&Received { received: true }))
}

//! `/v1/customers/{id}/payment_methods` and `/v1/payment_methods`: by what a customer can be charged, and in which
//! order.

use super::{
    Api,
    caller::{Caller, CustomersRead, CustomersWrite},
    extract::{Body, Id, OptionalKey, fingerprint},
    operation::says,
    page,
    problem::Problem,
    routes::{Routes, get, patch, post},
    told::{Created, Shown, Told},
};
use crate::{
    domain::{
        payment::{Method, MethodKind},
        payment_method::{PaymentMethod, View},
        wallet::MOST_METHODS,
    },
    flow::{
        payment_methods,
        payments::{MAX_REFERENCE, identifier},
    },
    store::change::Key,
};
use axum::{extract::State, http::StatusCode};
use dunlin_jobs::{CustomerId, MethodId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

const SCOPE: &str = "POST /v1/customers/{id}/payment_methods";

pub(super) fn routes() -> Routes {
    let list_says = says("List payment methods of a customer")
        .text("Those that are attached, in the order in which they are tried. The first is the default.");
    let attach_says = says("Attach a payment method")
        .text("A gateway's token, never a card number. A customer's first one is their default.")
        .refuses(StatusCode::CONFLICT, "payment_method_attached")
        .refuses(StatusCode::CONFLICT, "too_many_payment_methods");
    let place_says = says("Move a payment method")
        .text("Position 1 makes it the default; the others make room.")
        .refuses(StatusCode::CONFLICT, "payment_method_detached");
    let detach_says = says("Detach a payment method").text(
        "No new attempt is made by it, and the next in the order follows a default. Once more is as good as once.",
    );
    Routes::about("Payment methods")
        .route("/v1/customers/{id}/payment_methods", get(list, list_says).and(post(attach, attach_says)))
        .route(
            "/v1/payment_methods/{id}",
            get(show, says("Get a payment method")).and(patch(place, place_says)),
        )
        .route("/v1/payment_methods/{id}/detach", post(detach, detach_says))
}

impl Shown for PaymentMethod {
    type View<'a> = View<'a>;
}

/// What a payment method is made from.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({ "type": "card", "payment_method": "pm_card_visa", "label": "Visa 4242" }))]
struct NewMethod {
    #[serde(rename = "type")]
    kind: MethodKind,
    /// The gateway's token of the instrument.
    #[schemars(length(min = 1, max = MAX_REFERENCE))]
    payment_method: String,
    /// The gateway's own id of the customer, where it needs one.
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_REFERENCE))]
    gateway_customer: Option<String>,
    /// The gateway account that gave the token; else the environment's first one.
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_REFERENCE))]
    gateway: Option<String>,
    /// What the customer knows it by.
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_REFERENCE))]
    label: Option<String>,
    /// Whether it becomes the first in the order rather than the last.
    #[serde(default)]
    default: bool,
}

async fn attach(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<CustomersWrite>,
    Id(customer): Id<CustomerId>,
    OptionalKey(key): OptionalKey,
    Body(mut new): Body<NewMethod>,
) -> Result<Created<PaymentMethod>, Problem> {
    new.payment_method = identifier("payment_method", Some(new.payment_method))?.unwrap_or_default();
    new.gateway_customer = identifier("gateway_customer", new.gateway_customer)?;
    let fingerprint = || fingerprint(SCOPE, &(customer, &new));
    let key = key.map(|key| Key { scope: SCOPE.to_owned(), key, fingerprint: fingerprint() });
    let NewMethod { kind, payment_method, gateway_customer, gateway, label, default } = new;
    let method = Method { kind, payment_method, gateway_customer };
    let new = payment_methods::NewMethod { method, gateway, label, default };
    let (method, fresh) = api.flows.attach_method(owner, customer, new, key).await?;
    Ok(Created::of(&View::from(&method)).fresh(fresh))
}

async fn list(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<CustomersRead>,
    Id(customer): Id<CustomerId>,
) -> Result<Told<Vec<PaymentMethod>>, Problem> {
    let methods = api.flows.list_methods(owner, customer).await?;
    Ok(page::told(&methods, u16::MAX, View::from, |method| method.id))
}

async fn show(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<CustomersRead>,
    Id(id): Id<MethodId>,
) -> Result<Told<PaymentMethod>, Problem> {
    let method = api.flows.load_method(owner, id).await?;
    Ok(Told::of(&View::from(&method)))
}

/// Where a payment method is to stand.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({ "position": 1 }))]
struct Placing {
    /// From 1, which is the default.
    #[schemars(range(min = 1, max = MOST_METHODS))]
    position: i64,
}

async fn place(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<CustomersWrite>,
    Id(id): Id<MethodId>,
    Body(placing): Body<Placing>,
) -> Result<Told<PaymentMethod>, Problem> {
    // What is no position at all is none of the customer's either.
    let position = placing.position.try_into().unwrap_or(0);
    let method = api.flows.place_method(owner, id, position).await?;
    Ok(Told::of(&View::from(&method)))
}

async fn detach(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<CustomersWrite>,
    Id(id): Id<MethodId>,
) -> Result<Told<PaymentMethod>, Problem> {
    let method = api.flows.detach_method(owner, id).await?;
    Ok(Told::of(&View::from(&method)))
}

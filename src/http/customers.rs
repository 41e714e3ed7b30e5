//! `/v1/customers`: whom a tenant charges.

use super::{
    Api,
    caller::{Caller, CustomersRead, CustomersWrite},
    edits::metadata_update,
    extract::{Body, Id, OptionalKey, Params, fingerprint},
    operation::says,
    page,
    payments::{PLAIN, check_plain, identifier_param},
    problem::Problem,
    routes::{Routes, get, patch, post},
    told::{Created, Shown, Told},
};
use crate::{
    domain::{
        country::Country,
        customer::{Customer, Profile, ProfileChange, View},
        email::Email,
        time_zone::TimeZone,
        update::Update,
    },
    flow::payments::{MAX_REFERENCE, identifier},
    store::{CustomerFilter, change::Key},
};
use axum::{extract::State, http::StatusCode};
use dunlin_jobs::{Currency, CustomerId, metadata_schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

const SCOPE: &str = "POST /v1/customers";

pub(super) fn routes() -> Routes {
    let list_says = says("List customers").text("Newest first.");
    let create_says = says("Create a customer")
        .text("No two have the same `external_id`.")
        .refuses(StatusCode::CONFLICT, "customer_exists");
    let change_says = says("Update a customer")
        .text("What is left out stays as it is, and `null` empties a field; in `metadata`, entry by entry.")
        .refuses(StatusCode::CONFLICT, "customer_exists");
    Routes::about("Customers")
        .route("/v1/customers", get(list, list_says).and(post(create, create_says)))
        .route("/v1/customers/{id}", get(show, says("Get a customer")).and(patch(change, change_says)))
}

impl Shown for Customer {
    type View<'a> = View<'a>;
}

/// What a customer is made from.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({
    "name": "Ada Lovelace", "email": "ada@example.com", "country": "GB", "time_zone": "Europe/London",
    "currency": "GBP",
}))]
struct NewCustomer {
    /// Your own id of the customer, by which payments may name them.
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_REFERENCE))]
    external_id: Option<String>,
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_REFERENCE))]
    name: Option<String>,
    #[serde(default)]
    email: Option<Email>,
    #[serde(default)]
    country: Option<Country>,
    #[serde(default)]
    time_zone: Option<TimeZone>,
    /// What they are charged in where a payment does not say.
    #[serde(default)]
    currency: Option<Currency>,
    #[serde(default)]
    #[schemars(schema_with = "metadata_schema")]
    metadata: BTreeMap<String, String>,
}

impl From<NewCustomer> for Profile {
    fn from(new: NewCustomer) -> Self {
        let NewCustomer { external_id, name, email, country, time_zone, currency, metadata } = new;
        Self { external_id, name, email, country, time_zone, currency, metadata }
    }
}

async fn create(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<CustomersWrite>,
    OptionalKey(key): OptionalKey,
    Body(mut new): Body<NewCustomer>,
) -> Result<Created<Customer>, Problem> {
    new.external_id = identifier("external_id", new.external_id)?;
    let key = key.map(|key| Key { scope: SCOPE.to_owned(), key, fingerprint: fingerprint(SCOPE, &new) });
    let (customer, fresh) = api.flows.create_customer(owner, new.into(), key).await?;
    Ok(Created::of(&View::from(&customer)).fresh(fresh))
}

async fn show(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<CustomersRead>,
    Id(id): Id<CustomerId>,
) -> Result<Told<Customer>, Problem> {
    let customer = api.flows.load_customer(owner, id).await?;
    Ok(Told::of(&View::from(&customer)))
}

/// What is to become of a customer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({ "time_zone": "Europe/Paris", "metadata": { "plan": "gold" } }))]
struct Changes {
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_REFERENCE))]
    external_id: Update<String>,
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_REFERENCE))]
    name: Update<String>,
    #[serde(default)]
    email: Update<Email>,
    #[serde(default)]
    country: Update<Country>,
    #[serde(default)]
    time_zone: Update<TimeZone>,
    #[serde(default)]
    currency: Update<Currency>,
    #[serde(default)]
    #[schemars(schema_with = "metadata_update")]
    metadata: BTreeMap<String, Option<String>>,
}

async fn change(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<CustomersWrite>,
    Id(id): Id<CustomerId>,
    Body(changes): Body<Changes>,
) -> Result<Told<Customer>, Problem> {
    let Changes { external_id, name, email, country, time_zone, currency, metadata } = changes;
    let change = ProfileChange { external_id, name, email, country, time_zone, currency, metadata };
    let customer = api.flows.change_customer(owner, id, change).await?;
    Ok(Told::of(&View::from(&customer)))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Page {
    #[schemars(range(min = 1, max = page::MAX_PAGE))]
    limit: Option<u16>,
    /// The `next_cursor` of the page before.
    #[schemars(with = "CustomerId")]
    cursor: Option<String>,
    #[schemars(regex(pattern = PLAIN))]
    external_id: Option<String>,
    /// Letter by letter, as it was given.
    #[schemars(regex(pattern = PLAIN))]
    email: Option<String>,
}

async fn list(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<CustomersRead>,
    Params(params): Params<Page>,
) -> Result<Told<Vec<Customer>>, Problem> {
    let limit = page::limit(params.limit)?;
    let external_id = identifier_param("external_id", params.external_id)?;
    check_plain("email", params.email.as_deref())?;
    let after = page::cursor(params.cursor.as_deref())?;
    let filter = CustomerFilter { external_id, email: params.email, after, limit: limit + 1 };
    let customers = api.flows.list_customers(owner, &filter).await?;
    Ok(page::told(&customers, limit, View::from, |customer| customer.id))
}

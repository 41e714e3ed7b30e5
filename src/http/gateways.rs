//! `/v1/gateways`: the accounts at gateways that payments can go to.

use super::{
    Api,
    caller::{Caller, PaymentsRead},
    operation::says,
    page,
    problem::Problem,
    routes::{Routes, get},
    told::{Shown, Told},
};
use crate::gateway::{Account, GatewayName};
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

pub(super) fn routes() -> Routes {
    let list_says = says("List gateway accounts").text(
        "All that payments of the caller's environment can go to, the one first that they go to by default.",
    );
    Routes::about("Gateways").route("/v1/gateways", get(list, list_says))
}

/// An account at a gateway.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GatewayAccount")]
pub(super) struct View<'a> {
    #[schemars(extend("const" = "gateway_account"))]
    object: &'static str,
    /// What a payment names it by.
    name: &'a str,
    gateway: GatewayName,
    livemode: bool,
    /// Whether payments go to it that name none.
    default: bool,
    /// Where its webhooks go; without them the gateway is asked.
    webhooks: String,
}

impl Shown for Account {
    type View<'a> = View<'a>;
}

async fn list(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsRead>,
) -> Result<Told<Vec<Account>>, Problem> {
    let gateways = &api.flows.gateways;
    let accounts: Vec<_> = gateways.of(owner.livemode).cloned().collect();
    let default = gateways.default_for(owner.livemode).map(|account| account.name.as_str());
    let view = |account| view(account, default);
    Ok(page::told(&accounts, u16::MAX, view, |account| account.name.clone()))
}

fn view<'a>(account: &'a Account, default: Option<&str>) -> View<'a> {
    View {
        object: "gateway_account",
        name: &account.name,
        gateway: account.kind,
        livemode: account.livemode,
        default: default == Some(account.name.as_str()),
        webhooks: format!("/v1/gateways/{}/webhooks", account.name),
    }
}

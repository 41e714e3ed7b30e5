//! `/v1/gateways`: the accounts at gateways that payments can go to, and whether they are charged.

use super::{
    Api,
    caller::{Admin, Caller, PaymentsRead},
    extract::{Account as Name, Body},
    operation::says,
    page,
    problem::Problem,
    routes::{Routes, get, post},
    told::{Shown, Told},
};
use crate::{
    domain::{
        clock::Time,
        hold::{Hold, HoldCause},
    },
    flow::{Flows, payments::MAX_TEXT},
    gateway::{Account, GatewayName},
};
use axum::{extract::State, http::StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(super) fn routes() -> Routes {
    let list_says = says("List gateway accounts").text(
        "All that payments of the caller's environment can go to, the one first that they go to by default, and \
         whether they are charged just now.",
    );
    let hold_says = says("Put a gateway account on hold").text(
        "No payment is begun there until it is released; what is under way goes on, and questions are asked.",
    );
    let release_says = says("Release a gateway account")
        .text("What waits may be charged at once, all of it: look first whether the cause is mended.")
        .refuses(StatusCode::CONFLICT, "gateway_not_identified");
    Routes::about("Gateways")
        .route("/v1/gateways", get(list, list_says))
        .route("/v1/gateways/{account}/hold", post(hold, hold_says))
        .route("/v1/gateways/{account}/release", post(release, release_says))
}

/// What a person has to say to it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({ "reason": "its key is being replaced" }))]
pub(super) struct Wish {
    /// Why, for the audit trail and whoever looks at the account.
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_TEXT))]
    reason: Option<String>,
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
    /// `active`; `on_hold`: its charges wait; `resuming`: a few are made to see whether all is well again.
    #[schemars(extend("enum" = ["active", "on_hold", "resuming"]))]
    status: &'static str,
    /// Why it is not charged as usual.
    hold: Option<HoldView>,
}

/// Why an account is not charged, or only a little.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GatewayHold")]
struct HoldView {
    reason: HoldCause,
    /// What the gateway said, or a person.
    detail: String,
    /// What ends it.
    remedy: &'static str,
    since: Time,
    /// When the gateway is asked next whether it takes our key; `null` where only a person ends the hold.
    next_probe_at: Option<Time>,
    /// While it resumes: how many payments may begin in this step.
    payments_allowed: Option<u32>,
}

impl From<Hold> for HoldView {
    fn from(hold: Hold) -> Self {
        Self {
            reason: hold.reason,
            detail: hold.detail,
            remedy: hold.reason.remedy(),
            since: hold.since,
            next_probe_at: hold.probe_at.filter(|_| hold.stage.is_none()),
            payments_allowed: hold.stage.map(|stage| stage.allowance),
        }
    }
}

impl Shown for Account {
    type View<'a> = View<'a>;
}

async fn list(
    State(api): State<Api>,
    Caller { owner, .. }: Caller<PaymentsRead>,
) -> Result<Told<Vec<Account>>, Problem> {
    api.flows.refresh_holds().await?;
    let accounts: Vec<_> = api.flows.gateways.of(owner.livemode).cloned().collect();
    let view = |account| view(&api.flows, account);
    Ok(page::told(&accounts, u16::MAX, view, |account| account.name.clone()))
}

async fn hold(
    State(api): State<Api>,
    Caller { holder, .. }: Caller<Admin>,
    Name(name): Name,
    Body(Wish { reason }): Body<Wish>,
) -> Result<Told<Account>, Problem> {
    let account = api.flows.hold_gateway(&holder, &name, reason).await?;
    Ok(Told::of(&view(&api.flows, &account)))
}

async fn release(
    State(api): State<Api>,
    Caller { holder, .. }: Caller<Admin>,
    Name(name): Name,
    Body(Wish { reason }): Body<Wish>,
) -> Result<Told<Account>, Problem> {
    let account = api.flows.release_gateway(&holder, &name, reason).await?;
    Ok(Told::of(&view(&api.flows, &account)))
}

fn view<'a>(flows: &Flows, account: &'a Account) -> View<'a> {
    let default = flows.gateways.default_for(account.livemode);
    let hold = flows.hold_of(&account.name);
    let status = match hold.as_ref().map(|hold| hold.stage) {
        None => "active",
        Some(None) => "on_hold",
        Some(Some(_)) => "resuming",
    };
    View {
        object: "gateway_account",
        name: &account.name,
        gateway: account.kind,
        livemode: account.livemode,
        default: default.is_some_and(|default| default.name == account.name),
        webhooks: format!("/v1/gateways/{}/webhooks", account.name),
        status,
        hold: hold.map(HoldView::from),
    }
}

//! `dunlin keys`: API keys, made, shown and revoked by a running server, or in the database itself.

use super::{
    Ending,
    api::{Api, Where},
    note, say, table,
    words::span,
};
use crate::{
    app,
    config::{Config, Environment},
    domain::{
        api_key::{NewKey, View},
        clock::{Clock, Time},
        scope::Scope,
    },
    flow::api_keys,
    store::{OpenError, Owner, Store, change::Actor},
};
use anyhow::{Context, bail};
use chrono::TimeDelta;
use dunlin_jobs::{KeyId, read_identifier};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a key. Its secret is printed once, alone on standard output.
    Create(Create),
    /// Show the keys, without their secrets.
    List(Place),
    /// Let a key in no more.
    Revoke {
        /// The key's id, key_..., which `list` shows; not the key itself.
        id: KeyId,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// What it is for, in your words.
    #[arg(long)]
    name: String,
    /// What it may do: `payments:read`, `payments:write`, `refunds:write`, `customers:read`,
    /// `customers:write`, `jobs:read`, `jobs:operate`, `webhooks:manage`, `admin` or `approve_unknown`. May be given several times; the default is what a backend needs that charges and refunds.
    #[arg(long = "scope", value_name = "SCOPE", default_values = ["payments:read", "payments:write", "refunds:write"])]
    scopes: Vec<Scope>,
    /// It moves real money. A server makes keys for the environment of the key that asks.
    #[arg(long)]
    live: bool,
    /// For how long it is good: minutes, hours, days or weeks, such as 12h or 90d.
    #[arg(long, value_name = "TIME", value_parser = span, conflicts_with = "expires_at")]
    expires_in: Option<TimeDelta>,
    /// Until when it is good, such as 2027-01-01T00:00:00Z.
    #[arg(long, value_name = "MOMENT", value_parser = dunlin_jobs::read_moment)]
    expires_at: Option<Time>,
    #[command(flatten)]
    place: Place,
}

/// Where the keys are: at a server if one is named, else in the database.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    #[command(flatten)]
    at: Where,
    /// Whose keys, in the database; a server knows it from the key that asks.
    #[arg(long)]
    tenant: Option<String>,
}

/// Whom a command asks.
#[derive(Debug)]
enum Keys {
    Server(Api),
    /// The store, and the tenant's name.
    Database(Store, String),
}

pub(super) async fn run(command: Command, config: &Config) -> anyhow::Result<Ending> {
    match command {
        Command::Create(args) => create(args, config).await,
        Command::List(place) => list(place, config).await,
        Command::Revoke { id, place } => revoke(id, place, config).await,
    }
    .map(|()| Ending::Done)
}

async fn create(args: Create, config: &Config) -> anyhow::Result<()> {
    let Create { name, scopes, live, expires_in, expires_at, place } = args;
    let until = expires_in.map(|span| Clock::system().now(true) + span).or(expires_at);
    let json = place.at.json;
    let keys = Keys::open(place, config).await?;
    let made = match &keys {
        Keys::Server(api) => {
            if live && !api.is_live() {
                bail!(
                    "--live needs a live key: a server makes keys for the environment of the key that asks"
                );
            }
            let body = json!({ "name": name, "scopes": scopes, "expires_at": until });
            api.post("/v1/api_keys", &body).await
        }
        Keys::Database(store, tenant) => {
            let new = NewKey { name, scopes: scopes.into_iter().collect(), expires_at: until };
            let owner = Owner { tenant: store.ensure_tenant(tenant).await?.id, livemode: live };
            api_keys::create(store, &Actor::Program("dunlin"), owner, new).await.map_err(Into::into).map(
                |made| {
                    let mut told = json!(View::at(&made.key, made.key.created_at));
                    told["secret"] = made.secret.expose_secret().into();
                    told
                },
            )
        }
    };
    keys.close().await;
    let made = made?;
    if json {
        say(made);
    } else {
        lines(std::slice::from_ref(&made)).iter().for_each(note);
        note("the key itself, which is shown this once:");
        say(made["secret"].as_str().context("the server told no secret")?);
    }
    Ok(())
}

async fn list(place: Place, config: &Config) -> anyhow::Result<()> {
    let json = place.at.json;
    let keys = Keys::open(place, config).await?;
    let found = match &keys {
        Keys::Server(api) => api.list("/v1/api_keys").await,
        Keys::Database(store, tenant) => kept(store, tenant).await,
    };
    keys.close().await;
    let found = found?;
    if json {
        say(json!({ "object": "list", "data": found, "has_more": false, "next_cursor": null }));
    } else {
        lines(&found).iter().for_each(say);
    }
    Ok(())
}

async fn revoke(id: KeyId, place: Place, config: &Config) -> anyhow::Result<()> {
    let json = place.at.json;
    let keys = Keys::open(place, config).await?;
    let revoked = match &keys {
        Keys::Server(api) => api.post(&format!("/v1/api_keys/{id}/revoke"), &json!({})).await,
        Keys::Database(store, tenant) => revoke_kept(store, tenant, id).await,
    };
    keys.close().await;
    let revoked = revoked?;
    if json {
        say(revoked);
    } else {
        say(format_args!("{id} lets nobody in any more"));
    }
    Ok(())
}

impl Keys {
    async fn open(place: Place, config: &Config) -> anyhow::Result<Self> {
        if place.at.server.is_named() {
            if place.tenant.is_some() {
                bail!("--tenant is for the database: a server knows the tenant from the key that asks");
            }
            return Ok(Self::Server(place.at.api(config)?));
        }
        let store = match app::open_store(config).await {
            Err(error) if matches!(error.downcast_ref(), Some(OpenError::Locked { .. })) => {
                return Err(error.context("if that is the server, ask it instead, with --url and --api-key"));
            }
            other => other?,
        };
        let tenant = place.tenant.as_deref().map(read_identifier).transpose().context("--tenant")?;
        let tenant = match (tenant.as_deref(), config.environment) {
            (Some(name), _) => name,
            (None, Environment::Development) => app::DEVELOPMENT_TENANT,
            (None, Environment::Production) => "default",
        };
        Ok(Self::Database(store, tenant.to_owned()))
    }

    async fn close(self) {
        match self {
            Self::Server(_) => {}
            Self::Database(store, _) => store.close().await,
        }
    }
}

/// Both environments' owners, if there is such a tenant.
async fn owners(store: &Store, tenant: &str) -> anyhow::Result<Vec<Owner>> {
    let tenant = store.find_tenant(tenant).await?;
    let owner = |livemode| tenant.as_ref().map(|tenant| Owner { tenant: tenant.id, livemode });
    Ok([true, false].into_iter().filter_map(owner).collect())
}

async fn kept(store: &Store, tenant: &str) -> anyhow::Result<Vec<Value>> {
    let now = store.clock().now(true);
    let mut found = Vec::new();
    for owner in owners(store, tenant).await? {
        let mut after = None;
        loop {
            let page = store.list_keys(owner, after, PAGE).await?;
            found.extend(page.iter().map(|key| json!(View::at(key, now))));
            let Some(last) = page.last() else { break };
            after = Some(last.id);
        }
    }
    Ok(found)
}

const PAGE: u16 = 200;

async fn revoke_kept(store: &Store, tenant: &str, id: KeyId) -> anyhow::Result<Value> {
    for owner in owners(store, tenant).await? {
        if let Some(key) = store.revoke_key(&Actor::Program("dunlin"), owner, id).await? {
            return Ok(json!(View::at(&key, store.clock().now(true))));
        }
    }
    bail!("{tenant} has no key {id}: see `dunlin keys list`, or name another --tenant");
}

/// Keys as a table.
fn lines(keys: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let row = |key: &Value| {
        let scopes = key["scopes"].as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
        let mode = if key["livemode"] == true { "live" } else { "test" };
        let [id, name, status, prefix, until] =
            ["id", "name", "status", "prefix", "expires_at"].map(|field| text(&key[field]));
        [id, mode.to_owned(), status, format!("{prefix}..."), until, scopes.join(","), name]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    table::lines(["ID", "MODE", "STATUS", "KEY", "EXPIRES", "SCOPES", "NAME"], &rows)
}

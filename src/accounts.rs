//! Accounts at gateways, put together: those of the configuration and those whose secrets the database keeps,
//! each held to the gateway's own account that it was at first.

use crate::{
    config::{Config, ConfigError},
    gateway::{Account, AccountConfig, Registry, client::Client},
    sealing::{Keyring, Place, Secrets},
    store::{Store, accounts::KeptAccount},
};
use anyhow::{Context, bail};
use futures_util::future::join_all;
use std::collections::BTreeMap;

/// Every account, its secrets open.
pub async fn load(config: &Config, store: &Store) -> anyhow::Result<BTreeMap<String, AccountConfig>> {
    let keyring = Keyring::new(&config.sealing)?;
    let mut accounts = config.gateways.clone();
    for kept in store.list_kept_accounts().await? {
        let name = kept.name.clone();
        if accounts.contains_key(&name) {
            bail!(
                "the gateway account {name} is configured, and kept in the database too: take it out of \
                 [gateways], or run `dunlin gateways remove {name}`"
            );
        }
        let account = open(&keyring, &kept).with_context(|| format!("the gateway account {name}"))?;
        accounts.insert(name, account);
    }
    // Those that the database keeps were not seen when the configuration was checked.
    let wrong = config.mistakes_if_live(&accounts);
    if !wrong.is_empty() {
        return Err(ConfigError::Wrong(wrong).into());
    }
    Ok(accounts)
}

/// What the secrets of an account are bound to.
pub fn place(kept: &KeptAccount) -> Place<'_> {
    Place {
        tenant: None,
        account: &kept.name,
        gateway: &kept.gateway,
        livemode: kept.livemode,
        base_url: &kept.base_url,
    }
}

/// An account as the configuration would have it.
pub fn open(keyring: &Keyring, kept: &KeptAccount) -> anyhow::Result<AccountConfig> {
    let Secrets { secret_key, webhook_secret } = keyring.open(place(kept), &kept.sealed)?;
    let account = AccountConfig {
        gateway: kept.gateway.parse()?,
        livemode: kept.livemode,
        base_url: kept.base_url.clone(),
        secret_key: secret_key.into(),
        webhook_secret: webhook_secret.map(Into::into),
        follows_test_clock: false,
    };
    if let Some(mistake) = account.mistake() {
        bail!(mistake);
    }
    Ok(account)
}

/// Notes an account as it is used for the first time, and refuses one that has become another: its payments would
/// be carried on at another gateway, or in the other environment.
pub async fn note(store: &Store, name: &str, account: &AccountConfig) -> anyhow::Result<()> {
    let (gateway, livemode) = (account.gateway.name(), account.livemode);
    store.ensure_account(name, gateway, livemode).await?;
    let known = store.find_account(name).await?.context("the account was noted")?;
    if (known.gateway.as_str(), known.livemode) != (gateway, livemode) {
        let mode = |livemode| if livemode { "live" } else { "test" };
        bail!(
            "the gateway account {name} is configured as a {} account at {gateway}, but it has always been a {} \
             account at {}: give the new one a name of its own",
            mode(livemode),
            mode(known.livemode),
            known.gateway
        );
    }
    Ok(())
}

/// Refuses accounts whose key has become another's: its payments would be asked after where they never were.
pub async fn verify(registry: &Registry, store: &Store, client: &Client) -> anyhow::Result<()> {
    // A sandbox has no account to lose.
    let accounts = [true, false].into_iter().flat_map(|livemode| registry.of(livemode));
    let accounts = accounts.filter(|account| !account.follows_test_clock);
    let told = join_all(accounts.map(async |account| (account, identify(account, client).await))).await;
    for (account, identity) in told {
        match identity {
            Ok(identity) => hold_to(store, &account.name, &identity).await?,
            Err(error @ Unidentified::Refused(_)) if find_identity(store, &account.name).await?.is_some() => {
                bail!(
                    "{error}: set a key of the gateway account {} that is good, and may read the account",
                    account.name
                )
            }
            // The gateway may be down, or the key may never have been allowed to ask; charges will tell.
            Err(error) => tracing::warn!(gateway.name = %account.name,
                "whose account {} is cannot be told: {error}", account.name),
        }
    }
    Ok(())
}

/// Why a gateway did not tell whose account a key is of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unidentified {
    #[error("the gateway refused the key with HTTP {0}")]
    Refused(u16),
    #[error("{0}")]
    Untold(String),
}

/// The gateway's own id of the account.
pub async fn identify(account: &Account, client: &Client) -> Result<String, Unidentified> {
    let reply = client.send(account, &account.gateway.identify(), account.gateway.api_version()).await;
    let reply = reply.map_err(|error| Unidentified::Untold(error.to_string()))?;
    match (reply.status, account.gateway.read_identity(&reply)) {
        (_, Some(identity)) => Ok(identity),
        (401 | 403, None) => Err(Unidentified::Refused(reply.status)),
        (status, None) => Err(Unidentified::Untold(format!("the gateway answered HTTP {status}"))),
    }
}

/// Whose account it is for ever, once that was told.
pub async fn find_identity(store: &Store, name: &str) -> anyhow::Result<Option<String>> {
    Ok(store.find_account(name).await?.and_then(|known| known.identity))
}

/// Whether an account is still the one that it was when it was first used here.
pub async fn hold_to(store: &Store, name: &str, identity: &str) -> anyhow::Result<()> {
    match find_identity(store, name).await? {
        Some(known) if known != identity => bail!(
            "the key of the gateway account {name} is of {identity}, but {name} has always been {known}: set a key \
             of {known}, or give {identity} a name of its own"
        ),
        Some(_) => Ok(()),
        None => Ok(store.note_identity(name, identity).await?),
    }
}

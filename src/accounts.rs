//! Accounts at gateways, put together: those of the configuration and those whose secrets the database keeps,
//! each held to the gateway's own account that it was at first.

use crate::{
    config::{Config, ConfigError},
    flow::{Flows, identity::Unidentified},
    gateway::AccountConfig,
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

/// Asks whose accounts they are. One whose key has become another's is refused: its payments would be asked after where
/// they never were. What cannot be told now is asked again, and until then nothing is begun there.
pub async fn verify(flows: &Flows) -> anyhow::Result<()> {
    let accounts = [true, false].into_iter().flat_map(|livemode| flows.gateways.of(livemode));
    let told = join_all(accounts.map(async |account| (account, flows.identify(account).await))).await;
    for (account, identity) in told {
        match identity? {
            Ok(()) => flows.resume_with_key(&account.name).await?,
            Err(error @ Unidentified::Another { .. }) => bail!(error),
            Err(error @ Unidentified::Refused(_))
                if find_identity(&flows.store, &account.name).await?.is_some() =>
            {
                bail!(
                    "{error}: set a key of the gateway account {} that is good, and may read the account",
                    account.name
                )
            }
            // The gateway may be down; it is asked again.
            Err(Unidentified::Refused(_) | Unidentified::Untold(_)) => {}
        }
    }
    Ok(())
}

/// Whose account it is for ever, once that was told.
pub async fn find_identity(store: &Store, name: &str) -> anyhow::Result<Option<String>> {
    Ok(store.find_account(name).await?.and_then(|known| known.identity))
}

//! `dunlin gateways`: accounts at gateways whose secrets the database keeps, sealed.

use super::{Ending, api::Where, holds, note, person::who, say};
use crate::{
    accounts, app,
    config::{Config, SecretVariables},
    flow::identity,
    gateway::{AccountConfig, GatewayName, Registry, client::Client},
    sealing::{self, Keyring, Secrets},
    store::{Store, StoreError, accounts::KeptAccount},
};
use anyhow::{Context, bail};
use secrecy::ExposeSecret;
use std::{collections::BTreeMap, io::BufRead};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Keep an account's secrets, or others in the place of those that it has. They are read from the variables
    /// `DUNLIN_GATEWAY_SECRET_KEY` and `DUNLIN_GATEWAY_WEBHOOK_SECRET`, else from the first and the second line of
    /// standard input.
    Add(Add),
    /// Show the accounts, without their secrets.
    List,
    /// Forget an account's secrets; its payments wait until it is there again.
    Remove {
        /// The account's name here.
        name: String,
    },
    /// Seal what earlier keys have sealed with the present sealing.key.
    Rotate,
    /// Ask a running server which accounts are charged, and why those are not that are on hold.
    Status(Where),
    /// Have a running server begin no charge at an account until it is released.
    Hold(holds::Act),
    /// Have a running server charge an account again, and all that waits there.
    Release(holds::Act),
}

/// What is done in the database itself.
enum Kept {
    Add(Add),
    List,
    Remove(String),
    Rotate,
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// A name of your own; payments name it as their `gateway`.
    name: String,
    /// What it is an account at.
    #[arg(long)]
    gateway: GatewayName,
    /// It moves real money.
    #[arg(long)]
    live: bool,
    /// Where the gateway is, if it is not the gateway itself.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
}

const MAX_NAME: usize = 64;

pub(super) async fn run(command: Command, config: Config) -> anyhow::Result<Ending> {
    let command = match command {
        Command::Status(place) => return holds::status(place, &config).await,
        Command::Hold(act) => return holds::act(act, "hold", &config).await,
        Command::Release(act) => return holds::act(act, "release", &config).await,
        Command::Add(args) => Kept::Add(args),
        Command::List => Kept::List,
        Command::Remove { name } => Kept::Remove(name),
        Command::Rotate => Kept::Rotate,
    };
    let keyring = Keyring::new(&config.sealing)?;
    let store = app::open_store(&config).await?;
    let ended = match command {
        Kept::Add(args) => add(args, &config, &store, &keyring).await,
        Kept::List => list(&config, &store).await,
        Kept::Remove(name) => remove(&name, &store).await,
        Kept::Rotate => rotate(&store, &keyring).await,
    };
    store.close().await;
    ended.map(|()| Ending::Done)
}

async fn add(args: Add, config: &Config, store: &Store, keyring: &Keyring) -> anyhow::Result<()> {
    let Add { name, gateway, live, base_url } = args;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(plain) {
        bail!("a name has 1 to {MAX_NAME} letters, digits, dashes and underscores; it is part of a URL");
    }
    if config.gateways.contains_key(&name) {
        bail!("{name} is configured under [gateways]: take it out there first, or use another name");
    }
    if let Some(known) = store.find_account(&name).await?
        && (known.gateway != gateway.name() || known.livemode != live)
    {
        bail!("{name} has been an account of another gateway or environment: use another name");
    }
    let before = store.find_kept_account(&name).await?;
    let secrets = read_secrets()?;
    let account = AccountConfig {
        gateway,
        livemode: live,
        base_url: base_url.unwrap_or_else(|| gateway.base_url().to_owned()),
        secret_key: secrets.secret_key.clone().into(),
        webhook_secret: secrets.webhook_secret.clone().map(Into::into),
        follows_test_clock: false,
    };
    if let Some(mistake) = account.mistake() {
        bail!("{mistake}");
    }
    if account.is_live_without_tls() {
        bail!("the URL must begin with https:// for a live account");
    }
    let kept = KeptAccount {
        name: name.clone(),
        gateway: gateway.name().to_owned(),
        livemode: live,
        base_url: account.base_url.clone(),
        sealed: String::new(),
        sealed_at: store.clock().now(true),
        sealed_by: who(),
    };
    let kept = KeptAccount { sealed: keyring.seal(accounts::place(&kept), &secrets)?, ..kept };
    let registry = Registry::new(&BTreeMap::from([(name.clone(), account)]));
    let asked = registry.find(&name).context("the account was put there")?;
    let identity = identity::identify(asked, &Client::new(&config.client)?)
        .await
        .with_context(|| format!("the gateway does not tell whose account the key of {name} is"))?;
    store.ensure_account(&name, gateway.name(), live).await?;
    identity::hold_to(store, &name, &identity).await??;
    keep(store, &kept, before.as_ref()).await?;
    say(format_args!("{name} is {identity}; its secrets are sealed in the database"));
    Ok(())
}

/// Keeps the secrets unless somebody has changed them since they were looked at.
async fn keep(store: &Store, kept: &KeptAccount, before: Option<&KeptAccount>) -> anyhow::Result<()> {
    match store.keep_account(kept, before).await {
        Err(StoreError::Conflict) => match store.find_kept_account(&kept.name).await? {
            Some(other) => bail!(
                "the secrets of {} were changed meanwhile, by {} at {} UTC, and stay as they are: look at \
                 `dunlin gateways list`, and run it again",
                other.name,
                other.sealed_by,
                other.sealed_at.format("%Y-%m-%d %H:%M:%S")
            ),
            None => bail!("the secrets of {} were removed meanwhile, and stay so: run it again", kept.name),
        },
        kept => Ok(kept?),
    }
}

/// Never from the command line, which others can see and shells remember.
fn read_secrets() -> anyhow::Result<Secrets> {
    let SecretVariables { secret_key, webhook_secret } = SecretVariables::read()?;
    if let Some(secret_key) = secret_key {
        let text = |secret: secrecy::SecretString| secret.expose_secret().to_owned();
        return Ok(Secrets { secret_key: text(secret_key), webhook_secret: webhook_secret.map(text) });
    }
    note("the account's secret key, and on the next line its webhook secret, if it has one:");
    let mut lines = std::io::stdin().lock().lines().take(2);
    let mut line = || -> anyhow::Result<Option<String>> {
        let line = lines.next().transpose()?.map(|line| line.trim().to_owned());
        Ok(line.filter(|line| !line.is_empty()))
    };
    let secret_key = line()?
        .context("there is no secret key: set DUNLIN_GATEWAY_SECRET_KEY, or write it to standard input")?;
    Ok(Secrets { secret_key, webhook_secret: line()? })
}

async fn list(config: &Config, store: &Store) -> anyhow::Result<()> {
    let mode = |livemode| if livemode { "live" } else { "test" };
    for (name, account) in &config.gateways {
        let (gateway, mode) = (account.gateway.name(), mode(account.livemode));
        say(format_args!("{name}  {gateway}  {mode}  {}  configured", identity(store, name).await?));
    }
    for KeptAccount { name, gateway, livemode, sealed, sealed_at, .. } in store.list_kept_accounts().await? {
        let key = sealing::key_id(&sealed).unwrap_or_else(|| "?".to_owned());
        let identity = identity(store, &name).await?;
        let at = sealed_at.format("%Y-%m-%d");
        say(format_args!("{name}  {gateway}  {}  {identity}  sealed with {key} on {at}", mode(livemode)));
    }
    Ok(())
}

async fn identity(store: &Store, name: &str) -> anyhow::Result<String> {
    Ok(accounts::find_identity(store, name).await?.unwrap_or_else(|| "-".to_owned()))
}

async fn remove(name: &str, store: &Store) -> anyhow::Result<()> {
    if !store.forget_account(name).await? {
        bail!("the database keeps no secrets of an account {name}: see `dunlin gateways list`");
    }
    say(format_args!("the secrets of {name} are forgotten; its payments wait until it is added again"));
    Ok(())
}

async fn rotate(store: &Store, keyring: &Keyring) -> anyhow::Result<()> {
    let accounts = store.list_kept_accounts().await?;
    for kept in &accounts {
        let context = || format!("the gateway account {}", kept.name);
        let secrets = keyring.open(accounts::place(kept), &kept.sealed).with_context(context)?;
        let sealed = keyring.seal(accounts::place(kept), &secrets).with_context(context)?;
        let anew =
            KeptAccount { sealed, sealed_at: store.clock().now(true), sealed_by: who(), ..kept.clone() };
        keep(store, &anew, Some(kept)).await?;
    }
    say(format_args!("{} account(s) are sealed with the present key; earlier ones can go", accounts.len()));
    Ok(())
}

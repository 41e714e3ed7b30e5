//! `dunlin migrate` and `dunlin check-config`: what is done before a start.

use super::{Ending, say};
use crate::{app, config::Config};

pub(super) async fn migrate(mut config: Config) -> anyhow::Result<Ending> {
    config.store.migrate_on_start = true;
    let store = app::open_store(&config).await?;
    store.close().await;
    say("the database is up to date");
    Ok(Ending::Done)
}

pub(super) fn check(config: &Config) -> anyhow::Result<Ending> {
    super::start_logging(config)?;
    say(format_args!("the configuration is good: {} gateway account(s)", config.gateways.len()));
    Ok(Ending::Done)
}

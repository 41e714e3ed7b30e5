//! `dunlin migrate` and `dunlin check-config`: what is done before a start.

use super::{Ending, note, say};
use crate::{
    app,
    config::Config,
    store::{self, OpenError, SchemaFault},
};
use std::time::Duration;
use tokio::time::timeout;

pub(super) async fn migrate(mut config: Config) -> anyhow::Result<Ending> {
    config.store.migrate_on_start = true;
    let store = app::open_store(&config).await?;
    store.close().await;
    say("the database is up to date");
    Ok(Ending::Done)
}

/// How long the database may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn check(config: &Config) -> anyhow::Result<Ending> {
    super::start_logging(config)?;
    say(format_args!("the configuration is good: {} gateway account(s)", config.gateways.len()));
    match timeout(ANSWERS_WITHIN, store::inspect(&config.store_options())).await {
        Ok(Ok(())) => say("the database has the schema of this version"),
        // Both are so before the first start.
        Ok(Err(error @ (OpenError::Schema(SchemaFault::Outdated(_)) | OpenError::NoFile { .. }))) => {
            note(error);
        }
        Ok(Err(error @ OpenError::Schema(_))) => return Err(error.into()),
        // What is checked may be checked elsewhere than where it will run.
        Ok(Err(error)) => note(format_args!("the database was not looked at: {error}")),
        Err(_) => note("the database was not looked at: it does not answer"),
    }
    Ok(Ending::Done)
}

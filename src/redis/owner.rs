//! Whose the names under a prefix are. Two dunlins that share a Redis under one prefix would take each other's orders, so
//! the database that comes first says so there, and the other leaves everything alone until a person has mended it.

use ::redis::{AsyncCommands, RedisError, aio::MultiplexedConnection};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long names that were another's have to be nobody's before they are taken. After a FLUSHALL an owner who lives says
/// so within a second.
const VACANT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Owner {
    key: String,
    /// Our database.
    identity: Arc<str>,
    was_foreign: bool,
    vacant_since: Option<Instant>,
}

impl Owner {
    pub(super) fn new(key: String, identity: Arc<str>) -> Self {
        Self { key, identity, was_foreign: false, vacant_since: None }
    }

    /// Whether the names are ours; what is nobody's becomes so.
    pub(super) async fn claim(&mut self, connection: &mut MultiplexedConnection) -> Result<bool, RedisError> {
        let mut holder: Option<String> = connection.get(&self.key).await?;
        if holder.is_none() && self.may_take() {
            // Another process may be faster.
            let _: bool = connection.set_nx(&self.key, &*self.identity).await?;
            holder = connection.get(&self.key).await?;
        }
        if let Some(holder) = holder {
            self.was_foreign = holder != *self.identity;
            self.vacant_since = None;
        }
        Ok(!self.was_foreign)
    }

    fn may_take(&mut self) -> bool {
        if !self.was_foreign {
            return true;
        }
        self.vacant_since.get_or_insert_with(Instant::now).elapsed() >= VACANT
    }
}

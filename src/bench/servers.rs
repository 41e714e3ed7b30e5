//! Servers: what a run needs beside dunlin, started for it alone and gone with it.

use super::SetUp;
use crate::private::{Postgres, Redis};

#[derive(Debug, Default)]
pub(super) struct Servers {
    postgres: Option<Postgres>,
    redis: Option<Redis>,
    /// A server of somebody else's.
    other: Option<String>,
}

impl Servers {
    pub(super) async fn start(setup: &SetUp) -> anyhow::Result<Self> {
        let postgres = matches!(setup, SetUp::Postgres | SetUp::PostgresRedis);
        Ok(Self {
            postgres: if postgres { Some(Postgres::start().await?) } else { None },
            redis: if *setup == SetUp::PostgresRedis { Some(Redis::start().await?) } else { None },
            other: if let SetUp::Server(url) = setup { Some(url.clone()) } else { None },
        })
    }

    /// The PostgreSQL database in which schemas are made, where there is one.
    pub(super) fn database(&self) -> Option<String> {
        self.postgres.as_ref().map(Postgres::url).or_else(|| self.other.clone())
    }

    pub(super) fn redis(&self) -> Option<String> {
        self.redis.as_ref().map(Redis::url)
    }

    /// The processes of those that are ours, by what they are; PostgreSQL's starts one for each connection.
    pub(super) fn processes(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let postgres = self.postgres.as_ref().and_then(Postgres::pid).map(|id| ("database", id));
        let redis = self.redis.as_ref().and_then(Redis::pid).map(|id| ("redis", id));
        postgres.into_iter().chain(redis)
    }
}

//! The surroundings of payments: tenants, and the test clock.

use super::{
    Store, StoreError,
    row::At,
    text::{Text, on},
};
use crate::domain::clock::Clock;
use chrono::TimeDelta;
use dunlin_jobs::TenantId;
use std::time::Instant;

/// How far test time is ahead.
pub(super) const OFFSET: &str = "SELECT offset_us FROM clocks WHERE environment = 'test'";

const CLOCKS: Text = Text {
    sqlite: "SELECT (SELECT offset_us FROM clocks WHERE environment = 'test'), NULL",
    postgres: "SELECT (SELECT offset_us FROM clocks WHERE environment = 'test'), clock_timestamp()",
};

/// Has a clock go by what stands in the database.
pub(super) fn follow(clock: &Clock, offset: Option<i64>) {
    clock.advance_to_offset(TimeDelta::microseconds(offset.unwrap_or(0)));
}

/// A merchant whose data is kept apart from all others'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
}

impl Store {
    /// The tenant of that name, made if it is new.
    pub async fn ensure_tenant(&self, name: &str) -> Result<Tenant, StoreError> {
        const TEXT: &str = "INSERT INTO tenants (id, name, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO NOTHING";
        if let Some(known) = self.find_tenant(name).await? {
            return Ok(known);
        }
        let now = self.clock.now(true);
        let id = TenantId::mint(now, self.clock.random());
        on!(&self.writer, |db, _pick| {
            sqlx::query(TEXT).bind(id.to_string()).bind(name).bind(At(now)).execute(db).await?.rows_affected()
        });
        // Another process may have been first.
        self.find_tenant(name).await?.ok_or(StoreError::Unavailable)
    }

    pub(super) async fn list_tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        const TEXT: &str = "SELECT id FROM tenants ORDER BY id";
        let found: Vec<String> = on!(&self.db, |db, _pick| sqlx::query_scalar(TEXT).fetch_all(db).await?);
        let read = |id: String| id.parse().map_err(|_| StoreError::corrupt("tenants", "id", &id));
        found.into_iter().map(read).collect()
    }

    /// The tenant of that name.
    pub async fn find_tenant(&self, name: &str) -> Result<Option<Tenant>, StoreError> {
        const TEXT: &str = "SELECT id FROM tenants WHERE name = $1";
        let found: Option<String> =
            on!(&self.writer, |db, _pick| sqlx::query_scalar(TEXT).bind(name).fetch_optional(db).await?);
        let tenant = |id: String| {
            let id = id.parse().map_err(|_| StoreError::corrupt("tenants", "id", &id))?;
            Ok(Tenant { id, name: name.to_owned() })
        };
        found.map(tenant).transpose()
    }

    /// Reads how far test time is ahead, and the time of a database that has a clock of its own, so that all replicas
    /// agree on both. Where the database is behind what it said of test time before, as after a failover, it is told
    /// again: test time never goes back.
    pub async fn refresh_clock(&self) -> Result<(), StoreError> {
        let asked_at = Instant::now();
        let (offset, now): (Option<i64>, Option<At>) =
            on!(&self.db, |db, pick| sqlx::query_as(pick(CLOCKS)).fetch_one(db).await?);
        follow(&self.clock, offset);
        if let Some(At(now)) = now {
            // It was read between the question and the answer.
            self.clock.note_database_time(now, asked_at + asked_at.elapsed() / 2);
        }
        let ours = self.clock.offset();
        if ours > TimeDelta::microseconds(offset.unwrap_or(0)) {
            self.advance_clock(ours).await?;
        }
        Ok(())
    }

    /// Moves test time forward; it never goes back.
    pub async fn advance_clock(&self, offset: TimeDelta) -> Result<(), StoreError> {
        const TEXT: &str = "INSERT INTO clocks (environment, offset_us) VALUES ('test', $1) \
             ON CONFLICT (environment) DO UPDATE SET offset_us = CASE WHEN excluded.offset_us > clocks.offset_us \
             THEN excluded.offset_us ELSE clocks.offset_us END";
        let micros = offset.num_microseconds().unwrap_or(i64::MAX);
        on!(&self.writer, |db, _pick| sqlx::query(TEXT).bind(micros).execute(db).await?.rows_affected());
        self.clock.advance_to_offset(offset);
        Ok(())
    }
}

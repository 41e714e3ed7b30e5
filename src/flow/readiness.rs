//! Readiness: whether the database is there, has the schema that this version needs, and shares our time (S6.6).

use super::Flows;
use crate::{
    domain::clock::Time,
    redis::{Foreign, Line},
    store::SchemaFault,
};
use chrono::TimeDelta;
use std::time::Duration;

/// How long the database may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Why no work should be sent here, with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unready {
    #[error("the database does not answer: look whether it runs, and whether store.url leads to it")]
    NoDatabase,
    #[error(
        "the database cannot write: look at the free space and the health of its disk; nothing that was taken is lost"
    )]
    Unwritable,
    #[error(transparent)]
    Schema(#[from] SchemaFault),
    #[error(
        "the database's clock is {} ms from this machine's, and {} ms are allowed, so nothing is claimed here: have \
         both follow one source of time, such as NTP",
        .skew.num_milliseconds(),
        .most.num_milliseconds()
    )]
    Skewed { skew: TimeDelta, most: TimeDelta },
}

/// What does not work as it should while work is done all the same, with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Degraded {
    #[error(
        "nothing is charged, refunded or asked of gateways by itself: the database was restored at {0}, and the gateway knows \
         more than it does; compare the two, then run `dunlin restore --release`"
    )]
    Restored(Time),
    #[error(
        "Redis is away: nothing is lost, replicas poll and count calls to gateways each for itself; look whether it \
         runs, and whether redis.url leads to it"
    )]
    NoRedis,
    #[error(transparent)]
    ForeignRedis(#[from] Foreign),
}

impl Degraded {
    /// What to act on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Restored(_) => "restored",
            Self::NoRedis => "redis_unavailable",
            Self::ForeignRedis(_) => "redis_foreign",
        }
    }
}

impl Unready {
    /// What to act on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoDatabase => "database_unavailable",
            Self::Unwritable => "database_unwritable",
            Self::Schema(SchemaFault::Outdated(_)) => "schema_outdated",
            Self::Schema(_) => "schema_unknown",
            Self::Skewed { .. } => "clock_skewed",
        }
    }
}

impl Flows {
    /// What waits or is slower, while requests are taken all the same.
    pub async fn degraded(&self) -> Vec<Degraded> {
        let restore = tokio::time::timeout(ANSWERS_WITHIN, self.store.find_restore()).await;
        let restored =
            restore.ok().and_then(Result::ok).flatten().map(|restore| Degraded::Restored(restore.at));
        let slow = self.redis.as_ref().and_then(without);
        restored.into_iter().chain(slow).collect()
    }

    /// Everything for which no work should be sent here.
    pub async fn unready(&self) -> Vec<Unready> {
        let asked_at = self.clock().now(true);
        let Ok(Ok(vitals)) = tokio::time::timeout(ANSWERS_WITHIN, self.store.vitals()).await else {
            return vec![Unready::NoDatabase];
        };
        let skewed = vitals.now.and_then(|now| self.skewed(now, asked_at));
        let unwritable = Some(Unready::Unwritable).filter(|_| !vitals.writes);
        vitals.schema.map(Unready::Schema).into_iter().chain(unwritable).chain(skewed).collect()
    }
}

impl Flows {
    /// Whether the database's clock, read since then, is too far from ours.
    fn skewed(&self, read: Time, asked_at: Time) -> Option<Unready> {
        let most = TimeDelta::from_std(self.settings.max_clock_skew).unwrap_or(TimeDelta::MAX);
        let skew = skew(read, asked_at, self.clock().now(true));
        (skew > most).then_some(Unready::Skewed { skew, most })
    }

    /// Compares our clock with the database's. While it is off nothing is claimed here: what has to be old enough to
    /// prove something would be misjudged (S1.9).
    pub async fn check_clock(&self) {
        let asked_at = self.clock().now(true);
        let Ok(Ok(vitals)) = tokio::time::timeout(ANSWERS_WITHIN, self.store.vitals()).await else { return };
        // One that is part of this process goes by our clock.
        let Some(now) = vitals.now else { return };
        let skewed = self.skewed(now, asked_at);
        if !self.store.holds().note_skew(skewed.is_some()) {
            return;
        }
        if let Some(skewed) = skewed {
            tracing::error!("no job is claimed: {skewed}");
        } else {
            tracing::info!("the clocks agree again, and jobs are claimed");
        }
    }
}

/// Why a process goes without Redis, if it does.
fn without(line: &Line) -> Option<Degraded> {
    let foreign = line.foreign_prefix().map(|prefix| Foreign(prefix).into());
    foreign.or_else(|| (!line.is_up()).then_some(Degraded::NoRedis))
}

/// How far a clock is from ours that was read at some moment between these two.
fn skew(read: Time, asked_at: Time, answered_at: Time) -> TimeDelta {
    (asked_at - read).max(read - answered_at).max(TimeDelta::zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    #[test]
    fn a_slow_answer_is_no_skew() {
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);

        assert_eq!(skew(at(14), at(10), at(19)), TimeDelta::zero());
        assert_eq!(skew(at(7), at(10), at(19)), TimeDelta::seconds(3));
        assert_eq!(skew(at(24), at(10), at(19)), TimeDelta::seconds(5));
    }
}

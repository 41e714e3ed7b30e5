//! One bucket for all replicas: whose turn it is to call a gateway account, by Redis's own clock.

use super::{Away, Line};
use crate::domain::pace::Pace;
use ::redis::Script;
use std::{sync::LazyLock, time::Duration};

/// When a turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is taken, and comes after this long.
    In(Duration),
    /// None was taken, for the next one is farther away than the caller would wait: this far.
    Later(Duration),
}

/// Keeps the even moment of the next turn, in microseconds of Redis's clock; see [`Pace`]. What it answers is the wait, or
/// minus the wait where that is too long.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME') \
         local now = time[1] * 1000000 + time[2] \
         local period, ahead, patience = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]) \
         local even = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) \
         local wait = math.max(even - now - ahead, 0) \
         if wait > patience then return -wait end \
         local rests = math.ceil((even + period - now) / 1000) \
         redis.call('SET', KEYS[1], string.format('%.0f', even + period), 'PX', rests) \
         return wait",
    )
});

impl Line {
    /// Takes a turn of an account, unless it is farther away than `patience`.
    pub async fn take_turn(&self, account: &str, pace: Pace, patience: Duration) -> Result<Turn, Away> {
        let mut take = TAKE.key(self.name(&format!("pace:{account}")));
        for length in [pace.period, pace.ahead(), patience] {
            take.arg(u64::try_from(length.as_micros()).unwrap_or(u64::MAX));
        }
        let wait: i64 = self.ask(async |mut line| take.invoke_async(&mut line).await).await?;
        let length = Duration::from_micros(wait.unsigned_abs());
        Ok(if wait < 0 { Turn::Later(length) } else { Turn::In(length) })
    }
}

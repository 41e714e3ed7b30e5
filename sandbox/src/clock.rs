//! The clock is the bank's time: the system's, or a given start, plus an offset that only grows.

use std::time::{Duration, SystemTime};

#[derive(Debug)]
pub(crate) struct Clock {
    source: Source,
    offset_seconds: i64,
    latest: i64,
}

#[derive(Debug)]
enum Source {
    System,
    Held(i64),
}

/// A hundred years: far beyond any test, far below overflow.
pub(crate) const MAX_OFFSET_SECONDS: i64 = 100 * 366 * 86_400;

impl Clock {
    pub(crate) fn system() -> Self {
        Self { source: Source::System, offset_seconds: 0, latest: 0 }
    }

    /// A clock that moves by its offset alone.
    pub(crate) fn held(start: i64) -> Self {
        Self { source: Source::Held(start), offset_seconds: 0, latest: 0 }
    }

    /// Seconds since 1970; never fewer than it said before, so that intents stay in the order of creation.
    pub(crate) fn now(&mut self) -> i64 {
        let base = match self.source {
            Source::System => system_seconds(),
            Source::Held(start) => start,
        };
        self.reach(base.saturating_add(self.offset_seconds));
        self.latest
    }

    pub(crate) fn reach(&mut self, at: i64) {
        self.latest = self.latest.max(at);
    }

    pub(crate) fn offset_seconds(&self) -> i64 {
        self.offset_seconds
    }

    pub(crate) fn advance(&mut self, offset_seconds: i64) {
        self.offset_seconds = self.offset_seconds.max(offset_seconds);
    }
}

#[expect(clippy::disallowed_methods, reason = "the bank keeps its own time, apart from the service's clock")]
fn system_seconds() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

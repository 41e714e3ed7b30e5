//! Time: where every moment and every new id comes from, so that a test, a simulation and a user's test
//! clock hold it in their hand.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, Ordering},
};

/// A moment, in UTC, to the microsecond.
pub type Time = DateTime<Utc>;

/// Business time of the two environments, and the source of ids.
///
/// Live time is the system's; test time is the system's plus an offset that only grows.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
    offset_micros: Arc<AtomicI64>,
}

#[derive(Debug, Clone)]
enum Source {
    System,
    /// A frozen clock and a seeded sequence, for simulations.
    Held(Arc<Mutex<Held>>),
}

#[derive(Debug)]
struct Held {
    now: Time,
    state: u64,
}

impl Clock {
    pub fn system() -> Self {
        Self { source: Source::System, offset_micros: Arc::default() }
    }

    /// A clock that moves only when told, with ids that repeat for a seed.
    pub fn held(now: Time, seed: u64) -> Self {
        let held = Held { now, state: seed };
        Self { source: Source::Held(Arc::new(Mutex::new(held))), offset_micros: Arc::default() }
    }

    /// Business time of the environment: what `due_at` is compared with.
    pub fn now(&self, livemode: bool) -> Time {
        let offset = if livemode { 0 } else { self.offset_micros.load(Ordering::SeqCst) };
        self.system_now() + TimeDelta::microseconds(offset)
    }

    /// How far test time is ahead of live time.
    pub fn offset(&self) -> TimeDelta {
        TimeDelta::microseconds(self.offset_micros.load(Ordering::SeqCst))
    }

    /// Takes over an offset read from the database; it never goes back.
    pub fn advance_to_offset(&self, offset: TimeDelta) {
        let micros = offset.num_microseconds().unwrap_or(i64::MAX);
        self.offset_micros.fetch_max(micros, Ordering::SeqCst);
    }

    /// Eighty random bits for an id.
    pub fn random(&self) -> [u8; 10] {
        match &self.source {
            Source::System => rand::random(),
            Source::Held(held) => {
                let mut held = held.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let mut bytes = [0; 10];
                bytes[..8].copy_from_slice(&held.next().to_be_bytes());
                bytes[8..].copy_from_slice(&held.next().to_be_bytes()[..2]);
                bytes
            }
        }
    }

    /// Moves a held clock forward; the system's clock does not listen.
    pub fn travel(&self, by: TimeDelta) {
        if let Source::Held(held) = &self.source {
            held.lock().unwrap_or_else(std::sync::PoisonError::into_inner).now += by;
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    fn system_now(&self) -> Time {
        match &self.source {
            Source::System => truncate(Utc::now()),
            Source::Held(held) => held.lock().unwrap_or_else(std::sync::PoisonError::into_inner).now,
        }
    }
}

impl Held {
    /// `SplitMix64`: small, seeded, and good enough to tell ids apart.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Cuts a moment to what both databases hold.
pub fn truncate(time: Time) -> Time {
    time.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_time_only_goes_forward_and_live_time_is_not_moved() {
        let clock = Clock::held(DateTime::UNIX_EPOCH, 1);

        clock.advance_to_offset(TimeDelta::days(3));
        clock.advance_to_offset(TimeDelta::days(1));

        assert_eq!(clock.now(false), DateTime::UNIX_EPOCH + TimeDelta::days(3));
        assert_eq!(clock.now(true), DateTime::UNIX_EPOCH);
    }

    #[test]
    fn a_seed_repeats_its_ids() {
        let ids = |seed| {
            let clock = Clock::held(DateTime::UNIX_EPOCH, seed);
            [clock.random(), clock.random()]
        };

        assert_eq!(ids(7), ids(7));
        assert_ne!(ids(7), ids(8));
    }
}

//! Time: where every moment and every new id comes from, so that a test, a simulation and a user's test
//! clock hold it in their hand.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
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
    /// What the database's clock showed last, and when that was by a clock that nobody sets.
    database: Arc<Mutex<Option<(Time, Instant)>>>,
    /// How far a held clock is ahead of the database's.
    drift: TimeDelta,
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
        Self::of(Source::System)
    }

    /// A clock that moves only when told, with ids that repeat for a seed.
    pub fn held(now: Time, seed: u64) -> Self {
        let held = Held { now, state: seed };
        Self::of(Source::Held(Arc::new(Mutex::new(held))))
    }

    fn of(source: Source) -> Self {
        let drift = TimeDelta::zero();
        Self { source, offset_micros: Arc::default(), database: Arc::default(), drift }
    }

    /// The same held clock as a machine has it whose clock is ahead of the database's, or behind it.
    #[must_use]
    pub fn drifting(&self, by: TimeDelta) -> Self {
        Self { drift: by, ..self.clone() }
    }

    /// Evidence time of the environment: that of the database's clock, by which the age of what was sent counts,
    /// whichever machine has sent it. Before the database was asked, or where it is on this machine, it is the system's.
    pub fn evidence(&self, livemode: bool) -> Time {
        let offset = if livemode { TimeDelta::zero() } else { self.offset() };
        self.database_now().unwrap_or_else(|| self.system_now()) + offset
    }

    fn database_now(&self) -> Option<Time> {
        match &self.source {
            Source::System => {
                let noted = *self.database.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                noted.map(|(at, noted_at)| {
                    truncate(at + TimeDelta::from_std(noted_at.elapsed()).unwrap_or(TimeDelta::MAX))
                })
            }
            Source::Held(_) => Some(self.system_now() - self.drift),
        }
    }

    /// Takes over what the database's clock showed at that moment.
    pub fn note_database_time(&self, shown: Time, at: Instant) {
        *self.database.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some((shown, at));
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
            Source::Held(held) => {
                held.lock().unwrap_or_else(std::sync::PoisonError::into_inner).now + self.drift
            }
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
    fn evidence_time_is_the_databases_whatever_the_machine_shows() {
        let held = Clock::held(DateTime::UNIX_EPOCH, 1);
        let ahead = held.drifting(TimeDelta::hours(8));
        let system = Clock::system();
        system.note_database_time(DateTime::UNIX_EPOCH, Instant::now());

        held.advance_to_offset(TimeDelta::days(1));

        assert_eq!(ahead.now(true), DateTime::UNIX_EPOCH + TimeDelta::hours(8));
        assert_eq!(ahead.evidence(true), DateTime::UNIX_EPOCH);
        assert_eq!(ahead.evidence(false), DateTime::UNIX_EPOCH + TimeDelta::days(1));
        let age = system.evidence(true) - DateTime::UNIX_EPOCH;
        assert!((TimeDelta::zero()..TimeDelta::minutes(1)).contains(&age), "{age}");
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

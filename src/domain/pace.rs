//! Pace: turns that come evenly, with a burst that may be taken at once (the generic cell rate algorithm, as ITU-T I.371
//! has it).

use std::time::{Duration, Instant};

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The time that one turn takes.
    pub period: Duration,
    /// How many turns may be taken at once after a rest.
    pub burst: u32,
}

impl Pace {
    /// None where there is no limit.
    pub fn per_second(turns: u32, burst: u32) -> Option<Self> {
        let period = Duration::from_secs(1).checked_div(turns)?;
        Some(Self { period, burst: burst.max(1) })
    }

    /// How long before its even moment a turn may be taken.
    pub fn ahead(&self) -> Duration {
        self.period * (self.burst - 1)
    }

    /// How long to wait for a turn whose even moment is `even`.
    pub fn wait(&self, even: Instant, now: Instant) -> Duration {
        even.saturating_duration_since(now).saturating_sub(self.ahead())
    }

    /// The even moment of the turn after one that is taken.
    pub fn after(&self, even: Instant, now: Instant) -> Instant {
        even.max(now) + self.period
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_at_once_up_to_the_burst_and_then_evenly() {
        let (pace, now) = (Pace::per_second(10, 3).unwrap(), Instant::now());
        let mut even = now;
        let mut waits = Vec::new();

        for _ in 0..5 {
            waits.push(pace.wait(even, now).as_millis());
            even = pace.after(even, now);
        }

        assert_eq!(waits, [0, 0, 0, 100, 200]);
    }

    #[test]
    fn no_more_than_a_burst_is_saved_up() {
        let (pace, long_ago) = (Pace::per_second(10, 2).unwrap(), Instant::now());
        let now = long_ago + Duration::from_hours(1);

        let second = pace.after(long_ago, now);
        let third = pace.after(second, now);

        assert_eq!(pace.wait(second, now), Duration::ZERO);
        assert_eq!(pace.wait(third, now), Duration::from_millis(100));
    }

    #[test]
    fn nothing_a_second_is_no_limit() {
        assert_eq!(Pace::per_second(0, 5), None);
    }
}

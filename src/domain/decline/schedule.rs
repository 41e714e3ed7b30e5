//! Schedules: the delays between tries. The only file that uses `backoff`.

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff as _};
use chrono::TimeDelta;
use std::time::Duration;

/// The delay before try number `nth` (from 1) of an exponential schedule, computed by `backoff`.
pub fn exponential(first_s: u64, factor: u32, longest_s: u64, nth: u32) -> TimeDelta {
    let mut schedule = schedule(Duration::from_secs(first_s), factor, Duration::from_secs(longest_s));
    nth_delay(&mut schedule, nth)
}

/// The delay before transport try number `nth` (from 1): the same attempt again, since it never left (S3.1).
pub fn transport(nth: u32) -> TimeDelta {
    let mut schedule = schedule(Duration::from_millis(250), 2, Duration::from_mins(1));
    nth_delay(&mut schedule, nth)
}

fn nth_delay(schedule: &mut ExponentialBackoff, nth: u32) -> TimeDelta {
    // The schedule reaches its longest delay within a few doublings, so later ones need no counting.
    let delay = (0..nth.clamp(1, 64)).filter_map(|_| schedule.next_backoff()).last().unwrap_or_default();
    // The library multiplies in floats: what is kept is what both databases hold, or a payment in memory would
    // wait some nanoseconds longer than its own row.
    i64::try_from(delay.as_micros()).map_or(TimeDelta::MAX, TimeDelta::microseconds)
}

fn schedule(first: Duration, factor: u32, longest: Duration) -> ExponentialBackoff {
    #[expect(
        clippy::disallowed_types,
        reason = "the library counts its multiplier in f64; no money is involved"
    )]
    let factor = f64::from(factor);
    ExponentialBackoffBuilder::new()
        .with_initial_interval(first)
        .with_multiplier(factor)
        .with_randomization_factor(0.0)
        .with_max_interval(longest)
        .with_max_elapsed_time(None)
        .build()
}

//! Blows: what befalls a fleet, one after the other, as its seed has it.

use crate::{private::Shutdown, torture::plan::Dice};
use std::time::Duration;

/// Sorts of blows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// SIGKILL of a process, which is started again.
    Kill,
    /// SIGSTOP for longer than a lease, then SIGCONT.
    Stop,
    /// SIGSTOP for a minute, then SIGCONT.
    Pause,
    /// SIGTERM to one process after the other, each started again before the next.
    Term,
    /// Redis forgets everything.
    Flush,
    RestartRedis,
    RestartPostgres,
    /// What goes between processes and their servers is delayed or cut off.
    Network,
}

impl Sort {
    pub const ALL: [Self; 8] = [
        Self::Kill,
        Self::Stop,
        Self::Pause,
        Self::Term,
        Self::Flush,
        Self::RestartRedis,
        Self::RestartPostgres,
        Self::Network,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Term => "term",
            Self::Flush => "flush",
            Self::RestartRedis => "restart-redis",
            Self::RestartPostgres => "restart-postgres",
            Self::Network => "network",
        }
    }
}

/// One blow. What a sort has no use for is chosen all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blow {
    pub(super) sort: Sort,
    /// Which process, counted on from the first that is not in trouble already.
    pub(super) victim: usize,
    /// How long it lasts.
    pub(super) lasts: Duration,
    pub(super) shutdown: Shutdown,
    pub(super) way: Way,
    pub(super) weather: Weather,
}

/// What a process speaks with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Database,
    Gateway,
    Redis,
}

/// What goes wrong on a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Clear,
    /// Everything comes later.
    Slow(Duration),
    /// Every connection breaks.
    Cut,
    /// And none is made.
    Shut,
    /// A COMMIT arrives, and its answer does not.
    CommitsLost,
}

const A_MINUTE: Duration = Duration::from_mins(1);
const WAYS: [Way; 5] = [Way::Database, Way::Database, Way::Gateway, Way::Gateway, Way::Redis];
const WEATHERS: [Weather; 5] = [
    Weather::Slow(Duration::from_millis(30)),
    Weather::Slow(Duration::from_millis(150)),
    Weather::Cut,
    Weather::Shut,
    Weather::CommitsLost,
];

/// The blows of a seed, without an end.
#[derive(Debug)]
pub(super) struct Blows {
    dice: Dice,
    sorts: Vec<Sort>,
    lease: Duration,
    /// The present round, in which each sort has its turn; the minute's pause has it in one of eight.
    round: Vec<Sort>,
    rounds: usize,
}

impl Blows {
    pub(super) fn of(seed: u64, sorts: &[Sort], lease: Duration) -> Self {
        Self { dice: Dice::of(seed), sorts: sorts.to_vec(), lease, round: Vec::new(), rounds: 0 }
    }

    fn next_sort(&mut self) -> Sort {
        if self.round.is_empty() {
            let is_alone = self.sorts.len() == 1;
            let its_turn = |sort: &&Sort| **sort != Sort::Pause || is_alone || self.rounds.is_multiple_of(8);
            self.round = self.sorts.iter().filter(its_turn).copied().collect();
            self.rounds += 1;
        }
        let at = self.dice.throw(self.round.len());
        self.round.swap_remove(at)
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        let more = self.dice.throw(usize::try_from(to - from).unwrap_or(1));
        Duration::from_millis(from + u64::try_from(more).unwrap_or(0))
    }
}

impl Iterator for Blows {
    type Item = Blow;

    fn next(&mut self) -> Option<Blow> {
        let sort = self.next_sort();
        let victim = self.dice.throw(1 << 16);
        let shutdown = self.dice.pick(&[Shutdown::Fast, Shutdown::Immediate]);
        let way = self.dice.pick(&WAYS);
        let weather = match (way, self.dice.pick(&WEATHERS)) {
            (Way::Gateway | Way::Redis, Weather::CommitsLost) => Weather::Cut,
            (_, weather) => weather,
        };
        let lasts = match sort {
            // Longer than the lease, and up to three times as long.
            Sort::Stop => self.lease * 3 / 2 + self.millis(0, 2000),
            Sort::Pause => A_MINUTE,
            Sort::Kill | Sort::Term | Sort::Flush | Sort::RestartRedis | Sort::RestartPostgres => {
                self.millis(0, 1000)
            }
            Sort::Network => self.millis(500, 2000),
        };
        Some(Blow { sort, victim, lasts, shutdown, way, weather })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const LEASE: Duration = Duration::from_secs(1);

    fn first(seed: u64, count: usize) -> Vec<Blow> {
        Blows::of(seed, &Sort::ALL, LEASE).take(count).collect()
    }

    #[test]
    fn a_seed_repeats_its_blows() {
        assert_eq!(first(7, 100), first(7, 100));
        assert_ne!(first(7, 100), first(8, 100));
    }

    #[test]
    fn every_sort_has_its_turn_in_every_round_but_for_the_long_pause() {
        let sorts = |blows: &[Blow]| blows.iter().map(|blow| blow.sort).collect::<BTreeSet<_>>();
        let blows = first(3, 8 + 7);

        assert_eq!(sorts(&blows[..8]).len(), 8);
        assert_eq!(sorts(&blows[8..]).len(), 7);
        assert!(!sorts(&blows[8..]).contains(&Sort::Pause));
    }

    #[test]
    fn a_stop_lasts_longer_than_the_lease() {
        assert!(first(5, 500).iter().filter(|blow| blow.sort == Sort::Stop).all(|blow| blow.lasts > LEASE));
    }
}

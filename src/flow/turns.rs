//! Turns: how often a gateway account is called, by all replicas together where Redis joins them, else by each for
//! itself.

use super::{FlowError, Flows};
use crate::{
    domain::pace::Pace,
    gateway::Account,
    redis::Turn,
    store::{change::JobEnd, claim::Claimed},
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How far ahead a turn is taken. One that is farther away is asked for again after as long.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often one account may be called.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Calls a second, for long.
    pub requests_per_s: u32,
    /// Calls at once after a rest.
    pub burst: u32,
}

impl Rate {
    /// What is wrong with it, if anything is.
    pub fn mistake(&self) -> Option<&'static str> {
        (self.requests_per_s == 0 || self.burst == 0)
            .then_some("requests_per_s and burst must be more than 0; for no limit leave the section out")
    }
}

/// The turns of all accounts that have a rate.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    paces: Arc<BTreeMap<String, Pace>>,
    /// For an account at its gateway's own address that has none.
    usual: Option<Pace>,
    /// The even moment of each account's next turn, as this process counts while there is no Redis.
    own: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Turns {
    pub fn new(rates: &BTreeMap<String, Rate>) -> Self {
        let pace = |(name, rate): (&String, &Rate)| {
            Some((name.clone(), Pace::per_second(rate.requests_per_s, rate.burst)?))
        };
        Self { paces: Arc::new(rates.iter().filter_map(pace).collect()), usual: None, own: Arc::default() }
    }

    /// The same, with a rate for accounts at their gateway's own address that have none: a sandbox needs none.
    #[must_use]
    pub fn with_usual(self, rate: Rate) -> Self {
        Self { usual: Pace::per_second(rate.requests_per_s, rate.burst), ..self }
    }

    fn pace(&self, account: &Account) -> Option<Pace> {
        let usual = || self.usual.filter(|_| account.base_url == account.kind.base_url());
        self.paces.get(&account.name).copied().or_else(usual)
    }

    fn take(&self, account: &str, pace: Pace, now: Instant) -> Turn {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let even = own.get(account).copied().unwrap_or(now);
        let wait = pace.wait(even, now);
        if wait > PATIENCE {
            return Turn::Later(wait);
        }
        own.insert(account.to_owned(), pace.after(even, now));
        Turn::In(wait)
    }
}

impl Flows {
    async fn take_turn(&self, account: &str, pace: Pace) -> Turn {
        if let Some(line) = &self.redis
            && let Ok(turn) = line.take_turn(account, pace, PATIENCE).await
        {
            return turn;
        }
        self.turns.take(account, pace, Instant::now())
    }

    /// Waits for the account's next turn. False when the lease would not outlast the wait: the job has been put back
    /// then, and somebody takes it up once there is a turn.
    ///
    /// Nothing may have been begun before, so that a process may die here.
    pub(super) async fn await_turn(&self, claimed: &Claimed, account: &Account) -> Result<bool, FlowError> {
        let Some(pace) = self.turns.pace(account) else { return Ok(true) };
        loop {
            match self.take_turn(&account.name, pace).await {
                Turn::In(wait) => {
                    tokio::time::sleep(wait).await;
                    return Ok(true);
                }
                Turn::Later(_) if self.may_begin_after(claimed, PATIENCE * 2) => {
                    tokio::time::sleep(PATIENCE).await;
                }
                Turn::Later(wait) => {
                    let at = self.clock().now(claimed.livemode) + wait;
                    self.end_job(&claimed.lease, JobEnd::Again(at)).await?;
                    return Ok(false);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_is_too_far_away_is_not_taken() {
        let rates = BTreeMap::from([("main".to_owned(), Rate { requests_per_s: 1, burst: 1 })]);
        let turns = Turns::new(&rates);
        let (pace, now) = (turns.paces["main"], Instant::now());
        let take = || turns.take("main", pace, now);
        let seconds = Duration::from_secs;

        assert_eq!([take(), take(), take()], [0, 1, 2].map(|s| Turn::In(seconds(s))));
        assert_eq!([take(), take()], [Turn::Later(seconds(3)); 2], "what is not taken costs nobody a turn");
        assert_eq!(turns.take("main", pace, now + seconds(1)), Turn::In(seconds(2)));
    }

    #[test]
    fn each_account_has_its_own_turns() {
        let rate = Rate { requests_per_s: 1, burst: 1 };
        let rates = BTreeMap::from([("one".to_owned(), rate), ("two".to_owned(), rate)]);
        let turns = Turns::new(&rates);
        let now = Instant::now();

        assert_eq!(turns.take("one", turns.paces["one"], now), Turn::In(Duration::ZERO));
        assert_eq!(turns.take("two", turns.paces["two"], now), Turn::In(Duration::ZERO));
    }
}

//! Rates: how many requests an API key may make, so that no caller takes what belongs to all (S7, API4).

use crate::domain::pace::Pace;
use dunlin_jobs::KeyId;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// How many keys are remembered before those that have rested are forgotten.
const REMEMBERED: usize = 10_000;

/// For each key the moment at which its next request would come if its requests came evenly: as much of it as lies
/// ahead has been used of the burst. Every process counts for itself.
#[derive(Debug)]
pub(super) struct Rates {
    /// None if there is no limit.
    pace: Option<Pace>,
    next: Mutex<HashMap<KeyId, Instant>>,
}

impl Rates {
    pub(super) fn new(requests_per_s: u32, burst: u32) -> Self {
        Self { pace: Pace::per_second(requests_per_s, burst), next: Mutex::default() }
    }

    /// Whether the key may make a request now.
    pub(super) fn admit(&self, key: KeyId, now: Instant) -> bool {
        let Some(pace) = self.pace else { return true };
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.len() >= REMEMBERED {
            next.retain(|_, at| *at > now);
        }
        let even = next.get(&key).copied().unwrap_or(now);
        let is_admitted = pace.wait(even, now).is_zero();
        if is_admitted {
            next.insert(key, pace.after(even, now));
        }
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn key(n: u8) -> KeyId {
        KeyId::mint(chrono::DateTime::UNIX_EPOCH, [n; 10])
    }

    #[test]
    fn a_key_has_its_burst_and_then_its_rate() {
        let (rates, now) = (Rates::new(10, 3), Instant::now());
        let admitted = |key, after_ms| rates.admit(key, now + Duration::from_millis(after_ms));

        assert!(admitted(key(1), 0) && admitted(key(1), 0) && admitted(key(1), 0));
        assert!(!admitted(key(1), 0) && !admitted(key(1), 99), "what is refused costs nothing");
        assert!(admitted(key(2), 0), "another key has its own");
        assert!(admitted(key(1), 100) && !admitted(key(1), 100));
        assert!(admitted(key(1), 10_000) && admitted(key(1), 10_000) && admitted(key(1), 10_000));
        assert!(!admitted(key(1), 10_000), "no more than a burst is saved up");
    }

    #[test]
    fn without_a_rate_everybody_is_let_in() {
        let (rates, now) = (Rates::new(0, 1), Instant::now());

        assert!((0..1_000).all(|_| rates.admit(key(1), now)));
    }

    #[test]
    fn keys_that_have_rested_are_forgotten() {
        let (rates, now) = (Rates::new(1_000, 1), Instant::now());
        for n in 0..REMEMBERED {
            let mut random = [0; 10];
            random[..8].copy_from_slice(&n.to_be_bytes());
            assert!(rates.admit(KeyId::mint(chrono::DateTime::UNIX_EPOCH, random), now));
        }

        assert!(rates.admit(key(1), now + Duration::from_secs(1)));

        assert_eq!(rates.next.lock().unwrap().len(), 1);
    }
}

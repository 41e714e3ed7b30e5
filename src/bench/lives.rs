//! Lives: what the history tells of each payment, by its own times.

use super::figures::between;
use crate::{
    domain::clock::Time,
    store::{Moment, Store},
};
use std::time::Duration;

/// How many changes are read at a time.
const PAGE: u16 = 5000;

/// One payment's way, as far as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) created: Time,
    /// When its attempt was begun.
    begun: Option<Time>,
    /// When the gateway's answer was applied.
    ended: Option<Time>,
}

/// Payments that came within a span of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) from: Time,
    pub(super) until: Time,
}

/// The payments of one leg.
#[derive(Debug)]
pub(super) struct Lives(Vec<Life>);

impl Lives {
    /// All that the database tells.
    pub(super) async fn read(store: &Store) -> anyhow::Result<Self> {
        let mut lives = Vec::new();
        let mut last: Option<Moment> = None;
        let mut life: Option<(String, Life)> = None;
        loop {
            let page = store.list_moments(last.as_ref(), PAGE).await?;
            for moment in &page {
                if let Some((payment, life)) = &mut life
                    && *payment == moment.payment
                {
                    life.take(moment);
                } else {
                    let new = Life { created: moment.at, begun: None, ended: None };
                    let before = life.replace((moment.payment.clone(), new));
                    lives.extend(before.map(|(_, life)| life));
                }
            }
            let Some(end) = page.into_iter().next_back() else { break };
            last = Some(end);
        }
        lives.extend(life.map(|(_, life)| life));
        Ok(Self(lives))
    }

    pub(super) fn within(&self, window: Window) -> Self {
        let is_inside = |life: &&Life| window.from <= life.created && life.created <= window.until;
        Self(self.0.iter().filter(is_inside).copied().collect())
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// From the first one's acceptance to the last one's outcome.
    pub(super) fn span(&self) -> Option<Duration> {
        let first = self.0.iter().map(|life| life.created).min()?;
        let last = self.0.iter().filter_map(|life| life.ended).max()?;
        Some(between(first, last))
    }

    /// From each one's acceptance to its attempt.
    pub(super) fn until_attempt(&self) -> Vec<Duration> {
        self.0.iter().filter_map(|life| Some(between(life.created, life.begun?))).collect()
    }

    /// From each attempt to its recorded outcome, without the time that the gateway takes by order.
    pub(super) fn overhead(&self, gateway: Duration) -> Vec<Duration> {
        let attempt = |life: &Life| Some(between(life.begun?, life.ended?).saturating_sub(gateway));
        self.0.iter().filter_map(attempt).collect()
    }
}

impl Life {
    fn take(&mut self, moment: &Moment) {
        match moment.cause.as_str() {
            "due" => self.begun = self.begun.or(Some(moment.at)),
            "answered" => self.ended = self.ended.or(Some(moment.at)),
            _ => {}
        }
    }
}

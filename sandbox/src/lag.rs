//! The lag is how far lists and the search are behind the books.

use crate::{fault::Twist, intent::Intent, message::Reply, problem::Problem};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::HashMap, sync::Arc};

/// How far behind the queries are, by the bank's clock; it is not in the journal.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Lag {
    listing_seconds: u32,
    search_seconds: u32,
}

const MOST: u32 = 900;

impl Default for Lag {
    fn default() -> Self {
        Self { listing_seconds: 0, search_seconds: 60 }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    listing_seconds: Option<u32>,
    search_seconds: Option<u32>,
}

impl Lag {
    pub(crate) fn show(self) -> Reply {
        Reply::json(200, &self)
    }

    /// Takes what is given; the rest stays.
    pub(crate) fn set(&mut self, body: &[u8]) -> Result<(), Problem> {
        let wanted: Wanted = serde_json::from_slice(body).map_err(|_| {
            Problem::invalid("Send {\"listing_seconds\": n, \"search_seconds\": n} as JSON, or one of them.")
        })?;
        let listing_seconds = wanted.listing_seconds.unwrap_or(self.listing_seconds);
        let search_seconds = wanted.search_seconds.unwrap_or(self.search_seconds);
        if listing_seconds.max(search_seconds) > MOST {
            return Err(Problem::invalid(format!("A lag is at most {MOST} seconds.")));
        }
        *self = Self { listing_seconds, search_seconds };
        Ok(())
    }

    pub(crate) fn listing(self, past: &Past, now: i64) -> Sight<'_> {
        Sight { past, now, horizon: now.saturating_sub(self.listing_seconds.into()) }
    }

    pub(crate) fn search(self, past: &Past, now: i64) -> Sight<'_> {
        Sight { past, now, horizon: now.saturating_sub(self.search_seconds.into()) }
    }
}

/// What a query that lags needs to know: how intents were a while ago, and which are not to be seen yet.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// Earlier versions with the second in which each was replaced, oldest first.
    versions: HashMap<String, Vec<(i64, Arc<Intent>)>>,
    unlisted: HashMap<String, i64>,
}

impl Past {
    /// Notes an execution at a time, which replaced a version of the intent.
    pub(crate) fn note(&mut self, id: &str, at: i64, replaced: Option<Arc<Intent>>, twist: Option<Twist>) {
        if let Some(replaced) = replaced {
            self.versions.entry(id.to_owned()).or_default().push((at, replaced));
        }
        if let Some(Twist::Unlisted(seconds)) = twist {
            self.unlisted.insert(id.to_owned(), at.saturating_add(seconds.into()));
        }
    }

    /// Forgets what no lag reaches.
    pub(crate) fn forget(&mut self, now: i64) {
        let oldest = now.saturating_sub(MOST.into());
        self.versions.retain(|_, versions| versions.last().is_some_and(|(at, _)| *at >= oldest));
        self.unlisted.retain(|_, until| *until > now);
    }
}

/// What a query sees.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight<'a> {
    past: &'a Past,
    now: i64,
    /// The last second that is seen.
    pub horizon: i64,
}

impl<'a> Sight<'a> {
    /// The rows whose intents may be seen, of rows in the order of creation.
    pub(crate) fn narrow<'r>(
        self,
        rows: &'r [usize],
        intent: impl Fn(usize) -> Option<&'r Arc<Intent>>,
    ) -> Cow<'r, [usize]> {
        let created = |row: usize| intent(row).map_or(i64::MAX, |intent| intent.facts.created);
        let born = rows.partition_point(|row| created(*row) <= self.horizon);
        let rows = rows.get(..born).unwrap_or_default();
        if self.past.unlisted.is_empty() {
            return Cow::Borrowed(rows);
        }
        let is_listed = |row: &&usize| intent(**row).is_some_and(|intent| !self.hides(intent.id()));
        Cow::Owned(rows.iter().filter(is_listed).copied().collect())
    }

    fn hides(self, id: &str) -> bool {
        self.past.unlisted.get(id).is_some_and(|until| *until > self.now)
    }

    /// The intent as it was at the horizon.
    pub(crate) fn version(self, intent: &'a Arc<Intent>) -> &'a Arc<Intent> {
        let versions = self.past.versions.get(intent.id()).map(Vec::as_slice).unwrap_or_default();
        versions.iter().find(|(until, _)| *until > self.horizon).map_or(intent, |(_, then)| then)
    }
}

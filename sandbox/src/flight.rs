//! A flight is a request whose answer is not given yet; two of one key do not fly at once.

use crate::message::Request;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

#[derive(Debug, Clone, Default)]
pub(crate) struct Flights(Arc<Mutex<HashSet<Mark>>>);

/// The caller's credentials and its key, where it has one.
type Mark = (String, String);

/// Ends when it is dropped, also because the caller left.
#[derive(Debug)]
pub(crate) struct Flight<'a> {
    flights: &'a Flights,
    mark: Option<Mark>,
}

impl Flights {
    /// None if a request with the same key is under way.
    pub(crate) fn begin(&self, request: &Request) -> Option<Flight<'_>> {
        let key = request.header("idempotency-key").filter(|_| request.method == "POST");
        let mark =
            request.header("authorization").zip(key).map(|(who, key)| (who.to_owned(), key.to_owned()));
        let is_alone = mark.as_ref().is_none_or(|mark| self.marks(|marks| marks.insert(mark.clone())));
        is_alone.then(|| Flight { flights: self, mark })
    }

    fn marks(&self, change: impl FnOnce(&mut HashSet<Mark>) -> bool) -> bool {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if let Some(mark) = &self.mark {
            self.flights.marks(|marks| marks.remove(mark));
        }
    }
}

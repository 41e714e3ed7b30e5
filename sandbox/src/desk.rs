//! The desk is where work is done: the books, and the journal that every change goes through first.

use crate::{books::Books, entry::Entry, journal::Journal, lag::Lag, problem::Problem, trouble::Trouble};

#[derive(Debug)]
pub(crate) struct Desk {
    pub books: Books,
    pub journal: Option<Journal>,
    pub trouble: Trouble,
    pub lag: Lag,
}

impl Desk {
    /// Writes an entry down and takes it into the books, in that order.
    pub(crate) fn record(&mut self, entry: Entry) -> Result<(), Problem> {
        self.books.check(&entry).map_err(Problem::broken)?;
        if let Some(journal) = &mut self.journal {
            journal.append(&entry).map_err(|error| Problem::broken(format!("write the journal: {error}")))?;
        }
        self.books.apply(entry);
        Ok(())
    }
}

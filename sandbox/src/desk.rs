//! The desk is where work is done: the books, and the journal that every change goes through first.

use crate::{
    books::Books,
    entry::{Entry, Executed},
    journal::Journal,
    lag::Lag,
    problem::Problem,
    trouble::Trouble,
    turn,
};

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

    /// Lets everything happen that should have happened by now.
    pub(crate) fn catch_up(&mut self) -> Result<(), Problem> {
        let now = self.books.clock.now();
        while let Some(due) = self.books.take_due(now) {
            let asker =
                turn::Asker { books: &self.books, account: &due.account, now: due.at, key: None, host: None };
            let objects = turn::settled(asker, &due.object);
            let (account, at) = (due.account, due.at);
            let executed = Executed { account, at, objects, answer: None, twist: None, untold: false };
            self.record(Entry::Executed(Box::new(executed)))?;
        }
        Ok(())
    }
}

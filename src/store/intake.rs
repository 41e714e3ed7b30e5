//! Intake: the table in which producers leave envelopes, and the letters of what could not be taken.

use super::{
    Store, StoreError, Tx,
    letters::insert_letters,
    row::At,
    text::{Text, bulk, on},
};
use crate::domain::{clock::Time, letter::Letter};
use serde::Serialize;

/// An envelope in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub seq: i64,
    pub envelope: String,
    /// With which restore it came back, so that it may have been taken in since its backup.
    pub restored_at: Option<Time>,
}

/// What one reader has taken from the table. Nobody else sees it until it is emptied or dropped; on SQLite there is
/// nobody else.
#[derive(Debug)]
pub struct Bag {
    pub waiting: Vec<Waiting>,
    /// Holds the locks on PostgreSQL.
    tx: Option<Tx>,
}

macro_rules! take {
    ($which:literal) => {
        Text {
            sqlite: concat!(
                "SELECT seq, envelope, restored_at FROM intake WHERE seq > $1 ",
                $which,
                " ORDER BY seq LIMIT $2"
            ),
            postgres: concat!(
                "SELECT seq, envelope, restored_at FROM intake WHERE seq > $1 ",
                $which,
                " ORDER BY seq LIMIT $2 FOR UPDATE SKIP LOCKED"
            ),
        }
    };
}

const TAKE: Text = take!("");
/// What becomes a letter, which whoever compares the database with the gateway is to see.
const TAKE_RESTORED: Text = take!("AND restored_at IS NOT NULL");

const REMOVE: Text = bulk!("DELETE FROM intake WHERE seq IN (SELECT r.seq FROM " rows(seq bigint) ")");

const LEAVE: Text = Text {
    sqlite: "INSERT INTO intake (seq, envelope, enqueued_at) \
         SELECT coalesce(max(seq), 0) + 1, $1, $2 FROM intake",
    postgres: "INSERT INTO intake (envelope, enqueued_at) VALUES ($1, $2)",
};

type Row = (i64, String, Option<At>);

impl From<Row> for Waiting {
    fn from((seq, envelope, restored_at): Row) -> Self {
        Self { seq, envelope, restored_at: restored_at.map(|at| at.0) }
    }
}

#[derive(Debug, Serialize)]
struct SeqRow {
    seq: i64,
}

impl Store {
    /// Takes at most so many envelopes that come after one, past those that another reader has in hand. After a restore
    /// they stay where they are until it is released, so that another backup can still be restored instead.
    pub async fn take_mail(&self, after: i64, limit: u16) -> Result<Bag, StoreError> {
        let limit = i64::from(limit);
        let take = if self.find_restore().await?.is_some() { TAKE_RESTORED } else { TAKE };
        if let super::Db::Sqlite(pool) = &self.db {
            let rows: Vec<Row> = sqlx::query_as(take.sqlite).bind(after).bind(limit).fetch_all(pool).await?;
            return Ok(Bag { waiting: rows.into_iter().map(Waiting::from).collect(), tx: None });
        }
        let mut tx = self.begin().await?;
        let rows: Vec<Row> = on!(&mut tx, |tx, pick| {
            sqlx::query_as(pick(take)).bind(after).bind(limit).fetch_all(&mut **tx).await?
        });
        let waiting: Vec<_> = rows.into_iter().map(Waiting::from).collect();
        if waiting.is_empty() {
            tx.roll_back().await?;
            return Ok(Bag { waiting, tx: None });
        }
        Ok(Bag { waiting, tx: Some(tx) })
    }

    /// Removes from a bag what is done with, keeps the letters of what died, and gives back the rest.
    pub async fn empty_bag(&self, bag: Bag, done: &[i64], letters: &[Letter]) -> Result<(), StoreError> {
        let mut tx = match bag.tx {
            Some(tx) => tx,
            None if done.is_empty() => return Ok(()),
            None => self.begin().await?,
        };
        let rows: Vec<_> = done.iter().map(|seq| SeqRow { seq: *seq }).collect();
        tx.write(REMOVE, &rows).await?;
        insert_letters(&mut tx, letters).await?;
        tx.commit().await
    }

    /// Leaves an envelope in the table, as a producer does.
    pub async fn leave_mail(&self, envelope: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        tx.leave(envelope, At(self.clock.now(true))).await?;
        tx.commit().await
    }
}

impl Tx {
    pub(super) async fn leave(&mut self, envelope: &str, at: At) -> Result<(), StoreError> {
        on!(self, |tx, pick| {
            sqlx::query(pick(LEAVE)).bind(envelope).bind(at).execute(&mut **tx).await?.rows_affected()
        });
        Ok(())
    }
}

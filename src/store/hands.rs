//! Hands: the jobs that a process has in hand, and how far they are, for whoever measures what becomes of them when it dies.

use super::{
    Store, StoreError,
    row::json,
    text::{Text, on},
};

/// A leased job. Once anybody has brought it on, it is another value or gone.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct InHand {
    pub id: String,
    /// How often its payment has changed.
    pub version: i64,
    pub runs: i64,
    pub failures: i64,
}

const OF_OWNER: &str = "SELECT j.id, p.version, j.runs, j.failures FROM jobs j JOIN payments p ON p.id = j.payment_id \
     WHERE j.lease_owner LIKE $1";

const AMONG: Text = Text {
    sqlite: "SELECT j.id, p.version, j.runs, j.failures FROM jobs j JOIN payments p ON p.id = j.payment_id \
         WHERE j.id IN (SELECT value FROM json_each($1))",
    postgres: "SELECT j.id, p.version, j.runs, j.failures FROM jobs j JOIN payments p ON p.id = j.payment_id \
         WHERE j.id IN (SELECT json_array_elements_text($1::json))",
};

impl Store {
    /// What the process with this id holds, of the jobs that are about payments.
    pub async fn list_in_hand(&self, process: u32) -> Result<Vec<InHand>, StoreError> {
        let owner = format!("{process}-%");
        on!(&self.db, |db, _pick| Ok(sqlx::query_as(OF_OWNER).bind(owner).fetch_all(db).await?))
    }

    /// How far these jobs are now, those that are there.
    pub async fn look_at(&self, jobs: &[String]) -> Result<Vec<InHand>, StoreError> {
        let ids = json(&jobs);
        on!(&self.db, |db, pick| Ok(sqlx::query_as(pick(AMONG)).bind(ids).fetch_all(db).await?))
    }
}

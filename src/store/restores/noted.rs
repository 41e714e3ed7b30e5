//! Restores in the audit trails. They are made and released past the server, by commands, so that it writes down what it
//! finds: in the trail of each tenant and environment, once.

use crate::{
    domain::trail::Deed,
    store::{Owner, Store, StoreError, row::At, text::on, trail},
};

#[derive(Debug, sqlx::FromRow)]
struct Row {
    restored_at: At,
    restored_by: String,
    source: String,
    released_at: Option<At>,
    released_by: Option<String>,
    reason: Option<String>,
}

impl Row {
    /// That it was restored, and that it was released since.
    fn deeds(self) -> impl Iterator<Item = Deed> {
        let deed = |at: At, actor: String, action: &str, reason| Deed {
            at: at.0,
            actor,
            action: action.to_owned(),
            subject: self.source.clone(),
            reason,
            before: None,
            after: None,
            request_id: None,
        };
        let restored = deed(self.restored_at, self.restored_by, "database.restore", None);
        let by = self.released_by.unwrap_or_default();
        let released = self.released_at.map(|at| deed(at, by, "database.release", self.reason));
        std::iter::once(restored).chain(released)
    }
}

impl Store {
    /// Writes down which restores were made and released, as far as that is not written yet.
    pub async fn note_restores(&self) -> Result<(), StoreError> {
        const RESTORES: &str = "SELECT restored_at, restored_by, source, released_at, released_by, reason \
             FROM restores ORDER BY restored_at";
        let rows: Vec<Row> = on!(&self.db, |db, _pick| sqlx::query_as(RESTORES).fetch_all(db).await?);
        let deeds: Vec<_> = rows.into_iter().flat_map(Row::deeds).collect();
        if self.holds.notes_as_many(deeds.len()) {
            return Ok(());
        }
        for tenant in self.list_tenants().await? {
            for livemode in [false, true] {
                let owner = Owner { tenant, livemode };
                let mut tx = self.begin().await?;
                trail::append_missing(&mut tx, owner, &deeds).await?;
                tx.commit().await?;
            }
        }
        self.holds.noted(deeds.len());
        Ok(())
    }
}

//! Which database this is: made once with it, and its place keeps it when another state is restored there.

use super::{Store, StoreError, text::on};

pub(super) const FIND: &str = "SELECT id FROM identity";

impl Store {
    /// What no other database has, but a copy of this one that was made by other means than a restore.
    pub async fn identity(&self) -> Result<String, StoreError> {
        let found: Option<String> =
            on!(&self.db, |db, _pick| sqlx::query_scalar(FIND).fetch_optional(db).await?);
        found.ok_or_else(|| StoreError::corrupt("identity", "id", "(none)"))
    }
}

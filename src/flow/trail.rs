//! The audit trail: showing it.

use super::{FlowError, Flows};
use crate::{domain::trail::Entry, store::Owner};

impl Flows {
    /// A page of the trail, newest entry first: those before the numbered one.
    pub async fn list_trail(
        &self,
        owner: Owner,
        before: Option<i64>,
        limit: u16,
    ) -> Result<Vec<Entry>, FlowError> {
        Ok(self.store.list_trail(owner, before, limit).await?)
    }
}

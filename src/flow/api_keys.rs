//! API keys: making, showing and revoking them.

use super::{FlowError, Flows, payments};
use crate::{
    domain::{
        api_key::{ApiKey, NewKey},
        clock::truncate,
        scope::Scope,
    },
    store::{KeyHolder, MadeKey, Owner, Store, change::Actor},
};
use chrono::Datelike;
use dunlin_jobs::KeyId;

/// Makes a key of that tenant and environment.
pub async fn create(store: &Store, by: &Actor, owner: Owner, new: NewKey) -> Result<MadeKey, FlowError> {
    let invalid = |field: &str, detail: &str| {
        Err(FlowError::Invalid { field: field.to_owned(), detail: detail.to_owned() })
    };
    payments::check_short_text("name", &new.name)?;
    if new.scopes.is_empty() {
        return invalid("scopes", "name at least one: a key without scopes lets nobody in");
    }
    if new.expires_at.is_some_and(|at| at <= store.clock().now(true) || at.year() > 9999) {
        return invalid("expires_at", "the moment must be to come, and before the year 10000");
    }
    let new = NewKey { expires_at: new.expires_at.map(truncate), ..new };
    let made = store.create_key_by(by, owner, new).await?;
    let (id, scopes) = (made.key.id, &made.key.scopes);
    tracing::info!(key.id = %id, "the API key {id} was made with {scopes}");
    Ok(made)
}

impl Flows {
    /// Makes a key of its giver's tenant and environment, which may do nothing that its giver may not.
    pub async fn create_key(&self, giver: &KeyHolder, new: NewKey) -> Result<MadeKey, FlowError> {
        if let Some(scope) = giver.scopes.lacking(&new.scopes) {
            return Err(FlowError::Ungivable(scope));
        }
        // Whoever could make keys would be both people that it takes (S1.12).
        if giver.owner.livemode && new.scopes.allow(Scope::ApproveUnknown) {
            let detail = "approve_unknown of real money is given where the database is, by `dunlin keys create --live`: \
                          leave it out here";
            return Err(FlowError::Invalid { field: "scopes".to_owned(), detail: detail.to_owned() });
        }
        create(&self.store, &giver.into(), giver.owner, new).await
    }

    pub async fn load_key(&self, owner: Owner, id: KeyId) -> Result<ApiKey, FlowError> {
        self.store.find_owned_key(owner, id).await?.ok_or(FlowError::NotFound("API key"))
    }

    pub async fn list_keys(
        &self,
        owner: Owner,
        after: Option<KeyId>,
        limit: u16,
    ) -> Result<Vec<ApiKey>, FlowError> {
        Ok(self.store.list_keys(owner, after, limit).await?)
    }

    /// Lets a key in no more; once more is as good as once.
    pub async fn revoke_key(&self, by: &KeyHolder, id: KeyId) -> Result<ApiKey, FlowError> {
        let key =
            self.store.revoke_key(&by.into(), by.owner, id).await?.ok_or(FlowError::NotFound("API key"))?;
        tracing::info!(key.id = %id, "the API key {id} is revoked");
        Ok(key)
    }
}

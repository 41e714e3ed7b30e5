//! API keys: shown once, kept as a digest.

use super::{Owner, Store, StoreError, change::Actor, row::At, text::on, trail};
use crate::domain::{
    api_key::{ApiKey, NewKey},
    scope::Scopes,
    trail::Deed,
};
use dunlin_jobs::{KeyId, RequestId, TenantId};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// A key at the one moment when its secret can be seen.
#[derive(Debug)]
pub struct MadeKey {
    pub key: ApiKey,
    pub secret: SecretString,
}

/// Who a key lets in, and to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHolder {
    pub key: KeyId,
    pub owner: Owner,
    pub scopes: Scopes,
    /// The request that it is shown with.
    pub request: Option<RequestId>,
}

/// The text before a key's random part, by which a leaked one is recognised.
fn prefix(livemode: bool) -> &'static str {
    if livemode { "dk_live_" } else { "dk_test_" }
}

/// How much of a key stays visible: what says its environment, and four characters to know it by.
const SHOWN: usize = 12;

#[derive(Debug, sqlx::FromRow)]
struct KeyRow {
    id: String,
    livemode: bool,
    name: String,
    prefix: String,
    scopes: String,
    created_at: At,
    expires_at: Option<At>,
    revoked_at: Option<At>,
}

/// The columns of a [`KeyRow`], to be followed by a WHERE.
macro_rules! key_columns {
    () => {
        "SELECT id, livemode, name, prefix, scopes, created_at, expires_at, revoked_at FROM api_keys "
    };
}

/// Sorts after every key's id.
const AFTER_ALL: &str = "key_~";

impl Store {
    /// Makes a key for whoever has the database.
    pub async fn create_key(&self, owner: Owner, new: NewKey) -> Result<MadeKey, StoreError> {
        self.create_key_by(&Actor::Program("dunlin"), owner, new).await
    }

    /// Makes a key of 256 random bits.
    pub async fn create_key_by(
        &self,
        actor: &Actor,
        owner: Owner,
        new: NewKey,
    ) -> Result<MadeKey, StoreError> {
        const TEXT: &str = "INSERT INTO api_keys (id, tenant_id, livemode, name, prefix, digest, scopes, created_at, \
             expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let now = self.clock.now(true);
        let random: [u8; 32] = rand::random();
        let secret = format!("{}{}", prefix(owner.livemode), hex::encode(random));
        let key = ApiKey {
            id: KeyId::mint(now, self.clock.random()),
            name: new.name,
            livemode: owner.livemode,
            prefix: secret.chars().take(SHOWN).collect(),
            scopes: new.scopes,
            created_at: now,
            expires_at: new.expires_at,
            revoked_at: None,
        };
        let deed = Deed {
            after: Some(format!("{}: {}", key.name, key.scopes)),
            ..Deed::by(actor, "api_key.create", &key.id.to_string(), now)
        };
        let mut tx = self.begin().await?;
        on!(&mut tx, |tx, _pick| {
            sqlx::query(TEXT)
                .bind(key.id.to_string())
                .bind(owner.tenant.to_string())
                .bind(owner.livemode)
                .bind(&key.name)
                .bind(&key.prefix)
                .bind(digest(&secret))
                .bind(key.scopes.to_string())
                .bind(At(now))
                .bind(key.expires_at.map(At))
                .execute(&mut **tx)
                .await?
                .rows_affected()
        });
        trail::append(&mut tx, owner, [deed]).await?;
        tx.commit().await?;
        Ok(MadeKey { key, secret: secret.into() })
    }

    /// Who the key lets in, if it is one of ours, not revoked, and not expired.
    pub async fn find_key(&self, secret: &SecretString) -> Result<Option<KeyHolder>, StoreError> {
        const TEXT: &str = "SELECT id, tenant_id, livemode, scopes FROM api_keys WHERE digest = $1 \
             AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)";
        let digest = digest(secret.expose_secret());
        let now = At(self.clock.now(true));
        let found: Option<(String, String, bool, String)> = on!(&self.db, |db, _pick| {
            sqlx::query_as(TEXT).bind(digest).bind(now).fetch_optional(db).await?
        });
        let Some((id, tenant, livemode, scopes)) = found else { return Ok(None) };
        let corrupt = |column| StoreError::corrupt("api_keys", column, &id);
        let key = id.parse().map_err(|_| corrupt("id"))?;
        let tenant: TenantId = tenant.parse().map_err(|_| corrupt("tenant_id"))?;
        let scopes = scopes.parse().map_err(|_| corrupt("scopes"))?;
        Ok(Some(KeyHolder { key, owner: Owner { tenant, livemode }, scopes, request: None }))
    }

    /// A key of the owner's.
    pub async fn find_owned_key(&self, owner: Owner, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
        const TEXT: &str = concat!(key_columns!(), "WHERE id = $1 AND tenant_id = $2 AND livemode = $3");
        let (id, tenant) = (id.to_string(), owner.tenant.to_string());
        let row: Option<KeyRow> = on!(&self.db, |db, _pick| {
            sqlx::query_as(TEXT).bind(id).bind(tenant).bind(owner.livemode).fetch_optional(db).await?
        });
        row.map(ApiKey::try_from).transpose()
    }

    /// A page of keys, newest first: those made before the named one.
    pub async fn list_keys(
        &self,
        owner: Owner,
        after: Option<KeyId>,
        limit: u16,
    ) -> Result<Vec<ApiKey>, StoreError> {
        const TEXT: &str = concat!(
            key_columns!(),
            "WHERE tenant_id = $1 AND livemode = $2 AND id < $3 ORDER BY id DESC LIMIT $4"
        );
        let after = after.map_or_else(|| AFTER_ALL.to_owned(), |id| id.to_string());
        let rows: Vec<KeyRow> = on!(&self.db, |db, _pick| {
            sqlx::query_as(TEXT)
                .bind(owner.tenant.to_string())
                .bind(owner.livemode)
                .bind(after)
                .bind(i64::from(limit))
                .fetch_all(db)
                .await?
        });
        rows.into_iter().map(ApiKey::try_from).collect()
    }

    /// Lets a key of the owner's in no more; one that was revoked before keeps its moment.
    pub async fn revoke_key(
        &self,
        actor: &Actor,
        owner: Owner,
        id: KeyId,
    ) -> Result<Option<ApiKey>, StoreError> {
        const TEXT: &str = "UPDATE api_keys SET revoked_at = $4 \
             WHERE id = $1 AND tenant_id = $2 AND livemode = $3 AND revoked_at IS NULL";
        let now = self.clock.now(true);
        let mut tx = self.begin().await?;
        let revoked = on!(&mut tx, |tx, _pick| {
            sqlx::query(TEXT)
                .bind(id.to_string())
                .bind(owner.tenant.to_string())
                .bind(owner.livemode)
                .bind(At(now))
                .execute(&mut **tx)
                .await?
                .rows_affected()
        });
        if revoked > 0 {
            trail::append(&mut tx, owner, [Deed::by(actor, "api_key.revoke", &id.to_string(), now)]).await?;
        }
        tx.commit().await?;
        self.find_owned_key(owner, id).await
    }
}

impl TryFrom<KeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::corrupt("api_keys", column, &row.id);
        Ok(Self {
            id: row.id.parse().map_err(|_| corrupt("id"))?,
            scopes: row.scopes.parse().map_err(|_| corrupt("scopes"))?,
            livemode: row.livemode,
            name: row.name,
            prefix: row.prefix,
            created_at: row.created_at.0,
            expires_at: row.expires_at.map(|at| at.0),
            revoked_at: row.revoked_at.map(|at| at.0),
        })
    }
}

/// The keys are random, so no salt and no slow hash is needed; looked up by digest, no secret is compared.
fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

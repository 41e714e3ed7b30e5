//! API keys: shown once, kept as a digest.

use super::{Owner, Store, StoreError, row::At, text::on};
use dunlin_jobs::{KeyId, TenantId};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// A key at the one moment when it can be seen.
#[derive(Debug)]
pub struct ApiKey {
    pub id: KeyId,
    pub secret: SecretString,
}

/// Who a key lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHolder {
    pub key: KeyId,
    pub owner: Owner,
}

/// The text before a key's random part, by which a leaked one is recognised.
fn prefix(livemode: bool) -> &'static str {
    if livemode { "dk_live_" } else { "dk_test_" }
}

impl Store {
    /// Makes a key of 256 random bits.
    pub async fn create_key(&self, owner: Owner, name: &str) -> Result<ApiKey, StoreError> {
        const TEXT: &str = "INSERT INTO api_keys (id, tenant_id, livemode, name, prefix, digest, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let now = self.clock.now(true);
        let id = KeyId::mint(now, self.clock.random());
        let random: [u8; 32] = rand::random();
        let secret = format!("{}{}", prefix(owner.livemode), hex::encode(random));
        let shown: String = secret.chars().take(12).collect();
        on!(&self.writer, |db, _pick| {
            sqlx::query(TEXT)
                .bind(id.to_string())
                .bind(owner.tenant.to_string())
                .bind(owner.livemode)
                .bind(name)
                .bind(shown)
                .bind(digest(&secret))
                .bind(At(now))
                .execute(db)
                .await?
                .rows_affected()
        });
        Ok(ApiKey { id, secret: secret.into() })
    }

    /// Who the key lets in, if it is one of ours, not revoked, and not expired.
    pub async fn find_key(&self, secret: &SecretString) -> Result<Option<KeyHolder>, StoreError> {
        const TEXT: &str = "SELECT id, tenant_id, livemode FROM api_keys WHERE digest = $1 \
             AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)";
        let digest = digest(secret.expose_secret());
        let now = At(self.clock.now(true));
        let found: Option<(String, String, bool)> = on!(&self.db, |db, _pick| {
            sqlx::query_as(TEXT).bind(digest).bind(now).fetch_optional(db).await?
        });
        let Some((id, tenant, livemode)) = found else { return Ok(None) };
        let key = id.parse().map_err(|_| StoreError::corrupt("api_keys", "id", &id))?;
        let tenant: TenantId =
            tenant.parse().map_err(|_| StoreError::corrupt("api_keys", "tenant_id", &id))?;
        Ok(Some(KeyHolder { key, owner: Owner { tenant, livemode } }))
    }
}

/// The keys are random, so no salt and no slow hash is needed; looked up by digest, no secret is compared.
fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

//! Accounts: the gateway accounts that were ever used here, and the sealed secrets of those that are kept here.

use super::{Store, StoreError, row::At, text::on};
use crate::domain::clock::Time;

/// An account whose secrets are kept in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAccount {
    pub name: String,
    pub gateway: String,
    pub livemode: bool,
    pub base_url: String,
    /// The secrets, sealed.
    pub sealed: String,
    pub sealed_at: Time,
    /// Who did it, as far as the command knew.
    pub sealed_by: String,
}

/// What is known for ever of an account that was used here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAccount {
    pub gateway: String,
    pub livemode: bool,
    /// The gateway's own id of it.
    pub identity: Option<String>,
}

impl Store {
    /// Notes a gateway account, so that its payments can be told apart by environment for ever.
    pub async fn ensure_account(&self, name: &str, gateway: &str, livemode: bool) -> Result<(), StoreError> {
        const TEXT: &str = "INSERT INTO gateway_accounts (name, gateway, livemode, created_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let now = At(self.clock.now(true));
        on!(&self.writer, |db, _pick| {
            sqlx::query(TEXT)
                .bind(name)
                .bind(gateway)
                .bind(livemode)
                .bind(now)
                .execute(db)
                .await?
                .rows_affected()
        });
        Ok(())
    }

    pub async fn find_account(&self, name: &str) -> Result<Option<KnownAccount>, StoreError> {
        const TEXT: &str = "SELECT gateway, livemode, identity FROM gateway_accounts WHERE name = $1";
        let found: Option<(String, bool, Option<String>)> =
            on!(&self.writer, |db, _pick| sqlx::query_as(TEXT).bind(name).fetch_optional(db).await?);
        Ok(found.map(|(gateway, livemode, identity)| KnownAccount { gateway, livemode, identity }))
    }

    /// Notes whose account it is, unless that is known.
    pub async fn note_identity(&self, name: &str, identity: &str) -> Result<(), StoreError> {
        const TEXT: &str = "UPDATE gateway_accounts SET identity = $2 WHERE name = $1 AND identity IS NULL";
        on!(&self.writer, |db, _pick| {
            sqlx::query(TEXT).bind(name).bind(identity).execute(db).await?.rows_affected()
        });
        Ok(())
    }

    /// Keeps an account's secrets, in the place of those that it had when they were looked at; whoever has changed them
    /// since must not be written over. What is sealed is never twice the same, so it tells one from the other.
    pub async fn keep_account(
        &self,
        account: &KeptAccount,
        before: Option<&KeptAccount>,
    ) -> Result<(), StoreError> {
        const TEXT: &str = "UPDATE gateway_accounts SET base_url = $2, sealed = $3, sealed_at = $4, sealed_by = $5 \
             WHERE name = $1 AND coalesce(sealed, '') = $6";
        self.ensure_account(&account.name, &account.gateway, account.livemode).await?;
        let changed = on!(&self.writer, |db, _pick| {
            sqlx::query(TEXT)
                .bind(&account.name)
                .bind(&account.base_url)
                .bind(&account.sealed)
                .bind(At(account.sealed_at))
                .bind(&account.sealed_by)
                .bind(before.map_or("", |before| before.sealed.as_str()))
                .execute(db)
                .await?
                .rows_affected()
        });
        if changed == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    /// The accounts whose secrets are kept here, by name.
    pub async fn list_kept_accounts(&self) -> Result<Vec<KeptAccount>, StoreError> {
        const TEXT: &str = "SELECT name, gateway, livemode, base_url, sealed, sealed_at, sealed_by FROM gateway_accounts \
             WHERE sealed IS NOT NULL ORDER BY name";
        type Row = (String, String, bool, Option<String>, String, Option<At>, Option<String>);
        let rows: Vec<Row> = on!(&self.writer, |db, _pick| sqlx::query_as(TEXT).fetch_all(db).await?);
        let account = |(name, gateway, livemode, base_url, sealed, sealed_at, sealed_by): Row| {
            let corrupt = |column| StoreError::corrupt("gateway_accounts", column, &name);
            let base_url = base_url.ok_or_else(|| corrupt("base_url"))?;
            let sealed_at = sealed_at.ok_or_else(|| corrupt("sealed_at"))?.0;
            let sealed_by = sealed_by.unwrap_or_else(|| "somebody".to_owned());
            Ok(KeptAccount { name: name.clone(), gateway, livemode, base_url, sealed, sealed_at, sealed_by })
        };
        rows.into_iter().map(account).collect()
    }

    /// The account of that name, if its secrets are kept here.
    pub async fn find_kept_account(&self, name: &str) -> Result<Option<KeptAccount>, StoreError> {
        Ok(self.list_kept_accounts().await?.into_iter().find(|kept| kept.name == name))
    }

    /// Forgets an account's secrets; false if none are kept. Whose account it was stays known.
    pub async fn forget_account(&self, name: &str) -> Result<bool, StoreError> {
        const TEXT: &str = "UPDATE gateway_accounts SET base_url = NULL, sealed = NULL, sealed_at = NULL, sealed_by = NULL \
             WHERE name = $1 AND sealed IS NOT NULL";
        let changed =
            on!(&self.writer, |db, _pick| sqlx::query(TEXT).bind(name).execute(db).await?.rows_affected());
        Ok(changed > 0)
    }
}

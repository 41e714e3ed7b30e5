//! API keys as they are kept and shown: all but their secret.

use super::{
    clock::Time,
    scope::{Scope, Scopes},
};
use dunlin_jobs::KeyId;
use schemars::JsonSchema;
use serde::Serialize;

/// What a key is made from.
#[derive(Debug, Clone)]
pub struct NewKey {
    pub name: String,
    pub scopes: Scopes,
    /// Live time, for test keys too: nobody moves it.
    pub expires_at: Option<Time>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: KeyId,
    pub name: String,
    pub livemode: bool,
    /// Its first characters, by which a person knows it.
    pub prefix: String,
    pub scopes: Scopes,
    pub created_at: Time,
    pub expires_at: Option<Time>,
    pub revoked_at: Option<Time>,
}

impl ApiKey {
    pub const STATUSES: [&'static str; 3] = ["active", "expired", "revoked"];

    /// Whether it lets in, at a moment of live time, or why not.
    pub fn status(&self, now: Time) -> &'static str {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(expires_at)) if expires_at <= now => "expired",
            (None, _) => "active",
        }
    }
}

/// A key as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiKey")]
pub struct View<'a> {
    id: KeyId,
    #[schemars(extend("const" = "api_key"))]
    object: &'static str,
    name: &'a str,
    #[schemars(extend("enum" = ApiKey::STATUSES))]
    status: &'static str,
    /// Its first characters, by which a person knows it.
    prefix: &'a str,
    livemode: bool,
    #[schemars(with = "Vec<Scope>")]
    scopes: &'a Scopes,
    created_at: Time,
    expires_at: Option<Time>,
    revoked_at: Option<Time>,
}

impl<'a> View<'a> {
    pub fn at(key: &'a ApiKey, now: Time) -> Self {
        Self {
            id: key.id,
            object: "api_key",
            name: &key.name,
            status: key.status(now),
            prefix: &key.prefix,
            livemode: key.livemode,
            scopes: &key.scopes,
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
        }
    }
}

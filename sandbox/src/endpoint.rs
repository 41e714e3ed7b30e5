//! An endpoint is where an account's events are posted to.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub id: String,
    pub created: i64,
    pub url: String,
    /// Types of events, or `*`.
    pub events: Vec<String>,
    pub secret: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_deleted: bool,
}

impl Endpoint {
    pub(crate) fn wants(&self, event: &str) -> bool {
        !self.is_deleted && self.events.iter().any(|wanted| wanted == "*" || wanted == event)
    }
}

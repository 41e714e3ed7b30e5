//! A kept method is a payment method with an id of its own; it behaves as the test token that it came from.

use crate::{debit, kind::Kind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptMethod {
    pub id: String,
    pub created: i64,
    pub token: String,
    pub owner: Owner,
    /// How often the card's network has renewed it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub renewals: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Owner {
    /// Not attached yet.
    Nobody,
    Customer(String),
    /// Was detached; it may not be used again.
    Gone,
    /// Was used while it was attached to nobody; it may not be used again.
    Spent,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl KeptMethod {
    pub(crate) fn kind(&self) -> Kind {
        debit::kind(&self.token)
    }

    pub(crate) fn customer(&self) -> Option<&str> {
        match &self.owner {
            Owner::Customer(customer) => Some(customer),
            Owner::Nobody | Owner::Gone | Owner::Spent => None,
        }
    }
}

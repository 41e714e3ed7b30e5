//! An order is a fault that was asked for by the admin: which one, how often, and for which requests.

use crate::{
    asked::Asked,
    fault::{Fault, Refusal},
    operation::{Operation, Scope},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A fault with the name it was asked for by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Choice {
    pub name: String,
    pub fault: Fault,
}

impl TryFrom<String> for Choice {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let fault = Fault::named(&name).ok_or_else(|| format!("there is no fault '{name}'"))?;
        Ok(Self { name, fault })
    }
}

impl From<Choice> for String {
    fn from(choice: Choice) -> Self {
        choice.name
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    pub fault: Choice,
    /// How often it is still given; absent, until it is cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    method: Scope,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payment_method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<String>,
}

fn is_default(scope: &Scope) -> bool {
    *scope == Scope::Payments
}

impl Order {
    /// Revoked credentials are refused by every call.
    pub(crate) fn widened(mut self) -> Self {
        if self.fault.fault == Fault::Instead(Refusal::Revoked) && self.method == Scope::Payments {
            self.method = Scope::One(Operation::Any);
        }
        self
    }

    /// Whether it asks for certain requests; a connection has none of their marks.
    pub(crate) fn is_choosy(&self) -> bool {
        self.times.is_some()
            || self.method != Scope::Payments
            || !self.metadata.is_empty()
            || [&self.customer, &self.payment_method, &self.idempotency_key].iter().any(|it| it.is_some())
    }

    /// Counts down if the order is for this request.
    pub(crate) fn take(&mut self, asked: &Asked<'_>) -> bool {
        if self.times == Some(0) || !self.is_for(asked) {
            return false;
        }
        self.times = self.times.map(|times| times.saturating_sub(1));
        true
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.times == Some(0)
    }

    fn is_for(&self, asked: &Asked<'_>) -> bool {
        let is =
            |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        self.method.covers(asked.operation)
            && is(&self.customer, asked.customer())
            && is(&self.payment_method, asked.payment_method())
            && is(&self.idempotency_key, asked.key)
            && self.metadata.iter().all(|(key, value)| asked.has_metadata(key, value))
    }
}

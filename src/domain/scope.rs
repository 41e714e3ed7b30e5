//! Scopes: what an API key may do. Its names are stored and sent, so none is ever changed.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeSet, fmt, str::FromStr};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Scope {
    /// See payments, refunds, and how they came about.
    PaymentsRead,
    /// Take payments in, and stop them.
    PaymentsWrite,
    /// Give money back.
    RefundsWrite,
    /// See customers and how they pay.
    CustomersRead,
    /// Make customers, change them, and say how they pay.
    CustomersWrite,
    /// See what is due, and the test clock.
    JobsRead,
    /// Change what is due; move the test clock.
    JobsOperate,
    /// Say where a merchant's webhooks go.
    WebhooksManage,
    /// Make and revoke keys, and all else but to approve.
    Admin,
    /// Be the second one who agrees to what may charge again (S1.12).
    ApproveUnknown,
}

impl Scope {
    pub const ALL: [Self; 10] = [
        Self::PaymentsRead,
        Self::PaymentsWrite,
        Self::RefundsWrite,
        Self::CustomersRead,
        Self::CustomersWrite,
        Self::JobsRead,
        Self::JobsOperate,
        Self::WebhooksManage,
        Self::Admin,
        Self::ApproveUnknown,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::PaymentsRead => "payments:read",
            Self::PaymentsWrite => "payments:write",
            Self::RefundsWrite => "refunds:write",
            Self::CustomersRead => "customers:read",
            Self::CustomersWrite => "customers:write",
            Self::JobsRead => "jobs:read",
            Self::JobsOperate => "jobs:operate",
            Self::WebhooksManage => "webhooks:manage",
            Self::Admin => "admin",
            Self::ApproveUnknown => "approve_unknown",
        }
    }

    /// Whether `admin` stands for it too. Whoever does everything else must not be the second pair of eyes as well.
    fn is_of_admin(self) -> bool {
        match self {
            Self::PaymentsRead
            | Self::PaymentsWrite
            | Self::RefundsWrite
            | Self::CustomersRead
            | Self::CustomersWrite
            | Self::JobsRead
            | Self::JobsOperate
            | Self::WebhooksManage
            | Self::Admin => true,
            Self::ApproveUnknown => false,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no such scope: use some of {}", Scope::ALL.map(Scope::name).join(", "))]
pub struct UnknownScope;

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(name: &str) -> Result<Self, UnknownScope> {
        Self::ALL.into_iter().find(|scope| scope.name() == name).ok_or(UnknownScope)
    }
}

impl From<Scope> for &'static str {
    fn from(scope: Scope) -> Self {
        scope.name()
    }
}

impl TryFrom<String> for Scope {
    type Error = UnknownScope;

    fn try_from(name: String) -> Result<Self, UnknownScope> {
        name.parse()
    }
}

impl JsonSchema for Scope {
    fn schema_name() -> Cow<'static, str> {
        "Scope".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Self::ALL })
    }
}

/// The scopes that a key was given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// All that can be allowed, also what is not thought of yet.
    pub fn everything() -> Self {
        Self(BTreeSet::from([Scope::Admin, Scope::ApproveUnknown]))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope) || (scope.is_of_admin() && self.0.contains(&Scope::Admin))
    }

    /// The first of the others that these do not allow.
    pub fn lacking(&self, others: &Self) -> Option<Scope> {
        others.0.iter().copied().find(|scope| !self.allow(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

/// As they are stored: `payments:read,payments:write`.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|scope| scope.name()).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Scopes {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        text.split(',').filter(|name| !name.is_empty()).map(str::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_allows_all_but_to_approve() {
        let admin = Scopes::from_iter([Scope::Admin]);

        let lacking: Vec<_> = Scope::ALL.into_iter().filter(|scope| !admin.allow(*scope)).collect();

        assert_eq!(lacking, [Scope::ApproveUnknown]);
        assert!(Scope::ALL.into_iter().all(|scope| Scopes::everything().allow(scope)));
    }

    #[test]
    fn a_scope_allows_itself_and_nothing_else() {
        for scope in Scope::ALL.into_iter().filter(|scope| *scope != Scope::Admin) {
            let only = Scopes::from_iter([scope]);

            let allowed: Vec<_> = Scope::ALL.into_iter().filter(|other| only.allow(*other)).collect();

            assert_eq!(allowed, [scope]);
        }
        assert!(!Scope::ALL.into_iter().any(|scope| Scopes::default().allow(scope)));
    }

    #[test]
    fn what_is_lacking_is_named() {
        let admin = Scopes::from_iter([Scope::Admin]);

        assert_eq!(admin.lacking(&Scopes::everything()), Some(Scope::ApproveUnknown));
        assert_eq!(Scopes::from_iter([Scope::PaymentsRead]).lacking(&admin), Some(Scope::Admin));
        assert_eq!(Scopes::everything().lacking(&Scopes::from_iter(Scope::ALL)), None);
    }

    #[test]
    fn scopes_survive_their_text() {
        let all = Scopes::from_iter(Scope::ALL);

        assert_eq!(all.to_string().parse(), Ok(all));
        assert_eq!("".parse(), Ok(Scopes::default()));
        assert_eq!("payments:read,everything".parse::<Scopes>(), Err(UnknownScope));
        assert_eq!(
            serde_json::to_value(Scopes::everything()).unwrap().to_string(),
            r#"["admin","approve_unknown"]"#
        );
    }

    #[test]
    fn a_scope_is_read_from_a_text_only() {
        let read = |json: &str| serde_json::from_str::<Scopes>(json);

        assert_eq!(read(r#"["jobs:read","jobs:read"]"#).unwrap(), Scopes::from_iter([Scope::JobsRead]));
        for wrong in [r#"["Jobs:read"]"#, r#"[{"jobs:read":null}]"#, r#""jobs:read""#, "[0]", "null"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}

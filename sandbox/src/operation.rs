//! An operation is what a request wants, by the name that orders for faults use.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    Create,
    Update,
    Confirm,
    Capture,
    Cancel,
    Refund,
    Retrieve,
    List,
    Search,
    /// Any call about something else.
    Other,
    /// All of them; only an order names this one.
    Any,
}

impl Operation {
    pub(crate) fn of(method: &str, path: &str) -> Self {
        if (method, path) == ("POST", "/v1/refunds") {
            return Self::Refund;
        }
        let Some(rest) = path.strip_prefix("/v1/payment_intents") else { return Self::Other };
        match (method, rest.split('/').collect::<Vec<_>>().as_slice()) {
            ("POST", [""]) => Self::Create,
            ("POST", ["", _]) => Self::Update,
            ("POST", ["", _, "confirm"]) => Self::Confirm,
            ("POST", ["", _, "capture"]) => Self::Capture,
            ("POST", ["", _, "cancel"]) => Self::Cancel,
            ("GET", [""]) => Self::List,
            ("GET", ["", "search"]) => Self::Search,
            ("GET", ["", _]) => Self::Retrieve,
            _ => Self::Other,
        }
    }

    /// Whether it can move money or decide about it; faults that name no operation are for these.
    pub(crate) fn is_payment(self) -> bool {
        match self {
            Self::Create | Self::Update | Self::Confirm | Self::Capture | Self::Cancel | Self::Refund => true,
            Self::Retrieve | Self::List | Self::Search | Self::Other | Self::Any => false,
        }
    }
}

/// The operations that an order is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Scope {
    #[default]
    Payments,
    One(Operation),
    Many(Vec<Operation>),
}

impl Scope {
    pub(crate) fn covers(&self, operation: Operation) -> bool {
        let names = match self {
            Self::Payments => return operation.is_payment(),
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        };
        names.iter().any(|name| *name == operation || *name == Operation::Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_without_operations_is_for_what_moves_money() {
        let covered = |method: &str, path: &str| Scope::Payments.covers(Operation::of(method, path));

        for path in ["", "/pi_1/confirm", "/pi_1/cancel", "/pi_1"] {
            assert!(covered("POST", &format!("/v1/payment_intents{path}")), "{path}");
        }
        assert!(covered("POST", "/v1/refunds"));
        assert!(!covered("POST", "/v1/customers"));
        for path in ["", "/pi_1", "/search"] {
            assert!(!covered("GET", &format!("/v1/payment_intents{path}")), "{path}");
        }
    }

    #[test]
    fn a_query_is_covered_where_it_is_named() {
        let many = Scope::Many(vec![Operation::List, Operation::Search]);

        assert!(many.covers(Operation::of("GET", "/v1/payment_intents")));
        assert!(!many.covers(Operation::of("GET", "/v1/payment_intents/pi_1")));
        assert!(Scope::One(Operation::Any).covers(Operation::of("GET", "/v1/events")));
    }
}

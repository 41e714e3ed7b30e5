//! A kind is Stripe's type of a payment method, as far as we have tokens of it.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Card,
    SepaDebit,
    UsBankAccount,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Card, Self::SepaDebit, Self::UsBankAccount];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::SepaDebit => "sepa_debit",
            Self::UsBankAccount => "us_bank_account",
        }
    }

    /// Bank debits know one currency each.
    pub(crate) fn takes(self, currency: &str) -> bool {
        match self {
            Self::Card => true,
            Self::SepaDebit => currency == "eur",
            Self::UsBankAccount => currency == "usd",
        }
    }
}

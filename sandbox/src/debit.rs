//! A debit settles late: the tokens of bank accounts, and why a debit comes back.

use crate::{kind::Kind, method::Verdict};
use serde::{Deserialize, Serialize};

/// Why a debit was returned by the customer's bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Return {
    AccountClosed,
    DebitNotAuthorized,
    InsufficientFunds,
    NoAccount,
}

/// How long a token of Stripe's takes when its name does not say.
const SOON_SECONDS: i64 = 5;
/// Stripe says three minutes for its delayed tokens.
const DELAYED_SECONDS: i64 = 180;
const MAX_SECONDS: i64 = 366 * 86_400;

impl Return {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::AccountClosed => "account_closed",
            Self::DebitNotAuthorized => "debit_not_authorized",
            Self::InsufficientFunds => "insufficient_funds",
            Self::NoAccount => "no_account",
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::AccountClosed => "The customer's bank account has been closed.",
            Self::DebitNotAuthorized => {
                "The customer has notified their bank that this payment was unauthorized."
            }
            Self::InsufficientFunds => "The customer's account has insufficient funds to cover this payment.",
            Self::NoAccount => "The customer's bank account could not be located.",
        }
    }
}

/// The kind of a token; the sandbox's own are cards.
pub(crate) fn kind(token: &str) -> Kind {
    if token.starts_with("pm_usBankAccount_") {
        Kind::UsBankAccount
    } else if sepa(token).is_some() {
        Kind::SepaDebit
    } else {
        Kind::Card
    }
}

/// What a bank account's token does, if it is one, or a card's that settles late.
pub(crate) fn verdict(token: &str) -> Option<Verdict> {
    if let Some(name) = token.strip_prefix("pm_usBankAccount_") {
        return ach(name);
    }
    let own = token.strip_prefix("pm_sandbox_");
    if let Some(seconds) = own.and_then(|name| name.strip_prefix("settles_after_")) {
        return Some(settles(self::seconds(seconds)?));
    }
    if let Some(seconds) = own.and_then(|name| name.strip_prefix("fails_after_")) {
        return Some(fails(self::seconds(seconds)?, Return::InsufficientFunds));
    }
    sepa(token)
}

fn ach(name: &str) -> Option<Verdict> {
    Some(match name {
        "success" => settles(SOON_SECONDS),
        "processing" => Verdict::Settle { after_seconds: None, returned: None },
        "accountClosed" => fails(SOON_SECONDS, Return::AccountClosed),
        "noAccount" => fails(SOON_SECONDS, Return::NoAccount),
        "insufficientFunds" => fails(SOON_SECONDS, Return::InsufficientFunds),
        "debitNotAuthorized" => fails(SOON_SECONDS, Return::DebitNotAuthorized),
        _ => return None,
    })
}

/// Stripe's names for these have the account's country at their end: `pm_success_de`.
fn sepa(token: &str) -> Option<Verdict> {
    let (name, country) = token.strip_prefix("pm_")?.rsplit_once('_')?;
    if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    Some(match name {
        "success" => settles(SOON_SECONDS),
        "successDelayed" => settles(DELAYED_SECONDS),
        "failed" => fails(SOON_SECONDS, Return::DebitNotAuthorized),
        "failedDelayed" => fails(DELAYED_SECONDS, Return::DebitNotAuthorized),
        "insufficientFunds" => fails(SOON_SECONDS, Return::InsufficientFunds),
        _ => return None,
    })
}

fn settles(after_seconds: i64) -> Verdict {
    Verdict::Settle { after_seconds: Some(after_seconds), returned: None }
}

fn fails(after_seconds: i64, returned: Return) -> Verdict {
    Verdict::Settle { after_seconds: Some(after_seconds), returned: Some(returned) }
}

fn seconds(text: &str) -> Option<i64> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|seconds| (0..=MAX_SECONDS).contains(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_its_kind_and_its_time() {
        assert_eq!(kind("pm_usBankAccount_success"), Kind::UsBankAccount);
        assert_eq!(kind("pm_success_de"), Kind::SepaDebit);
        assert_eq!(kind("pm_sandbox_settles_after_60"), Kind::Card);
        assert_eq!(verdict("pm_sandbox_settles_after_60"), Some(settles(60)));
        assert_eq!(verdict("pm_sandbox_fails_after_0"), Some(fails(0, Return::InsufficientFunds)));
        assert_eq!(verdict("pm_successDelayed_fr"), Some(settles(180)));
    }

    #[test]
    fn what_only_looks_like_a_token_is_none() {
        for token in [
            "pm_usBankAccount_",
            "pm_usBankAccount_rich",
            "pm_success_DE",
            "pm_success_deu",
            "pm_sandbox_settles_after_",
            "pm_sandbox_settles_after_-1",
            "pm_sandbox_settles_after_99999999999",
        ] {
            assert_eq!(verdict(token), None, "{token}");
        }
    }
}

//! Rejections: what a gateway's refusal to execute a charge asks for, and of whom (S1.22).
//!
//! The rules are data (`config/rejections.toml`); this file only applies them.

use super::decline::Decline;
use chrono::TimeDelta;
use serde::Deserialize;

/// What a gateway refused, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusal {
    /// The gateway's code, such as `resource_missing`; not all refusals have one.
    pub code: Option<String>,
    /// The name of the parameter that it complains of.
    pub param: Option<String>,
    pub message: String,
}

/// What has to change before a charge like this one is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The method: another one may do.
    Method,
    /// Something of this payment's own.
    Payment,
    /// The account, or our requests: others will be refused alike.
    Account,
    /// No row fits.
    #[serde(skip)]
    Unlisted,
}

/// What becomes of the payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// Its customer may bring another method.
    NewMethod,
    Fails,
    /// It is tried again, once the account is in order.
    Waits,
    /// It is tried again once a person says so.
    OnHold,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    code: Option<String>,
    param: Option<String>,
    /// A part of what the gateway says.
    says: Option<String>,
    class: Class,
}

/// The table of rejections.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Grows with every change of the rules, so that a decision names the rules that made it.
    pub version: u32,
    /// How many payments that are rejected alike put the account on hold.
    pub alike: usize,
    repeats: usize,
    waits_s: Vec<u64>,
    missing: Vec<String>,
    rows: Vec<Row>,
}

impl Refusal {
    /// The code that is shown, and by which refusals are alike.
    pub fn code(&self) -> &str {
        self.code.as_deref().unwrap_or("invalid_request")
    }

    /// As it stands with the attempt.
    pub fn as_decline(&self) -> Decline {
        let message = match &self.param {
            Some(param) => format!("{} ({param})", self.message),
            None => self.message.clone(),
        };
        Decline { message: Some(message), ..Decline::of(self.code()) }
    }
}

impl Class {
    pub fn name(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Payment => "payment",
            Self::Account => "account",
            Self::Unlisted => "unlisted",
        }
    }
}

impl Rules {
    pub fn class(&self, refusal: &Refusal) -> Class {
        let fits = |wanted: &Option<String>, said: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| wanted == said.unwrap_or_default())
        };
        // `metadata[order]` is of `metadata`.
        let param = refusal.param.as_deref().and_then(|param| param.split('[').next());
        let says = |row: &Row| row.says.as_ref().is_none_or(|part| refusal.message.contains(part));
        let row = self
            .rows
            .iter()
            .find(|row| fits(&row.code, refusal.code.as_deref()) && fits(&row.param, param) && says(row));
        row.map_or(Class::Unlisted, |row| row.class)
    }

    /// What becomes of a payment that was rejected alike as many times before.
    pub fn fate(&self, class: Class, before: usize) -> Fate {
        match class {
            Class::Method => Fate::NewMethod,
            Class::Payment => Fate::Fails,
            Class::Account | Class::Unlisted if before + 1 >= self.repeats => Fate::Fails,
            Class::Account => Fate::Waits,
            Class::Unlisted => Fate::OnHold,
        }
    }

    /// How long it waits that was rejected as many times before.
    pub fn wait(&self, before: usize) -> TimeDelta {
        let seconds = self.waits_s.get(before).or(self.waits_s.last()).copied().unwrap_or(60);
        i64::try_from(seconds).ok().and_then(TimeDelta::try_seconds).unwrap_or(TimeDelta::MAX)
    }

    /// Whether something was not found that should be there, as in another account.
    pub fn is_missing(&self, refusal: &Refusal) -> bool {
        refusal.code.as_ref().is_some_and(|code| self.missing.contains(code))
    }

    /// What cannot be right.
    pub fn mistakes(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.alike < 2 || self.repeats < 2 {
            wrong.push(
                "rejections.toml: `alike` and `repeats` must be 2 at least: once is an accident".to_owned(),
            );
        }
        let same = |one: &Row, other: &Row| {
            (&one.code, &one.param, &one.says) == (&other.code, &other.param, &other.says)
        };
        for (index, row) in self.rows.iter().enumerate() {
            if row.code.is_none() && row.param.is_none() {
                wrong.push(
                    "rejections.toml: a row names neither code nor param: it fits everything".to_owned(),
                );
            }
            if row.says.is_some() && row.code.as_deref() != Some("") {
                wrong.push("rejections.toml: `says` is for answers without a code: code = \"\"".to_owned());
            }
            if self.rows[..index].iter().any(|earlier| same(earlier, row)) {
                wrong.push(format!("rejections.toml: the row {:?} {:?} is there twice", row.code, row.param));
            }
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        toml::from_str(include_str!("../../config/rejections.toml")).unwrap()
    }

    fn refusal(code: &str, param: &str) -> Refusal {
        let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Refusal { code: said(code), param: said(param), message: "no".to_owned() }
    }

    #[test]
    fn the_shipped_rules_have_no_mistakes() {
        assert_eq!(rules().mistakes(), Vec::<String>::new());
    }

    // S1.22
    #[test]
    fn a_rejection_is_sorted_by_what_has_to_change() {
        for (code, param, class) in [
            ("resource_missing", "payment_method", Class::Method),
            ("", "payment_method", Class::Method),
            ("payment_intent_incompatible_payment_method", "payment_method", Class::Method),
            ("payment_intent_incompatible_payment_method", "currency", Class::Payment),
            ("resource_missing", "customer", Class::Payment),
            ("amount_too_small", "amount", Class::Payment),
            ("parameter_invalid_integer", "amount", Class::Payment),
            ("", "metadata[order]", Class::Payment),
            ("parameter_unknown", "payment_method_types", Class::Account),
            ("parameter_unknown", "description", Class::Account),
            ("resource_missing", "intent", Class::Account),
            ("payment_method_unactivated", "", Class::Account),
            ("", "", Class::Account),
            ("brand_new", "", Class::Unlisted),
            ("", "confirmation_token", Class::Unlisted),
        ] {
            assert_eq!(rules().class(&refusal(code, param)), class, "{code} {param}");
        }
    }

    // S1.22
    #[test]
    fn what_has_no_code_is_sorted_by_what_is_said() {
        let said = |param: &str, message: &str| {
            rules().class(&Refusal { message: format!("HTTP 400: {message}"), ..refusal("", param) })
        };

        for spent in [
            "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, or was \
             detached from a Customer. It may not be used again.",
            "This PaymentMethod was previously used without being attached to a Customer or was detached from a Customer, \
             and may not be used again.",
        ] {
            assert_eq!((said("", spent), said("payment_method", spent)), (Class::Method, Class::Method));
        }
        for of_another in [
            "The PaymentMethod pm_1 does not belong to the Customer you supplied cus_1.",
            "The `payment_method` parameter supplied pm_1 belongs to the Customer cus_1.",
            "The payment method you provided is attached to a customer so for security purposes you must provide it.",
        ] {
            assert_eq!(said("payment_method", of_another), Class::Payment);
        }
        assert_eq!(said("", "Invalid Stripe API version"), Class::Account);
    }

    // S1.22
    #[test]
    fn what_is_rejected_alike_three_times_fails() {
        let rules = rules();

        for (class, fate) in [(Class::Account, Fate::Waits), (Class::Unlisted, Fate::OnHold)] {
            let fates = [0, 1, 2].map(|before| rules.fate(class, before));
            assert_eq!(fates, [fate, fate, Fate::Fails]);
        }
        assert_eq!(rules.fate(Class::Method, 0), Fate::NewMethod);
        assert_eq!(rules.fate(Class::Payment, 0), Fate::Fails);
    }
}

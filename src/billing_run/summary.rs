//! The summary of a billing run: how many payments and how much money stand at each status, and why.

use crate::domain::{clock::Time, event::Capture};
use dunlin_jobs::{Currency, Money, PaymentId};
use serde::{Deserialize, Serialize, Serializer};
use std::{collections::BTreeMap, fmt};

/// How many reasons are told apart; those that come later are counted together.
const MOST_REASONS: usize = 100;
const OTHER_REASONS: &str = "other";

/// What the server tells of a payment, as far as the run cares.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Told {
    pub(super) id: PaymentId,
    status: String,
    amount: i64,
    currency: Currency,
    failure: Option<Failure>,
    capture: Capture,
    process_at: Option<Time>,
    updated_at: Time,
}

#[derive(Debug, Clone, Deserialize)]
struct Failure {
    code: String,
}

impl Told {
    /// Whether nothing happens to it by itself in a moment: it is final, or waits for its day or a person.
    pub(super) fn is_settled(&self) -> bool {
        match self.status.as_str() {
            "pending" => {
                self.capture == Capture::Deferred || self.process_at.is_some_and(|at| at > self.updated_at)
            }
            status => status != "processing",
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    #[serde(rename = "payments", serialize_with = "flat")]
    standing: BTreeMap<(String, String), Standing>,
    /// Why attempts failed: the gateway's code, and how many payments it was told of.
    reasons: BTreeMap<String, u64>,
}

/// Payments of one status and currency.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Standing {
    count: u64,
    /// None when it is too large to be told.
    total: Option<Money>,
}

impl Summary {
    pub(super) fn add(&mut self, payment: &Told) {
        let money = Money::new(payment.amount, payment.currency).ok();
        let key = (payment.status.clone(), payment.currency.code().to_owned());
        let of_none = || Standing { count: 0, total: Money::new(0, payment.currency).ok() };
        let standing = self.standing.entry(key).or_insert_with(of_none);
        standing.count += 1;
        standing.total = standing.total.zip(money).and_then(|(total, money)| total.checked_add(money).ok());
        let Some(failure) = payment.failure.as_ref().filter(|_| payment.status != "succeeded") else {
            return;
        };
        let is_new = !self.reasons.contains_key(&failure.code);
        let is_full = self.reasons.len() >= MOST_REASONS;
        let reason = if is_new && is_full { OTHER_REASONS } else { failure.code.as_str() };
        *self.reasons.entry(reason.to_owned()).or_default() += 1;
    }

    /// Whether every payment is paid.
    pub fn is_all_paid(&self) -> bool {
        self.standing.keys().all(|(status, _)| status == "succeeded")
    }
}

/// One line for each status and currency, then one for each reason.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((status, currency), Standing { count, total }) in &self.standing {
            let total =
                total.map_or_else(|| format!("more than can be told {currency}"), |total| total.to_string());
            writeln!(f, "{status:<16} {count:>9} {total:>22}")?;
        }
        for (reason, count) in &self.reasons {
            writeln!(f, "  {reason:<30} {count:>9}")?;
        }
        Ok(())
    }
}

fn flat<S: Serializer>(
    standing: &BTreeMap<(String, String), Standing>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Line<'a> {
        status: &'a str,
        currency: &'a str,
        count: u64,
        amount: Option<i64>,
    }
    serializer.collect_seq(standing.iter().map(|((status, currency), Standing { count, total })| Line {
        status,
        currency,
        count: *count,
        amount: total.map(Money::minor),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn told(status: &str, amount: i64, currency: &str, code: Option<&str>) -> Told {
        let id = "pay_00000000000000000000000000000000";
        let failure = code.map(|code| json!({ "code": code }));
        let payment = json!({ "id": id, "status": status, "amount": amount, "currency": currency, "failure": failure,
                "capture": "now", "process_at": null, "updated_at": "2026-11-22T00:00:00Z" });
        serde_json::from_value(payment).unwrap()
    }

    #[test]
    fn money_is_added_by_status_and_currency_and_never_wrongly() {
        let mut summary = Summary::default();
        for (status, amount, currency, code) in [
            ("succeeded", 1250, "EUR", None),
            ("succeeded", 50, "EUR", Some("insufficient_funds")),
            ("failed", 7, "JPY", Some("stolen_card")),
            ("succeeded", i64::MAX, "USD", None),
            ("succeeded", i64::MAX, "USD", None),
        ] {
            summary.add(&told(status, amount, currency, code));
        }

        let expected = json!({
            "payments": [
                { "status": "failed", "currency": "JPY", "count": 1, "amount": 7 },
                { "status": "succeeded", "currency": "EUR", "count": 2, "amount": 1300 },
                { "status": "succeeded", "currency": "USD", "count": 2, "amount": Value::Null },
            ],
            "reasons": { "stolen_card": 1 },
        });
        assert_eq!(json!(summary), expected);
        assert!(!summary.is_all_paid());
        assert!(summary.to_string().contains("13.00 EUR"), "{summary}");
    }

    #[test]
    fn reasons_have_a_bound() {
        let mut summary = Summary::default();

        for n in 0..200 {
            summary.add(&told("failed", 1, "EUR", Some(&format!("code_{n}"))));
        }

        assert_eq!(summary.reasons.len(), MOST_REASONS + 1);
        assert_eq!(summary.reasons.values().sum::<u64>(), 200);
    }

    #[test]
    fn what_waits_for_its_day_or_for_somebody_is_not_waited_for() {
        let at = |process_at: &str| Told {
            process_at: Some(process_at.parse().unwrap()),
            ..told("pending", 1, "EUR", None)
        };

        assert!(!told("pending", 1, "EUR", None).is_settled());
        assert!(!at("2026-11-22T00:00:00Z").is_settled(), "it was asked for");
        assert!(at("2026-11-23T00:00:00Z").is_settled());
        assert!(Told { capture: Capture::Deferred, ..told("pending", 1, "EUR", None) }.is_settled());
    }
}

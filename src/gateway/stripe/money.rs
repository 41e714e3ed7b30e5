//! Amounts as Stripe counts them, which is not always as ISO 4217 does
//! (docs.stripe.com/currencies#minor-units).

use dunlin_jobs::{Currency, Money};

/// Stripe's largest amount: eight digits.
const MAX: i64 = 99_999_999;

/// How Stripe's units relate to ISO's minor units.
enum Units {
    Same,
    /// Two decimals at Stripe, none in ISO.
    Hundredfold,
    /// None at Stripe, two in ISO.
    Hundredth,
    /// Three decimals in both, of which the last must be 0.
    Tenths,
}

fn units(currency: Currency) -> Units {
    match (currency.code(), currency.exponent()) {
        ("ISK" | "UGX", 0) => Units::Hundredfold,
        ("MGA", 2) => Units::Hundredth,
        (_, 3) => Units::Tenths,
        _ => Units::Same,
    }
}

/// The amount and the currency as they are sent, or why they cannot be.
pub(super) fn to_stripe(money: Money) -> Result<(i64, String), String> {
    let minor = money.minor();
    let amount = match units(money.currency()) {
        Units::Same => minor,
        Units::Hundredfold => minor.saturating_mul(100),
        Units::Hundredth if minor % 100 == 0 => minor / 100,
        Units::Hundredth => return Err(format!("Stripe takes {} in whole units only", money.currency())),
        Units::Tenths if minor % 10 == 0 => minor,
        Units::Tenths => {
            return Err(format!("Stripe takes {} with a last decimal of 0 only", money.currency()));
        }
    };
    if amount > MAX {
        return Err(format!("{money} is more than Stripe takes in one charge"));
    }
    Ok((amount, money.currency().code().to_ascii_lowercase()))
}

/// The money that Stripe names, in our units.
pub(super) fn from_stripe(amount: i64, currency: &str) -> Option<Money> {
    let currency: Currency = currency.parse().ok()?;
    let minor = match units(currency) {
        Units::Same | Units::Tenths => amount,
        Units::Hundredfold if amount % 100 == 0 => amount / 100,
        Units::Hundredfold => return None,
        Units::Hundredth => amount.checked_mul(100)?,
    };
    Money::new(minor, currency).ok()
}

/// An amount that cannot be read in our units is certainly not the one that was asked for.
pub(super) fn named(amount: i64, currency: &str) -> Money {
    from_stripe(amount, currency).unwrap_or_else(|| {
        let fallback = "EUR".parse().expect("EUR is a currency");
        Money::new(-1, fallback).expect("-1 is an amount")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor: i64, code: &str) -> Money {
        Money::new(minor, code.parse().unwrap()).unwrap()
    }

    #[test]
    fn amounts_are_counted_as_stripe_does_and_back() {
        for (minor, code, sent) in [
            (1250, "EUR", 1250),
            (1250, "JPY", 1250),
            (1250, "ISK", 125_000),
            (1250, "UGX", 125_000),
            (1200, "MGA", 12),
            (1250, "KWD", 1250),
        ] {
            let (amount, currency) = to_stripe(money(minor, code)).unwrap();
            assert_eq!((amount, currency.as_str()), (sent, code.to_ascii_lowercase().as_str()));
            assert_eq!(from_stripe(amount, &currency), Some(money(minor, code)));
        }
    }

    #[test]
    fn what_stripe_cannot_take_is_refused() {
        for (minor, code) in [(1251, "KWD"), (1250, "MGA"), (100_000_000, "EUR"), (1_000_000, "ISK")] {
            assert!(to_stripe(money(minor, code)).is_err(), "{minor} {code}");
        }
    }
}

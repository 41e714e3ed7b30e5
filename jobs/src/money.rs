//! Money: whole minor units beside an ISO 4217 currency, with checked arithmetic only.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// An ISO 4217 currency in use that has minor units to count in: no metals, no funds, none that was
/// replaced. Written in capitals, read in either case.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

/// Why an amount or a currency is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// The code is not in ISO 4217, or names something without minor units, such as gold.
    #[error("unknown currency {0:?}: give an ISO 4217 code such as \"EUR\"")]
    UnknownCurrency(String),
    /// Two amounts of different currencies met.
    #[error("cannot combine {0} with {1}")]
    CurrencyMismatch(Currency, Currency),
    /// More decimals than the currency has.
    #[error("{text:?} has more decimals than {currency}, which has {exponent}")]
    ExcessDecimals {
        /// The amount as it was given.
        text: String,
        /// Its currency.
        currency: Currency,
        /// How many decimals the currency has.
        exponent: u16,
    },
    /// Not a plain decimal number.
    #[error("{0:?} is not an amount: write digits, with a point before the decimals, such as \"12.50\"")]
    Malformed(String),
    /// The amount does not fit.
    #[error("the amount is too large: at most {max} in minor units", max = Money::MAX_MINOR)]
    Overflow,
}

/// An amount of money. Zero and negative amounts can be held; who takes an amount says what it accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Money {
    #[serde(rename = "amount")]
    minor: i64,
    currency: Currency,
}

impl Money {
    /// The largest amount, in minor units: every JSON reader holds it exactly (2^53 - 1).
    pub const MAX_MINOR: i64 = 9_007_199_254_740_991;

    /// An amount in minor units: 1250 with EUR is 12.50 euros, with JPY 1250 yen, with KWD 1.250 dinars.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] beyond [`Money::MAX_MINOR`] either way.
    pub fn new(minor: i64, currency: Currency) -> Result<Self, MoneyError> {
        let fits = (-Self::MAX_MINOR..=Self::MAX_MINOR).contains(&minor);
        if fits { Ok(Self { minor, currency }) } else { Err(MoneyError::Overflow) }
    }

    /// Reads an amount in major units, such as "12.50", without ever passing through a float.
    ///
    /// # Errors
    /// [`MoneyError::Malformed`], [`MoneyError::ExcessDecimals`] or [`MoneyError::Overflow`].
    pub fn parse_major(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let malformed = || MoneyError::Malformed(text.chars().take(40).collect());
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, decimals) = match digits.split_once('.') {
            Some((_, "")) => return Err(malformed()),
            Some(parts) => parts,
            None => (digits, ""),
        };
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(decimals) {
            return Err(malformed());
        }
        let exponent = usize::from(currency.exponent());
        if decimals.len() > exponent {
            return Err(MoneyError::ExcessDecimals {
                text: text.chars().take(40).collect(),
                currency,
                exponent: currency.exponent(),
            });
        }
        let minor: i64 =
            format!("{whole}{decimals:0<exponent$}").parse().map_err(|_| MoneyError::Overflow)?;
        Self::new(if negative { -minor } else { minor }, currency)
    }

    /// The amount in minor units.
    pub fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// Adds two amounts of one currency.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`] or [`MoneyError::Overflow`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch(self.currency, other.currency));
        }
        Self::new(self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?, self.currency)
    }
}

impl fmt::Display for Money {
    /// Major units with the currency's own number of decimals: `12.50 EUR`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minor < 0 { "-" } else { "" };
        let exponent = usize::from(self.currency.exponent());
        let digits = format!("{:0>width$}", self.minor.unsigned_abs(), width = exponent + 1);
        let (whole, decimals) = digits.split_at(digits.len() - exponent);
        let point = if exponent == 0 { "" } else { "." };
        write!(f, "{sign}{whole}{point}{decimals} {}", self.currency)
    }
}

impl Currency {
    /// The three capital letters.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals the currency has: JPY 0, EUR 2, KWD 3.
    pub fn exponent(self) -> u16 {
        self.0.exponent().unwrap_or(0)
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let unknown = || MoneyError::UnknownCurrency(text.chars().take(16).collect());
        if text.len() != 3 {
            return Err(unknown());
        }
        iso_currency::Currency::from_code(&text.to_ascii_uppercase())
            .filter(|currency| currency.exponent().is_some() && currency.is_superseded().is_none())
            .filter(|currency| !currency.is_fund() && !currency.is_special())
            .map(Self)
            .ok_or_else(unknown)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Currency {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Currency".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let letters = if generator.contract().is_serialize() { "^[A-Z]{3}$" } else { "^[A-Za-z]{3}$" };
        schemars::json_schema!({ "type": "string", "pattern": letters, "description": "ISO 4217." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn minor_units_follow_the_currency() {
        for (text, code, minor) in [
            ("12.50", "EUR", 1250),
            ("12.5", "EUR", 1250),
            ("12", "EUR", 1200),
            ("1250", "JPY", 1250),
            ("1.250", "KWD", 1250),
            ("-0.01", "USD", -1),
        ] {
            let money = Money::parse_major(text, currency(code)).unwrap();
            assert_eq!(money.minor(), minor, "{text} {code}");
        }
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for text in ["", ".", "1.", ".5", "1,50", "1e3", "+1", "--1", " 1", "0x1", "١", "NaN", "1.2.3"] {
            let refused = Money::parse_major(text, currency("EUR"));
            assert!(matches!(refused, Err(MoneyError::Malformed(_))), "{text:?}");
        }
        let excess = Money::parse_major("1.5", currency("JPY"));
        assert!(matches!(excess, Err(MoneyError::ExcessDecimals { exponent: 0, .. })));
        let huge = Money::parse_major("99999999999999999999", currency("EUR"));
        assert_eq!(huge, Err(MoneyError::Overflow));
    }

    #[test]
    fn sums_neither_wrap_nor_mix_currencies() {
        let most = Money::new(Money::MAX_MINOR, currency("EUR")).unwrap();
        let cent = Money::new(1, currency("EUR")).unwrap();
        let dollar = Money::new(100, currency("USD")).unwrap();

        assert_eq!(most.checked_add(cent), Err(MoneyError::Overflow));
        assert!(matches!(cent.checked_add(dollar), Err(MoneyError::CurrencyMismatch(..))));
        assert_eq!(Money::new(i64::MIN, currency("EUR")), Err(MoneyError::Overflow));
    }

    #[test]
    fn codes_are_read_in_either_case_and_nothing_else_is() {
        assert_eq!(currency("eur"), currency("EUR"));
        for code in ["", "EU", "EURO", "XAU", "XXX", "USN", "HRK", "ZZZ", "€€€", "ÄÖÜ"] {
            assert!(code.parse::<Currency>().is_err(), "{code:?}");
        }
    }

    proptest! {
        #[test]
        fn every_amount_survives_its_text(
            minor in -Money::MAX_MINOR..=Money::MAX_MINOR,
            code in prop::sample::select(vec!["EUR", "JPY", "KWD", "CLP", "UYU"]),
        ) {
            let money = Money::new(minor, currency(code)).unwrap();
            let text = money.to_string();
            let (amount, _) = text.split_once(' ').unwrap();
            prop_assert_eq!(Money::parse_major(amount, currency(code)), Ok(money));
        }
    }
}

//! A currency says which amounts Stripe takes in it (docs.stripe.com/currencies).

use crate::problem::Problem;

/// What Stripe charges in.
const KNOWN: &str = "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd \
                     cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq \
                     gyd hkd hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd \
                     lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk \
                     php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top \
                     try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer zar zmw";

const NO_DECIMALS: [&str; 15] =
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"];
const THREE_DECIMALS: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];
/// They have no decimals any more, and are still sent with two.
const WHOLE_HUNDREDS: [&str; 2] = ["isk", "ugx"];

/// The least that is charged, in the units that are sent.
const MINIMUMS: [(&str, u64); 24] = [
    ("aed", 200),
    ("aud", 50),
    ("bgn", 100),
    ("brl", 50),
    ("cad", 50),
    ("chf", 50),
    ("czk", 1500),
    ("dkk", 250),
    ("eur", 50),
    ("gbp", 30),
    ("hkd", 400),
    ("huf", 17_500),
    ("inr", 50),
    ("jpy", 50),
    ("mxn", 1000),
    ("myr", 200),
    ("nok", 300),
    ("nzd", 50),
    ("pln", 200),
    ("ron", 200),
    ("sek", 300),
    ("sgd", 50),
    ("thb", 1000),
    ("usd", 50),
];

pub(crate) fn check(currency: &str) -> Result<(), Problem> {
    if KNOWN.split_whitespace().any(|known| known == currency) {
        return Ok(());
    }
    let message =
        format!("Invalid currency: {currency}. Stripe currently supports these currencies: {KNOWN}");
    Err(Problem::wrong("currency", message))
}

/// Whether an amount can be charged; that it is above 0 and has no more than eight digits is known.
pub(crate) fn check_amount(amount: u64, currency: &str) -> Result<(), Problem> {
    let invalid = |message: String| Err(Problem::parameter("parameter_invalid_integer", "amount", message));
    if THREE_DECIMALS.contains(&currency) && !amount.is_multiple_of(10) {
        return invalid(format!("Invalid amount: the last digit of an amount in {currency} must be 0."));
    }
    if WHOLE_HUNDREDS.contains(&currency) && !amount.is_multiple_of(100) {
        return invalid(format!("Invalid amount: an amount in {currency} must be divisible by 100."));
    }
    let least = MINIMUMS.iter().find(|(known, _)| *known == currency).map_or(1, |(_, least)| *least);
    if amount < least {
        let message = format!("Amount must be at least {}", spoken(least, currency));
        return Err(Problem::parameter("amount_too_small", "amount", message));
    }
    Ok(())
}

fn spoken(amount: u64, currency: &str) -> String {
    if NO_DECIMALS.contains(&currency) {
        return format!("{amount} {currency}");
    }
    format!("{}.{:02} {currency}", amount / 100, amount % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_currency_takes_what_stripe_takes_in_it() {
        for (amount, currency) in [
            (50, "usd"),
            (30, "gbp"),
            (50, "jpy"),
            (17_550, "huf"),
            (101, "twd"),
            (1, "mga"),
            (1250, "kwd"),
            (500, "isk"),
            (500, "ugx"),
        ] {
            assert!(check_amount(amount, currency).is_ok(), "{amount} {currency}");
        }
        for (amount, currency) in [
            (49, "usd"),
            (29, "gbp"),
            (49, "jpy"),
            (17_499, "huf"),
            (1255, "kwd"),
            (550, "isk"),
            (501, "ugx"),
        ] {
            assert!(check_amount(amount, currency).is_err(), "{amount} {currency}");
        }
    }

    #[test]
    fn every_rule_is_about_a_currency_that_is_known() {
        let named = NO_DECIMALS.iter().chain(&THREE_DECIMALS).chain(&WHOLE_HUNDREDS);
        for currency in named.chain(MINIMUMS.iter().map(|(currency, _)| currency)) {
            assert!(check(currency).is_ok(), "{currency}");
        }
        for unknown in ["xyz", "xts", "usd eur", ""] {
            assert!(check(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn a_minimum_is_said_in_the_currencys_own_units() {
        assert_eq!(spoken(50, "usd"), "0.50 usd");
        assert_eq!(spoken(50, "jpy"), "50 jpy");
    }
}

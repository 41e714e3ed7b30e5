//! The version is which of Stripe's APIs a caller speaks, by the date of its release, and what each takes that others
//! refuse.

use crate::{form::Form, message::Request, problem::Problem, route::Write};

/// What callers speak that name none.
const DEFAULT: &str = "2025-01-27.acacia";

/// Every release from before they had names (docs.stripe.com/changelog).
const DATED: &str = "2014-10-07 2014-11-05 2014-11-20 2014-12-08 2014-12-17 2014-12-22 2015-01-11 2015-01-26 2015-02-10 \
                     2015-02-16 2015-02-18 2015-03-24 2015-04-07 2015-06-15 2015-07-07 2015-07-13 2015-07-28 2015-08-07 \
                     2015-08-19 2015-09-03 2015-09-08 2015-09-23 2015-10-01 2015-10-12 2015-10-16 2016-02-03 2016-02-19 \
                     2016-02-22 2016-02-23 2016-02-29 2016-03-07 2016-06-15 2016-07-06 2016-10-19 2017-01-27 2017-02-14 \
                     2017-04-06 2017-05-25 2017-06-05 2017-08-15 2017-12-14 2018-01-23 2018-02-05 2018-02-06 2018-02-28 \
                     2018-05-21 2018-07-27 2018-08-23 2018-09-06 2018-09-24 2018-10-31 2018-11-08 2019-02-11 2019-02-19 \
                     2019-03-14 2019-05-16 2019-08-14 2019-09-09 2019-10-08 2019-10-17 2019-11-05 2019-12-03 2020-03-02 \
                     2020-08-27 2022-08-01 2022-11-15 2023-08-16 2023-10-16 2024-04-10 2024-06-20";

/// Every release that has a name; each has a `.preview` beside it.
const NAMED: [(&str, &str); 5] = [
    ("acacia", "2024-09-30 2024-10-28 2024-11-20 2024-12-18 2025-01-27 2025-02-24"),
    ("basil", "2025-03-31 2025-04-30 2025-05-28 2025-06-30 2025-07-30 2025-08-27"),
    ("clover", "2025-09-30 2025-10-29 2025-11-17 2025-12-15 2026-01-28 2026-02-25"),
    ("dahlia", "2026-03-25 2026-04-22 2026-05-27 2026-06-24 2026-07-29 2026-08-26"),
    ("endive", "2026-09-30 2026-10-28"),
];

/// The first release that takes `allowed_payment_method_types`
/// (docs.stripe.com/changelog/dahlia/2026-07-29/allowed-payment-method-types-parameter).
const ALLOWS_TYPES: &str = "2026-07-29";
/// The first one that takes `payment_method_types` no longer, and the preview of it
/// (docs.stripe.com/changelog/endive/2026-09-30/removes-the-payment-method-types-parameter-from-payment-intents-and-setup-intents).
const TAKES_TYPES_NO_LONGER: (&str, &str) = ("2026-09-30", "2026-08-26.preview");

/// What may not stand beside `allowed_payment_method_types`.
const OTHER_WAYS: [&str; 4] = [
    "payment_method_types",
    "excluded_payment_method_types",
    "automatic_payment_methods",
    "payment_method_configuration",
];

/// Refuses a version that never was.
pub(crate) fn check(request: &Request) -> Result<(), Problem> {
    match request.header("stripe-version") {
        Some(version) if !is_known(version) => {
            Err(Problem::invalid(format!("Invalid Stripe API version: {version}")))
        }
        Some(_) | None => Ok(()),
    }
}

/// The version that answers are in.
pub(crate) fn spoken(request: &Request) -> &str {
    request.header("stripe-version").filter(|version| is_known(version)).unwrap_or(DEFAULT)
}

/// Holds a request to the parameters of its version.
pub(crate) fn hold(request: &Request, write: Write<'_>, form: &Form) -> Result<(), Problem> {
    let is_intent = matches!(
        write,
        Write::Create | Write::Update(_) | Write::Confirm(_) | Write::CreateSetup | Write::ConfirmSetup(_)
    );
    if !is_intent {
        return Ok(());
    }
    let version = spoken(request);
    let (date, preview) = TAKES_TYPES_NO_LONGER;
    if (version >= date || version == preview) && form.has("payment_method_types") {
        let message = "Specifying payment method types on the server with `payment_method_types` is no longer supported. \
                       Use `allowed_payment_method_types`, or remove it for dynamic payment methods.";
        return Err(Problem::parameter(
            "payment_method_types_no_longer_supported",
            "payment_method_types",
            message,
        ));
    }
    if !form.has("allowed_payment_method_types") {
        return Ok(());
    }
    if version < ALLOWS_TYPES {
        return Err(Problem::unknown("allowed_payment_method_types"));
    }
    match OTHER_WAYS.iter().find(|other| form.has(other)) {
        Some(other) => Err(Problem::wrong(
            "allowed_payment_method_types",
            format!("You may only specify one of these parameters: allowed_payment_method_types, {other}."),
        )),
        None => Ok(()),
    }
}

fn is_known(version: &str) -> bool {
    let listed = |dates: &str, date: &str| dates.split_whitespace().any(|known| known == date);
    match version.split_once('.') {
        None => listed(DATED, version),
        Some((date, "preview")) => NAMED.iter().any(|(_, dates)| listed(dates, date)),
        Some((date, name)) => NAMED.iter().any(|(known, dates)| *known == name && listed(dates, date)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_known_by_its_date_and_its_name() {
        for version in [
            "2016-07-06",
            "2024-06-20",
            "2025-01-27.acacia",
            "2025-08-27.basil",
            "2026-02-25.clover",
            "2026-08-26.preview",
            "2026-09-30.endive",
        ] {
            assert!(is_known(version), "{version}");
        }
        for version in [
            "",
            "2025",
            "2024-06-21",
            "2026-09-30.dahlia",
            "2026-07-15.dahlia",
            "2025-01-27.sahara",
            "2025-01-99.acacia",
            "2025-01-27",
            "2025-01-28.preview",
        ] {
            assert!(!is_known(version), "{version}");
        }
    }
}

//! The version is which of Stripe's APIs a caller speaks, by the date of its release.

use crate::{message::Request, problem::Problem};

/// What callers speak that name none.
const DEFAULT: &str = "2025-01-27.acacia";

/// Releases from before they had names, those that clients still ask for.
const DATED: [&str; 12] = [
    "2017-12-14",
    "2018-11-08",
    "2019-05-16",
    "2019-12-03",
    "2020-03-02",
    "2020-08-27",
    "2022-08-01",
    "2022-11-15",
    "2023-08-16",
    "2023-10-16",
    "2024-04-10",
    "2024-06-20",
];

/// The names, and the months in which their releases began and ended.
const NAMED: [(&str, &str, &str); 5] = [
    ("acacia", "2024-09", "2025-02"),
    ("basil", "2025-03", "2025-08"),
    ("clover", "2025-09", "2026-02"),
    ("dahlia", "2026-03", "2026-12"),
    ("preview", "2024-09", "2026-12"),
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

fn is_known(version: &str) -> bool {
    let Some((date, name)) = version.split_once('.') else { return DATED.contains(&version) };
    let [month, day] = [date.get(..7), date.get(8..)].map(Option::unwrap_or_default);
    let is_date = date.len() == 10
        && date.get(7..8) == Some("-")
        && day.parse().is_ok_and(|day: u8| (1..=31).contains(&day));
    is_date && NAMED.iter().any(|(known, first, last)| *known == name && (*first..=*last).contains(&month))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_known_by_its_date_and_its_name() {
        for version in ["2024-06-20", "2025-01-27.acacia", "2025-08-27.basil", "2026-02-25.clover"] {
            assert!(is_known(version), "{version}");
        }
        for version in [
            "",
            "2025",
            "2024-06-21",
            "2026-08-27.basil",
            "2025-01-27.sahara",
            "2025-01-99.acacia",
            "2025-01-27",
        ] {
            assert!(!is_known(version), "{version}");
        }
    }
}

//! How commands write and read times, spans and money, and whether they may use colours.

use crate::domain::clock::Time;
use chrono::TimeDelta;
use dunlin_jobs::{Currency, Money};
use serde::{Serialize, Serializer};
use std::{
    io::{IsTerminal, stdout},
    time::Duration,
};

/// A moment, such as `2026-11-22 04:24:44`. Everything that is told is told in UTC.
pub(super) fn moment(at: Time) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// How long something is, by its two largest units: `3 days 2 h`, `24 h`, `45 s`.
pub(super) fn length(span: TimeDelta) -> String {
    let seconds = span.num_seconds().max(0);
    let two = |(large, large_unit): (i64, &str), (small, small_unit): (i64, &str)| match small {
        0 => format!("{large} {large_unit}"),
        small => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => two((seconds / 60, "min"), (seconds % 60, "s")),
        3600..172_800 => two((seconds / 3600, "h"), (seconds / 60 % 60, "min")),
        _ => two((seconds / 86_400, "days"), (seconds / 3600 % 24, "h")),
    }
}

/// An amount of minor units as people write it: `12.50 EUR`.
pub(super) fn money(minor: i64, currency: Currency) -> String {
    Money::new(minor, currency).map_or_else(|_| format!("{minor} {currency}"), |money| money.to_string())
}

/// Seconds with three decimals, as a JSON number.
pub(super) fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let text = format!("{}.{:03}", duration.as_secs(), duration.subsec_millis());
    let number: serde_json::Number = serde_json::from_str(&text).map_err(serde::ser::Error::custom)?;
    number.serialize(serializer)
}

/// Reads a span of time, such as `90d`.
pub(super) fn span(text: &str) -> Result<TimeDelta, String> {
    let read = || {
        let (at, unit) = text.char_indices().last()?;
        let count: i64 = text.get(..at)?.parse().ok().filter(|count| *count > 0)?;
        match unit {
            'm' => TimeDelta::try_minutes(count),
            'h' => TimeDelta::try_hours(count),
            'd' => TimeDelta::try_days(count),
            'w' => TimeDelta::try_weeks(count),
            _ => None,
        }
    };
    let longest = TimeDelta::days(MAX_DAYS);
    read().filter(|span| *span <= longest).ok_or_else(|| {
        format!("write a whole number and m, h, d or w, such as 12h or 90d, of at most {MAX_DAYS} days")
    })
}

const MAX_DAYS: i64 = 3650;

/// Whether standard output is looked at by a person who wants colours (no-color.org).
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(bool);

impl Paint {
    pub(super) fn detect() -> Self {
        let asked_not = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self(stdout().is_terminal() && !asked_not && !dumb)
    }

    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self(false)
    }

    /// A status in the colour of what it asks of whoever reads it.
    pub(super) fn status(self, status: &str) -> String {
        match status {
            "succeeded" => self.good(status),
            "failed" | "needs_review" | "parked" => self.bad(status),
            "retrying" | "requires_action" | "unknown" => self.colour(33, status),
            _ => status.to_owned(),
        }
    }

    pub(super) fn good(self, text: &str) -> String {
        self.colour(32, text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.colour(31, text)
    }

    /// What is read first.
    pub(super) fn strong(self, text: &str) -> String {
        self.colour(1, text)
    }

    /// What matters less.
    pub(super) fn faint(self, text: &str) -> String {
        self.colour(2, text)
    }

    fn colour(self, code: u8, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        assert_eq!(span("90d"), Ok(TimeDelta::days(90)));
        assert_eq!(span("12h"), Ok(TimeDelta::hours(12)));
        assert_eq!(span("30m"), Ok(TimeDelta::minutes(30)));
        assert_eq!(span("2w"), Ok(TimeDelta::days(14)));
        for wrong in
            ["", "d", "90", "-1d", "0d", "1.5d", "90 d", "90D", "1y", "3651d", "99999999999999d", "9ä"]
        {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_length_is_told_by_its_two_largest_units() {
        for (seconds, told) in [
            (-5, "0 s"),
            (45, "45 s"),
            (90, "1 min 30 s"),
            (3600, "1 h"),
            (88_200, "24 h 30 min"),
            (180_000, "2 days 2 h"),
        ] {
            assert_eq!(length(TimeDelta::seconds(seconds)), told);
        }
    }

    #[test]
    fn nothing_is_coloured_that_is_not_looked_at() {
        assert_eq!(Paint(false).status("failed"), "failed");
        assert_eq!(Paint(true).status("failed"), "\u{1b}[31mfailed\u{1b}[0m");
        assert_eq!(Paint(true).status("pending"), "pending");
    }
}

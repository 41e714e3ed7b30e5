//! What the demo came to: both ledgers compared, and an example of each kind.

use super::{
    super::{
        say, table,
        words::{Paint, seconds},
    },
    examples::Example,
};
use crate::audit::Findings;
use serde::Serialize;
use std::time::Duration;

#[derive(Debug, Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    pub(super) findings: Findings,
    pub(super) refused_rows: u64,
    pub(super) examples: Vec<Example>,
    #[serde(serialize_with = "seconds")]
    pub(super) seconds: Duration,
}

impl Shown {
    pub(super) fn tell(&self, paint: Paint) {
        let findings = &self.findings;
        say(format_args!("5. {}", paint.strong("The gateway's ledger against ours:")));
        for (what, count) in [
            ("payments", findings.payments),
            ("succeeded", findings.succeeded),
            ("  recovered by retry", findings.recovered_by_retry),
            ("waiting for customer", findings.requires_action),
            ("failed", findings.failed),
            ("still unknown", findings.unknown),
            ("lost answers found", findings.resolved_unknowns),
            ("refused rows", self.refused_rows),
            ("double captures", findings.double_captures),
            ("lost", findings.lost),
        ] {
            say(format_args!("   {what:<20} {count}"));
        }
        let (expected, seen) = (findings.captures_expected, findings.captures_seen);
        let verdict = if findings.agree() { paint.good("equal") } else { paint.bad("NOT EQUAL") };
        say(format_args!("captures expected {expected}, captures seen {seen}: {verdict}"));

        say(format_args!("\n{}", paint.strong("One payment of each kind:")));
        let row = |example: &Example| {
            [example.payment.clone(), paint.status(&example.status), example.shows.to_owned()]
        };
        let rows: Vec<_> = self.examples.iter().map(row).collect();
        let lines = table::lines(["PAYMENT", "STATUS", "WHAT IT SHOWS"], &rows);
        for line in lines {
            say(format_args!("   {line}"));
        }
    }
}

//! `dunlin bench`: what it measures, and that a fast run with a wrong ledger is a failed one.

use super::{Ended, run};
use crate::support::{database::Database, process::folder};
use serde_json::Value;
use std::path::Path;

/// A run of one round that is too short to measure anything and long enough to tell everything.
fn bench(folder: &Path, arguments: &[&str]) -> Ended {
    let short = ["bench", "--charges", "60", "--clients", "8", "--rounds", "1", "--json", "--folder"];
    run(folder, &[&short[..], &[folder.to_str().unwrap()], arguments].concat(), &[])
}

/// The object on the last line.
fn figures(ended: &Ended) -> Value {
    serde_json::from_str(ended.out.lines().last().unwrap()).unwrap()
}

#[track_caller]
fn figure(figures: &Value, name: &str) -> u64 {
    figures[name].as_u64().unwrap_or_else(|| panic!("{name}: {figures}"))
}

/// What every run of all legs tells.
#[track_caller]
fn assert_measured(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    let figures = figures(ended);
    for rate in ["payments_per_s", "accepted_per_s", "enqueued_per_s", "billing_accepted_per_s"] {
        assert!(figure(&figures, rate) > 0, "{rate}: {figures}");
    }
    for rate in ["billing_payments_per_s", "insert_payments_per_s", "cpu_us_per_payment_all"] {
        assert!(figure(&figures, rate) > 0, "{rate}: {figures}");
    }
    for span in ["accept", "accept_to_attempt_load", "accept_to_attempt_half_load", "accept_to_attempt_idle"]
    {
        let (half, last) = (format!("{span}_p50_us"), format!("{span}_p99_us"));
        assert!(figure(&figures, &half) <= figure(&figures, &last), "{span}: {figures}");
    }
    let (rate, floor) = (figure(&figures, "payments_per_s"), figure(&figures, "floor_payments_per_s"));
    let ratio = rate * 1000 / floor;
    let ratio: Value = format!("{}.{:03}", ratio / 1000, ratio % 1000).parse().unwrap();
    assert_eq!(figures["ratio_to_floor"], ratio);
    // Each of idle, load, half and billing has sent sixty; what is only enqueued is not captured.
    assert_eq!(figure(&figures, "captures_expected"), 240);
    assert_eq!(figure(&figures, "captures_seen"), 240);
    assert_eq!((figure(&figures, "double_captures"), figure(&figures, "lost")), (0, 0));
    assert_eq!(figures["agree"], true);
    figures
}

#[test]
fn a_bench_on_sqlite_measures_every_leg_and_leaves_nothing() {
    let (_folder, path) = folder();

    let ended = bench(&path, &[]);

    let figures = assert_measured(&ended);
    assert!(figures["wal_bytes_per_payment"].is_null(), "SQLite does not tell: {figures}");
    assert!(figure(&figures, "written_bytes_per_payment_serve") > 0);
    assert!(figure(&figures, "peak_rss_mib_serve") > 0);
    let left: Vec<_> = std::fs::read_dir(&path).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_bench_on_postgres_measures_its_roles_and_what_the_server_counts() {
    let database = Database::postgres().await;
    let (_folder, path) = folder();

    let ended = bench(&path, &["--store", &database.url, "--workers", "2", "--apis", "2"]);

    let figures = assert_measured(&ended);
    for role in ["api", "worker", "sandbox", "clients"] {
        assert!(figure(&figures, &format!("peak_rss_mib_{role}")) > 0, "{role}: {figures}");
    }
    assert!(figure(&figures, "wal_bytes_per_payment") > 1000, "{figures}");
    assert_ne!(figures["commits_per_payment"].to_string(), "null", "{figures}");
}

#[test]
fn charges_that_are_not_made_fail_the_run() {
    let (_folder, path) = folder();

    let ended = bench(&path, &["--legs", "load", "--card", "pm_card_chargeDeclined"]);

    ended.assert_failed(&["60 payments were to be charged, and 0 were"]);
    assert_eq!(figures(&ended)["agree"], false);
    assert!(ended.out.contains("FAILED"), "{}", ended.out);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let (_folder, path) = folder();

    let ended = bench(&path, &["--gateway-latency", "soon"]);

    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(ended.err.contains("such as 50ms"), "{}", ended.err);
}

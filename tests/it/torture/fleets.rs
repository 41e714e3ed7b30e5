//! `dunlin torture --fleet` itself: short runs of each sort of blow, and what a run leaves behind.

use super::cells::break_off;
use crate::{private::folders_of, support::process::dunlin};
use serde_json::Value;
use std::fs;

/// Runs a fleet and gives its figures; nothing may be doubled, lost, falsely failed or stuck.
fn survive(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let output = dunlin()
        .args(["torture", "--fleet", "--json", "--workers", "2", "--every", "1", "--rate", "20"])
        .args(arguments)
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    let figures: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    for name in ["double_captures", "lost", "false_failed", "stuck", "double_refunds", "lost_refunds"] {
        assert_eq!(figures[name], 0, "{figures}");
    }
    assert_eq!(figures["captures_seen"], figures["captures_expected"], "{figures}");
    assert!(figures["captures_seen"].as_u64().unwrap() > 50, "{figures}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    figures
}

// S1.7, S5.6
#[test]
fn a_fleet_over_postgres_survives_every_blow() {
    let figures = survive(&["--seconds", "15", "--store", "postgres"]);

    for blow in ["kill", "stop", "pause", "term", "restart-postgres", "network"] {
        assert!(figures["blows"][blow].as_u64() > Some(0), "{blow}: {figures}");
    }
}

// S5.1
#[test]
fn a_fleet_loses_nothing_when_redis_forgets_everything_every_second() {
    let blows = ["--blows", "flush,restart-redis,kill", "--store", "postgres+redis"];
    let figures = survive(&[&["--seconds", "10"], &blows[..]].concat());

    assert!(figures["blows"]["flush"].as_u64() > Some(1), "{figures}");
    assert!(figures["blows"]["restart-redis"].as_u64() > Some(1), "{figures}");
}

// S5.7
#[test]
fn a_rolling_restart_leaves_no_outcome_unknown() {
    let figures = survive(&["--seconds", "10", "--blows", "term", "--faults", "0"]);

    assert!(figures["blows"]["term"].as_u64() > Some(0), "{figures}");
    assert_eq!(figures["once_unknown"], 0, "{figures}");
    assert_eq!(figures["server_errors"], 0, "{figures}");
}

#[test]
fn a_blow_that_does_not_apply_is_refused() {
    let output = dunlin().args(["torture", "--fleet", "--blows", "flush"]).output().unwrap();

    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("--blows flush needs a store with +redis"), "{said}");
}

#[test]
fn a_fleet_that_is_broken_off_leaves_nothing_behind() {
    // The sandbox, two APIs and four workers.
    let run = break_off(&["torture", "--fleet", "--store", "postgres+redis"], 7);

    assert_eq!(folders_of(run), Vec::<String>::new());
}

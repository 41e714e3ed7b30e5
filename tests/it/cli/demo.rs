//! `dunlin demo`: the proof in one command.

use super::run;
use crate::support::process::folder;
use serde_json::Value;

#[test]
fn the_demo_ends_with_figures_that_agree() {
    let (_folder, path) = folder();

    let ended = run(&path, &["demo", "--json"], &[]);

    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    let figures: Value = serde_json::from_str(ended.out.lines().last().unwrap()).unwrap();
    let figure = |name: &str| figures[name].as_u64().unwrap_or_else(|| panic!("{name}: {figures}"));
    assert_eq!(figure("payments"), 1998);
    assert_eq!(figure("refused_rows"), 2);
    assert!(ended.err.contains("line 614") && ended.err.contains("line 1488"), "{}", ended.err);
    let ended_so = ["succeeded", "failed", "requires_action", "unknown", "retrying", "canceled"];
    assert_eq!(ended_so.iter().map(|name| figure(name)).sum::<u64>(), figure("payments"));
    assert_eq!(figure("captures_expected"), figure("succeeded"));
    assert_eq!(figure("captures_seen"), figure("captures_expected"));
    assert_eq!((figure("double_captures"), figure("lost"), figure("unknown")), (0, 0, 0));
    // README of the examples: declined once or twice and then approved, or declined while the answer was lost.
    assert!(figure("recovered_by_retry") >= 160, "{figures}");
    assert!(figures["seconds"].is_number());
}

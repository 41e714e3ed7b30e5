//! `dunlin demo`: the proof in one command, and what it leaves to look at.

use super::{Ended, run};
use crate::support::process::{dunlin, folder};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

#[test]
fn the_demo_ends_with_figures_that_agree() {
    let (_folder, path) = folder();

    let ended = run(&path, &["demo", "--json"], &[]);

    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    let figures: Value = serde_json::from_str(ended.out.lines().last().unwrap()).unwrap();
    let figure = |name: &str| figures[name].as_u64().unwrap_or_else(|| panic!("{name}: {figures}"));
    assert_eq!(figure("payments"), 1999, "those of the file, and the one at the checkout");
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
    let examples = figures["examples"].as_array().unwrap();
    let kinds: Vec<_> = examples
        .iter()
        .map(|example| (example["kind"].as_str().unwrap(), example["status"].as_str().unwrap()))
        .collect();
    let expected = [
        ("recovered_by_retry", "succeeded"),
        ("waiting_for_customer", "requires_action"),
        ("resolved_unknown", "succeeded"),
        ("asked_at_checkout", "requires_action"),
    ];
    assert_eq!(kinds, expected);
    assert!(!ended.out.contains('\u{1b}'), "no colours where nobody looks");
}

/// A demo that stays, and what it has said up to where it waits.
struct Kept {
    child: std::process::Child,
    said: String,
}

impl Kept {
    fn start(folder: &Path) -> Self {
        let mut command = dunlin();
        command.args(["demo", "--keep", "--charges", "400"]).env("TMPDIR", folder).current_dir(folder);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = String::new();
        for line in BufReader::new(child.stdout.as_mut().unwrap()).lines().map(Result::unwrap) {
            said = said + &line + "\n";
            if line.contains("/timeline ") {
                break;
            }
        }
        Self { child, said }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs lines that it suggests, as they are printed, and tells what the last one said.
fn paste(folder: &Path, lines: &[&str]) -> String {
    let output = Command::new("bash").args(["-euc", &lines.join("\n")]).current_dir(folder).output();
    let ended = Ended::from(output.unwrap());
    assert_eq!(ended.code, Some(0), "{lines:?}\n{}{}", ended.out, ended.err);
    ended.out
}

#[test]
fn a_kept_demo_is_looked_at_with_the_commands_that_it_prints() {
    let (_folder, path) = folder();
    let mut kept = Kept::start(&path);

    let (_, suggested) = kept.said.split_once("In another terminal:").expect("it says where to look");
    let lines: Vec<_> = suggested.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let [export, list, show, timeline] = lines[..] else { panic!("{suggested}") };
    let (listed, story) = (paste(&path, &[export, list]), paste(&path, &[export, show]));
    let timeline: Value = serde_json::from_str(&paste(&path, &[export, timeline])).unwrap();
    let bank = kept.said.split_whitespace().find(|word| word.contains("/challenge/")).expect("next_action");
    let page = paste(&path, &[&format!("curl -sS --fail {bank}")]);
    let docs = kept.said.split_whitespace().find(|word| word.ends_with("/docs")).unwrap();
    paste(&path, &[&format!("curl -sS --fail {docs} >/dev/null")]);
    let id = kept.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());

    assert!(listed.lines().skip(1).all(|line| line.contains("requires_action")), "{listed}");
    assert!(listed.lines().count() > 2, "{listed}");
    assert!(story.contains("insufficient_funds") && story.contains("Attempt 2"), "{story}");
    assert!(timeline["data"].as_array().is_some_and(|entries| entries.len() > 3), "{timeline}");
    assert!(page.contains("<form"), "{page}");
    assert!(kept.child.wait().unwrap().success(), "it ends with 0");
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0, "and leaves nothing");
}

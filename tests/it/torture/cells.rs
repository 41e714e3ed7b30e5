//! `dunlin torture` itself: the matrix of places, deeds and databases, and what a run leaves behind.

use crate::support::{
    database::server,
    process::{dunlin, signal},
};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
};

/// How many cells, or as many as `TORTURE_CELLS` says: each place with each deed over each of the three.
const CELLS: &str = "500";

#[test]
fn a_process_hurt_at_any_place_neither_loses_nor_doubles_a_charge() {
    #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
    let cells = std::env::var("TORTURE_CELLS").unwrap_or_else(|_| CELLS.to_owned());
    let folder = tempfile::tempdir().unwrap();

    let output = dunlin()
        .args(["torture", "--json", "--cells", &cells])
        .args(["--store", "sqlite", "--store", &server(), "--store", &format!("{}+redis", server())])
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();

    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    let figures: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    let figure = |name: &str| figures[name].as_u64().unwrap_or_else(|| panic!("{name}: {figures}"));
    assert_eq!(figure("cells").to_string(), cells);
    for name in ["double_captures", "lost", "false_failed", "stuck"] {
        assert_eq!(figure(name), 0, "{figures}");
    }
    for name in ["double_refunds", "lost_refunds", "over_refunds", "false_failed_refunds", "false_disputes"] {
        assert_eq!(figure(name), 0, "{figures}");
    }
    assert_eq!(figure("captures_seen"), figure("captures_expected"));
    assert!(figure("captures_seen") > figure("cells"), "{figures}");
    assert_eq!(figure("refunds_seen"), figure("refunds_expected"));
    assert!(figure("refunds_seen") > figure("cells") / 2, "{figures}");
    assert_eq!(figure("disputes_seen"), figure("disputes_expected"));
    // A place that is not met proves nothing.
    assert!(figure("blows_fallen") * 10 >= figure("blows") * 9, "{figures}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn no_cell_begins_after_the_time_is_up() {
    let folder = tempfile::tempdir().unwrap();

    let output = dunlin()
        .args(["torture", "--json", "--seconds", "3", "--cells", "100000"])
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();

    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{out}{}", String::from_utf8_lossy(&output.stderr));
    let figures: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert!((1..1000).contains(&figures["cells"].as_u64().unwrap()), "{figures}");
}

#[test]
fn a_run_that_is_broken_off_leaves_nothing_behind() {
    break_off(&["torture", "--cells", "100000"], 4);
}

/// Starts a run, waits until it has so many processes, and sends it Ctrl-C: none of them may be left, and no file. Gives
/// its process id.
pub(super) fn break_off(arguments: &[&str], processes: usize) -> u32 {
    let folder = tempfile::tempdir().unwrap();
    let mut run = dunlin()
        .args(arguments)
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let running = || count_processes(folder.path().to_str().unwrap());
    while running() < processes {
        assert!(run.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }

    signal(&run, "INT");

    let code = run.wait().unwrap().code();
    let said: Vec<_> = BufReader::new(run.stderr.take().unwrap()).lines().map_while(Result::ok).collect();
    assert_eq!(code, Some(1), "{said:?}");
    assert!(said.iter().any(|line| line.contains("broken off")), "{said:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(running(), 0);
    run.id()
}

/// How many processes run whose settings or arguments name the folder, but for the one that has made it.
fn count_processes(folder: &str) -> usize {
    let names = |path: &std::path::Path, file: &str| {
        let text = fs::read(path.join(file)).unwrap_or_default();
        String::from_utf8_lossy(&text).contains(&format!("{folder}/dunlin-torture"))
    };
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    all.filter(|path| names(path, "cmdline") || names(path, "environ")).count()
}

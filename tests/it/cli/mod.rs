//! The command line: what each command says, and how it ends.

mod bench;
mod cards;
mod charge;
mod completions;
mod dead_letters;
mod demo;
mod gateways;
mod holds;
mod jobs;
mod keys;
mod payments;
mod refunds;
mod restore;
mod settings;
mod starting;

use crate::support::process::dunlin;
use std::{path::Path, process::Output};

/// A command's end: its exit code and what it said.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs a command that ends by itself, in a folder of its own.
fn run(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Ended {
    let mut command = dunlin();
    command.args(arguments).current_dir(folder).env("DUNLIN_DATA_DIR", folder).envs(settings.iter().copied());
    command.output().unwrap().into()
}

impl Ended {
    #[track_caller]
    fn assert_failed(&self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{}{}", self.out, self.err);
        for word in words {
            assert!(self.err.contains(word), "{word:?} is missing: {}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
    }
}

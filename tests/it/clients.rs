//! Stripe's own libraries, unmodified, against the sandbox: whether it speaks their wire is theirs to judge.

use crate::support::process::dunlin;
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A running `dunlin sandbox` on a free port.
struct Sandbox {
    child: Child,
    url: String,
}

impl Sandbox {
    fn start() -> Self {
        let mut command = dunlin();
        command.args(["sandbox", "--listen", "127.0.0.1:0", "--with-parent"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("sandbox listening on ").expect("an address").to_owned();
        Self { child, url }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Where others' programs are installed; without them the suite fails rather than passing without its judges.
pub(crate) fn installed() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
    std::env::var("DUNLIN_TEST_CLIENTS")
        .expect(
            "DUNLIN_TEST_CLIENTS names the folder of others' programs: run scripts/test, which installs them",
        )
        .into()
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Runs a script against a sandbox of its own, and shows what it said if it fails.
fn passes(command: &mut Command) {
    let sandbox = Sandbox::start();

    let output = command.env("SANDBOX_URL", &sandbox.url).output().unwrap();

    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{}", said.concat());
}

#[test]
fn stripes_python_library_takes_the_sandbox_for_stripe() {
    passes(Command::new(installed().join("python/bin/python")).arg("-B").arg(script("stripe_test.py")));
}

#[test]
fn stripes_node_library_takes_the_sandbox_for_stripe() {
    let modules = installed().join("node/node_modules");
    passes(Command::new("node").arg("--test").arg(script("stripe_test.cjs")).env("NODE_PATH", modules));
}

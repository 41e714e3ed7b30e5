//! The keeper: a shell that ends a server and removes its folder when we were killed and could not.

use rustix::process::Signal;
use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

/// Its standard input closes with us; whatever we have left is its own to end.
const SCRIPT: &str = r#"
cat >/dev/null
[ -d "$1" ] || exit 0
if pid=$(cat "$1/pid" 2>/dev/null) && kill -s "$2" "$pid" 2>/dev/null; then
    tries=100
    while [ $tries -gt 0 ] && kill -0 "$pid" 2>/dev/null; do tries=$((tries - 1)); sleep 0.1; done
    kill -s KILL "$pid" 2>/dev/null
fi
rm -rf "$1"
"#;

#[derive(Debug)]
pub(super) struct Keeper {
    shell: Child,
}

impl Keeper {
    /// Watches over a folder in which a file `pid` names the process.
    pub(super) fn of(folder: &Path, last: Signal) -> std::io::Result<Self> {
        let last = if last == Signal::QUIT { "QUIT" } else { "TERM" };
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SCRIPT, "dunlin-keeper"]).arg(folder).arg(last).stdin(Stdio::piped());
        // Ctrl-C is told to a whole group of processes, and this one is not to hear it.
        std::os::unix::process::CommandExt::process_group(&mut shell, 0);
        Ok(Self { shell: shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn()? })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

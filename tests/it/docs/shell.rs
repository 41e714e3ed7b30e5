//! A reader's shell, which stays open from block to block and ends with the first command that fails.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

#[derive(Debug)]
pub(super) struct Shell {
    bash: Child,
    input: ChildStdin,
    said: Receiver<String>,
    /// What is to be run lies here, so that commands do not read it as their input.
    script: PathBuf,
}

/// How long one block may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// Follows a block's output.
const END: &str = "-- the block ended --";

impl Shell {
    pub(super) fn open(folder: &Path, script: PathBuf, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new("bash");
        command
            .args(["--norc", "-eu"])
            .current_dir(folder)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0);
        let mut bash = command.spawn().unwrap();
        let mut input = bash.stdin.take().unwrap();
        writeln!(input, "exec 2>&1").unwrap();
        let output = BufReader::new(bash.stdout.take().unwrap());
        let (says, said) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.split(b'\n').map_while(Result::ok) {
                let _ = says.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Self { bash, input, said, script }
    }

    /// Runs a block; tells what it said, as an error where a command failed.
    pub(super) fn run(&mut self, block: &str) -> Result<String, String> {
        fs::write(&self.script, block).unwrap();
        // After a command that failed nobody reads any more, which the missing end tells.
        let _ = writeln!(self.input, ". '{}' </dev/null\nprintf '\\n%s\\n' '{END}'", self.script.display());
        let deadline = Instant::now() + PATIENCE;
        let mut said = String::new();
        loop {
            let Ok(line) = self.said.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
                return Err(said);
            };
            if line == END {
                return Ok(said);
            }
            said.push_str(&line);
            said.push('\n');
        }
    }
}

impl Drop for Shell {
    /// Ends what it has started too.
    fn drop(&mut self) {
        let group = format!("-{}", self.bash.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.bash.wait();
    }
}

//! Replicas: an API and workers in processes of their own, over one PostgreSQL and one sandbox.

use super::{
    database::Database,
    process::{Caller, dunlin, folder, signal},
};
use std::{
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
};
use tempfile::{NamedTempFile, TempDir};

/// What the replicas of a test share.
#[derive(Debug)]
pub(crate) struct Replicas {
    pub(crate) database: Database,
    pub(crate) path: PathBuf,
    pub(crate) sandbox: String,
    settings: Vec<(String, String)>,
    _sandbox: Replica,
    _folder: TempDir,
}

/// One process, ended with this value.
#[derive(Debug)]
pub(crate) struct Replica {
    child: Child,
    /// What it said after `prefix` on its first line.
    pub(crate) said: String,
    output: BufReader<ChildStdout>,
    log: NamedTempFile,
}

impl Replicas {
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        Self::with_latency("0", settings).await
    }

    /// The same at a gateway that thinks before it answers.
    pub(crate) async fn with_latency(latency_ms: &str, settings: &[(&str, &str)]) -> Self {
        let database = Database::postgres().await;
        let (folder, path) = folder();
        let mut command = dunlin();
        command.args(["sandbox", "--listen", "127.0.0.1:0", "--latency-ms", latency_ms]);
        let process = Replica::start(command, "sandbox listening on ");
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = settings.collect();
        Self { database, path, sandbox: process.said.clone(), settings, _sandbox: process, _folder: folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = dunlin();
        command
            .args(arguments)
            .env("DUNLIN_STORE__URL", &self.database.url)
            .env("DUNLIN_DATA_DIR", &self.path)
            .env("DUNLIN_SANDBOX__START", "false")
            .env("DUNLIN_GATEWAYS__SANDBOX__BASE_URL", &self.sandbox)
            .env("DUNLIN_LOG__LEVEL", "error")
            .envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn api(&self) -> Replica {
        Replica::start(self.command(&["api", "--listen", "127.0.0.1:0"]), "dunlin listening on ")
    }

    pub(crate) fn worker(&self, arguments: &[&str]) -> Replica {
        Replica::start(self.command(&[&["worker"], arguments].concat()), "dunlin worker runs: ")
    }

    /// What a process says that does not start.
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }

    /// A caller of that API, with the key of development.
    pub(crate) fn caller(&self, api: &Replica) -> Caller {
        let key = std::fs::read_to_string(self.path.join("development-key")).unwrap();
        Caller::new(&api.said, key.trim())
    }
}

impl Replica {
    fn start(mut command: Command, prefix: &str) -> Self {
        let log = NamedTempFile::new().unwrap();
        let errors = log.reopen().unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let said = line.trim_end().strip_prefix(prefix).unwrap_or_else(|| {
            child.kill().unwrap();
            panic!("{line:?}: {}", std::fs::read_to_string(log.path()).unwrap())
        });
        let said = said.to_owned();
        Self { child, said, output, log }
    }

    /// The rest of the next line, after this prefix.
    pub(crate) fn next_line(&mut self, prefix: &str) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().strip_prefix(prefix).unwrap_or_else(|| panic!("{line:?}")).to_owned()
    }

    /// Sends it a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// SIGTERM, and all that it has written to its log.
    pub(crate) fn terminate_saying(mut self) -> String {
        self.signal("TERM");
        self.child.wait().unwrap();
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        let _ = self.output.read_to_end(&mut Vec::new());
        self.child.wait().unwrap()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

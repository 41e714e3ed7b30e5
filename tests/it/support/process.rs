//! Processes: dunlin as its users start it, killed for real.

use super::database::Database;
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    time::{Duration, Instant},
};

/// The program under test.
pub(crate) fn dunlin() -> Command {
    Command::new(env!("CARGO_BIN_EXE_dunlin"))
}

/// Sends a process a signal, by its name.
pub(crate) fn signal(process: &Child, name: &str) {
    let id = process.id().to_string();
    assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
}

/// A running `dunlin serve`.
#[derive(Debug)]
pub(crate) struct Serve {
    child: Child,
    errors: Option<BufReader<ChildStderr>>,
    pub(crate) url: String,
    pub(crate) sandbox: String,
    pub(crate) key: String,
    /// The command that it suggests.
    pub(crate) curl: String,
}

impl Serve {
    /// Starts it on a free port over the database, with its data in `folder`, and waits until it listens.
    pub(crate) fn start(database: &Database, folder: &Path, settings: &[(&str, &str)]) -> Self {
        Self::start_saying(database, folder, settings, Stdio::piped())
    }

    /// The same with its standard error led elsewhere.
    pub(crate) fn start_saying(
        database: &Database,
        folder: &Path,
        settings: &[(&str, &str)],
        errors: Stdio,
    ) -> Self {
        let mut command = dunlin();
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("DUNLIN_STORE__URL", &database.url)
            .env("DUNLIN_DATA_DIR", folder)
            .env("DUNLIN_LOG__LEVEL", "error")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(errors);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = |prefix: &str| {
            let line = lines.next().expect("dunlin starts").unwrap();
            line.strip_prefix(prefix).unwrap_or_else(|| panic!("{line:?}")).to_owned()
        };
        let url = said("dunlin listening on ");
        let other = settings.iter().find(|(name, _)| *name == "DUNLIN_GATEWAYS__SANDBOX__BASE_URL");
        let sandbox = other.map_or_else(|| said("sandbox gateway on "), |(_, url)| (*url).to_owned());
        let key = std::fs::read_to_string(folder.join("development-key")).unwrap().trim().to_owned();
        let curl = lines.by_ref().map_while(Result::ok).find(|line| line.starts_with("curl "));
        let curl = curl.expect("a charge to try");
        // Whoever writes to a closed pipe dies of it, so the rest is read too.
        std::thread::spawn(move || lines.for_each(drop));
        let errors = child.stderr.take().map(BufReader::new);
        Self { child, errors, url, sandbox, key, curl }
    }

    /// Waits until it stands at its failpoint.
    pub(crate) fn wait_for_failpoint(&mut self) {
        let errors = self.errors.as_mut().expect("read once");
        let mut line = String::new();
        while !line.starts_with("failpoint ") {
            line.clear();
            assert_ne!(errors.read_line(&mut line).unwrap(), 0, "it ended before its failpoint");
        }
    }

    /// A second process over the same database, folder and sandbox.
    pub(crate) fn start_beside(&self, database: &Database, folder: &Path, settings: &[(&str, &str)]) -> Self {
        let same = [
            ("DUNLIN_SANDBOX__START", "false"),
            ("DUNLIN_GATEWAYS__SANDBOX__BASE_URL", self.sandbox.as_str()),
        ];
        Self::start(database, folder, &[&same, settings].concat())
    }

    /// Sends it a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// SIGKILL: nothing is flushed, nothing is said.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit that follows.
    pub(crate) fn terminate(mut self) -> bool {
        self.signal("TERM");
        self.child.wait().unwrap().success()
    }

    pub(crate) fn client(&self) -> Caller {
        Caller::new(&self.url, &self.key)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Calls the API as a backend would.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    http: reqwest::Client,
    url: String,
    key: String,
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Caller {
    pub(crate) fn new(url: &str, key: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, url: url.to_owned(), key: key.to_owned() }
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let request = self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.key);
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.raw(|http, url| {
            http.patch(format!("{url}{path}"))
                .bearer_auth(&self.key)
                .header("content-type", "application/json")
                .body(body.to_string())
        })
        .await
    }

    /// Posts JSON with a key and further headers.
    pub(crate) async fn post(&self, path: &str, key: Option<&str>, body: &Value) -> Answer {
        self.try_post(path, key, body).await.unwrap()
    }

    pub(crate) async fn try_post(
        &self,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self
            .http
            .post(format!("{}{path}", self.url))
            .bearer_auth(&self.key)
            .header("content-type", "application/json")
            .body(body.to_string());
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        Ok(Answer::of(request.send().await?).await)
    }

    /// Sends a request exactly as it is given.
    pub(crate) async fn raw(
        &self,
        build: impl FnOnce(&reqwest::Client, &str) -> reqwest::RequestBuilder,
    ) -> Answer {
        Answer::of(build(&self.http, &self.url).send().await.unwrap()).await
    }

    /// Asks until the payment has the status, at most for ten seconds.
    pub(crate) async fn wait_for(&self, id: &str, status: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let payment = self.get(&format!("/v1/payments/{id}")).await.body;
            if payment["status"] == status {
                return payment;
            }
            assert!(Instant::now() < deadline, "not {status}: {payment}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Answer {
    async fn of(response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let bytes = response.bytes().await.unwrap_or_default();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Self { status, headers, body }
    }
}

/// The captures in a sandbox's ledger, by payment, read over HTTP.
pub(crate) async fn captures(sandbox: &str) -> std::collections::BTreeMap<String, usize> {
    let caller = Caller::new(sandbox, "");
    let page = caller.get("/_sandbox/captures?after=0&limit=10000").await.body;
    let mut captures = std::collections::BTreeMap::new();
    for capture in page["captures"].as_array().unwrap() {
        *captures.entry(capture["metadata"]["dunlin_payment"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    captures
}

/// A folder for one process's data.
pub(crate) fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    (folder, path)
}

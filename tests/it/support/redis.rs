//! Redis: a private server for each test, which may empty it, kill it and start it again.

use super::process::signal;
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// A running `redis-server`, which keeps nothing on the disk and ends with this value.
#[derive(Debug)]
pub(crate) struct Redis {
    child: Child,
    port: u16,
    folder: TempDir,
}

/// How many ports are tried before it is given up.
const START_TRIES: usize = 20;

impl Redis {
    /// Starts one on a free port and waits until it accepts connections.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Below the range from which the system takes ports for outgoing connections.
        let mut ports = std::iter::repeat_with(|| rand::random_range(20_000..32_000)).take(START_TRIES);
        let started = ports.find_map(|port| Some((spawn(port, &folder)?, port)));
        let (child, port) = started.expect("redis-server starts on one of these ports");
        Self { child, port, folder }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sends a command whose words have no spaces, and gives the first line of the answer.
    pub(crate) fn say(&self, command: &str) -> String {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        connection.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(connection).read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Sends it a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// SIGKILL: its connections break, and what it held is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after [`Self::kill`], empty, where it was.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(self.port, &self.folder).expect("its port is still free");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // A test may have killed it already.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// A server that accepts connections, or none where its port is taken.
fn spawn(port: u16, folder: &TempDir) -> Option<Child> {
    let mut command = Command::new(program());
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
    let mut child = command.arg("--dir").arg(folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let is_ready = lines.any(|line| line.contains("Ready to accept connections"));
    // Whoever writes to a closed pipe dies of it, so the rest is read too.
    std::thread::spawn(move || lines.for_each(drop));
    if !is_ready {
        child.wait().unwrap();
    }
    is_ready.then_some(child)
}

/// The program that `scripts/test` has found; without it the suite fails rather than passing without Redis.
fn program() -> String {
    #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
    std::env::var("DUNLIN_TEST_REDIS_SERVER")
        .expect("DUNLIN_TEST_REDIS_SERVER is the path of redis-server: run scripts/test, which finds it")
}

#[test]
fn a_server_is_private_and_comes_back_empty() {
    let (mut one, other) = (Redis::start(), Redis::start());

    one.say("SET name value");

    assert_ne!(one.url(), other.url());
    assert_eq!((one.say("DBSIZE"), other.say("DBSIZE")), (":1".to_owned(), ":0".to_owned()));
    one.kill();
    one.start_again();
    assert_eq!(one.say("DBSIZE"), ":0");
}

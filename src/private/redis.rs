//! A private Redis that keeps nothing on disk.

use super::{on_path, server::Server};
use anyhow::{Context, bail};
use rustix::process::Signal;
use std::{path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::timeout,
};

const MISSING: &str =
    "redis-server is missing. Debian, Ubuntu: apt-get install redis-server. Elsewhere: put it on the PATH";
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const OK: &[u8] = b"+OK\r\n";

#[derive(Debug)]
pub struct Redis {
    server: Server,
    program: PathBuf,
}

impl Redis {
    pub async fn start() -> anyhow::Result<Self> {
        let program = on_path("redis-server").context(MISSING)?;
        let mut server = Server::new("redis", Signal::TERM)?;
        server.start_somewhere(|server| command(server, &program), is_ready).await?;
        Ok(Self { server, program })
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.server.port)
    }

    pub fn port(&self) -> u16 {
        self.server.port
    }

    pub fn pid(&self) -> Option<u32> {
        self.server.pid()
    }

    /// Ends it, and with it what it holds.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.server.stop(Signal::TERM).await
    }

    /// Starts it after a stop, where it was, and empty.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let command = command(&self.server, &self.program);
        self.server.start(command, is_ready).await
    }

    /// Forgets everything that it holds.
    pub async fn flush_all(&self) -> anyhow::Result<()> {
        let told = async {
            let mut connection = TcpStream::connect(("127.0.0.1", self.server.port)).await?;
            connection.write_all(b"FLUSHALL\r\n").await?;
            let mut answer = [0; OK.len()];
            connection.read_exact(&mut answer).await?;
            anyhow::Ok(answer)
        };
        let answer = timeout(ANSWER_WITHIN, told).await.context("Redis does not answer")??;
        if answer != OK {
            bail!("Redis refused FLUSHALL: {}", String::from_utf8_lossy(&answer));
        }
        Ok(())
    }
}

fn command(server: &Server, program: &PathBuf) -> Command {
    let mut command = Command::new(program);
    command.args(["--bind", "127.0.0.1", "--port", &server.port.to_string()]);
    command.args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir"]).arg(&server.folder);
    command.env_clear();
    command
}

fn is_ready(server: &Server) -> bool {
    server.log().contains("Ready to accept connections")
}

//! A private PostgreSQL: an empty cluster that nobody else knows.

use super::{on_path, server::Server};
use anyhow::{Context, bail};
use rustix::process::Signal;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tokio::process::Command;

/// Where Debian puts them, a folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";
const MISSING: &str = "PostgreSQL's server programs (initdb, postgres) are missing. Debian, Ubuntu: apt-get install \
    postgresql. Elsewhere: put them on the PATH";
/// fsync stays on: durability is part of what is shown.
const SETTINGS: &str = "listen_addresses = '127.0.0.1'\nmax_connections = 200\nfsync = on\n";

#[derive(Debug)]
pub struct Postgres {
    server: Server,
    programs: PathBuf,
    user: Option<User>,
}

/// How it is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Connections are closed, and everything is written down.
    Fast,
    /// As though its power had failed: what was committed is recovered at the next start.
    Immediate,
}

/// Whom it runs as, since it refuses to run as root.
#[derive(Debug, Clone, Copy)]
struct User {
    id: u32,
    group: u32,
}

impl Postgres {
    /// Makes a cluster and starts it.
    pub async fn start() -> anyhow::Result<Self> {
        let programs = find_programs().context(MISSING)?;
        let user = User::beside_root().await?;
        let server = Server::new("postgres", Signal::QUIT)?;
        let mut postgres = Self { server, programs, user };
        postgres.make_cluster().await?;
        let (programs, user) = (postgres.programs.clone(), postgres.user);
        postgres.server.start_somewhere(|server| command(server, &programs, user), is_ready).await?;
        Ok(postgres)
    }

    /// The URL of its database, in which its user may do everything.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.server.port)
    }

    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// The postmaster, whose children are the other processes.
    pub fn pid(&self) -> Option<u32> {
        self.server.pid()
    }

    pub async fn stop(&mut self, how: Shutdown) -> anyhow::Result<()> {
        let signal = match how {
            Shutdown::Fast => Signal::INT,
            Shutdown::Immediate => Signal::QUIT,
        };
        self.server.stop(signal).await
    }

    /// Starts it after a stop, where it was.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let command = command(&self.server, &self.programs, self.user);
        self.server.start(command, is_ready).await
    }

    async fn make_cluster(&self) -> anyhow::Result<()> {
        let folder = &self.server.folder;
        if let Some(user) = self.user {
            std::os::unix::fs::chown(folder, Some(user.id), Some(user.group))?;
        }
        let data = data(&self.server);
        let made = as_user(&self.programs.join("initdb"), folder, self.user)
            .arg("-D")
            .arg(&data)
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"])
            .process_group(0)
            .kill_on_drop(true)
            .output()
            .await
            .context("initdb could not be started")?;
        if !made.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        }
        let file = data.join("postgresql.conf");
        let sockets = format!("unix_socket_directories = '{}'\n", folder.display());
        let settings = fs::read_to_string(&file)? + SETTINGS + &sockets;
        Ok(fs::write(&file, settings)?)
    }
}

impl User {
    /// The user `postgres`, where we are root.
    async fn beside_root() -> anyhow::Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let none = "PostgreSQL refuses to run as root, and there is no user postgres";
        let id = async |of: &str| -> anyhow::Result<u32> {
            let output = Command::new("id").args([of, "postgres"]).output().await.context(none)?;
            String::from_utf8_lossy(&output.stdout).trim().parse().context(none)
        };
        Ok(Some(Self { id: id("-u").await?, group: id("-g").await? }))
    }
}

/// The folder of the newest server programs.
fn find_programs() -> Option<PathBuf> {
    let version = |folder: &PathBuf| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let newest = versions.filter(|folder| folder.join("bin/initdb").is_file()).max_by_key(version);
    let initdb = || Some(on_path("initdb")?.canonicalize().ok()?.parent()?.to_owned());
    newest.map(|folder| folder.join("bin")).or_else(initdb)
}

/// One of PostgreSQL's client programs: that of the PATH, else the newest of Debian's.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let beside_server = || Some(find_programs()?.join(name)).filter(|program| program.is_file());
    on_path(name).or_else(beside_server)
}

fn command(server: &Server, programs: &Path, user: Option<User>) -> Command {
    let mut command = as_user(&programs.join("postgres"), &server.folder, user);
    command.arg("-D").arg(data(server)).args(["-p", &server.port.to_string()]);
    command
}

/// Nobody's PGHOST or PGPASSWORD reaches it.
fn as_user(program: &Path, folder: &Path, user: Option<User>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().current_dir(folder);
    if let Some(User { id, group }) = user {
        command.uid(id).gid(group);
    }
    command
}

fn data(server: &Server) -> PathBuf {
    server.folder.join("data")
}

/// Its file of itself says whose it is in the first line, and how it is in the eighth.
fn is_ready(server: &Server) -> bool {
    let text = fs::read_to_string(data(server).join("postmaster.pid")).unwrap_or_default();
    let mut lines = text.lines().map(str::trim);
    let is_its_own = lines.next().map(str::to_owned) == server.pid().map(|pid| pid.to_string());
    is_its_own && lines.nth(6) == Some("ready")
}

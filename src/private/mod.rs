//! Private servers: PostgreSQL and Redis for commands that need one. Each has a folder and a port of its own, is seen by
//! this machine alone, and is gone with its value.

mod keeper;
mod postgres;
mod redis;
mod server;

pub use postgres::{Postgres, Shutdown, find_program};
pub use redis::Redis;

use std::path::PathBuf;

/// Where a program stands that is on the PATH.
fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

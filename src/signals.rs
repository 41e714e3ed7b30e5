//! Signals to processes that we have started, and to no others.

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use tokio::process::Child;

/// Sends a signal, unless the process has ended and was waited for: its id may be another's by then.
pub fn send(child: &Child, signal: Signal) -> std::io::Result<()> {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    id.map_or(Ok(()), |id| Ok(kill_process(id, signal)?))
}

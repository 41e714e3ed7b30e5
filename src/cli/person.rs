//! Who runs a command, as far as the machine knows: for whoever asks later.

use std::fs;

/// The user's name and the machine's.
pub(super) fn who() -> String {
    let id = rustix::process::getuid().as_raw();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id.to_string()).then(|| name.to_owned())
    });
    let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.unwrap_or_else(|| format!("user {id}"));
    match machine.trim() {
        "" => name,
        machine => format!("{name} on {machine}"),
    }
}

//! Usage: what processes have taken of the machine, as `/proc` tells it.

use std::{fs, time::Duration};

/// Linux tells processor time in hundredths of a second, whatever the machine.
const TICK: Duration = Duration::from_millis(10);

/// What processes of one role have used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Processor time of all of them.
    pub(super) cpu: Duration,
    /// The largest that one of them was, in KiB.
    pub(super) peak_rss_kib: u64,
    /// What all of them had written to the disk.
    pub(super) written_bytes: u64,
}

impl Usage {
    /// Of these processes; one that is gone has used nothing.
    pub(super) fn of(processes: &[u32]) -> Self {
        let mut all = Self::default();
        for process in processes {
            all.cpu += cpu(*process).unwrap_or_default();
            all.peak_rss_kib = all.peak_rss_kib.max(line(*process, "status", "VmHWM:").unwrap_or(0));
            all.written_bytes += line(*process, "io", "write_bytes:").unwrap_or(0);
        }
        all
    }

    /// What came since; the peak is the whole life's.
    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            peak_rss_kib: self.peak_rss_kib,
            written_bytes: self.written_bytes.saturating_sub(before.written_bytes),
        }
    }
}

/// A process and all that it has started, as far as they run.
pub(super) fn family(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return vec![parent] };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let children =
        ids.filter(|id| stat(*id).is_some_and(|fields| fields.get(1) == Some(&parent.to_string())));
    std::iter::once(parent).chain(children).collect()
}

/// Its own processor time and that of its children that have ended.
fn cpu(process: u32) -> Option<Duration> {
    let fields = stat(process)?;
    let ticks = fields.get(11..15)?.iter().map(|field| field.parse().unwrap_or(0)).sum();
    Some(TICK * ticks)
}

/// The fields of `/proc/PID/stat` behind the name, which may hold anything: the state is the first, the parent the
/// second.
fn stat(process: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// The number behind a name in one of a process's files.
fn line(process: u32, file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_has_memory_and_one_that_is_gone_has_nothing() {
        let own = Usage::of(&[std::process::id()]);

        assert!(own.peak_rss_kib > 0);
        assert_eq!(Usage::of(&[u32::MAX]), Usage::default());
        assert!(family(std::process::id()).contains(&std::process::id()));
    }
}

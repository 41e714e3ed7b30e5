//! The journal is the bank's memory on disk: one line for each entry, written before the answer is given.

use crate::{books::Books, entry::Entry};
use anyhow::{Context, bail};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    line: Vec<u8>,
    is_broken: bool,
}

const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_POLL: Duration = Duration::from_millis(20);

impl Journal {
    /// Locks the file, replays it into the books, and stands at its end.
    pub(crate) fn open(path: &Path, books: &mut Books) -> anyhow::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).with_context(|| format!("open the journal {}", path.display()))?;
        lock(&file, path, LOCK_TIMEOUT)?;
        let end = replay(&file, books).with_context(|| format!("replay the journal {}", path.display()))?;
        let mut journal = Self { file, line: Vec::new(), is_broken: false };
        journal.file.set_len(end)?;
        journal.file.seek(SeekFrom::Start(end))?;
        if end == 0 {
            journal.append(&Entry::Opened { salt: books.salt() })?;
        }
        Ok(journal)
    }

    /// Hands one line to the system; it outlives this process, though perhaps not the machine.
    pub(crate) fn append(&mut self, entry: &Entry) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other("an earlier line was not written"));
        }
        self.line.clear();
        serde_json::to_writer(&mut self.line, entry)?;
        self.line.push(b'\n');
        // After half a line nothing may follow: the next start takes it for a torn one and drops it.
        let written = self.file.write_all(&self.line);
        self.is_broken = written.is_err();
        written
    }
}

/// A process that was killed may hold its lock for a moment longer.
fn lock(file: &File, path: &Path, patience: Duration) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if started.elapsed() < patience => thread::sleep(LOCK_POLL),
            Err(TryLockError::WouldBlock) => {
                bail!("the journal {} is held by another process", path.display())
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("lock the journal {}", path.display()));
            }
        }
    }
}

/// Reads every whole line and returns where the last one ends: a torn one was never answered.
fn replay(file: &File, books: &mut Books) -> anyhow::Result<u64> {
    let mut reader = BufReader::new(file);
    let (mut line, mut end) = (Vec::new(), 0_u64);
    for number in 1_u64.. {
        line.clear();
        let length = reader.read_until(b'\n', &mut line).with_context(|| format!("read line {number}"))?;
        if line.last() != Some(&b'\n') {
            break;
        }
        let entry: Entry =
            serde_json::from_slice(&line).with_context(|| format!("line {number} makes no sense"))?;
        if let Err(reason) = books.check(&entry) {
            bail!("line {number} cannot follow: {reason}");
        }
        books.apply(entry);
        end = end.saturating_add(u64::try_from(length)?);
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_held_is_not_had() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bank.journal");
        let (holder, other) = (File::create(&path).unwrap(), File::open(&path).unwrap());
        lock(&holder, &path, Duration::ZERO).unwrap();

        let error = lock(&other, &path, Duration::ZERO).unwrap_err();

        assert!(error.to_string().contains("held by another process"), "{error}");
    }
}

//! JSON Lines: each line an object as `POST /v1/payments` takes it, with a reference.

use super::{Draft, refusal};
use crate::{billing_run::Refusal, http::read_json};
use anyhow::Context;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};

/// The longest line that is taken, in bytes.
const LONGEST: usize = 64 * 1024;

pub(super) struct Lines<R> {
    file: BufReader<R>,
    line: u64,
    bytes_read: u64,
    text: Vec<u8>,
}

impl<R: Read> Lines<R> {
    pub(super) fn open(file: R) -> Self {
        Self { file: BufReader::new(file), line: 0, bytes_read: 0, text: Vec::new() }
    }

    /// The next line that is not blank.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Result<Draft, Refusal>>> {
        while self.read().context("the file cannot be read on")? {
            self.line += 1;
            if self.text.len() > LONGEST {
                self.skip().context("the file cannot be read on")?;
                let reason = format!("it is longer than {LONGEST} bytes; perhaps a line break is missing");
                return Ok(Some(Err(refusal(self.line, "", reason))));
            }
            let text = self.text.trim_ascii();
            let text = if self.line == 1 { text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text) } else { text };
            if !text.is_empty() {
                return Ok(Some(draft(self.line, text)));
            }
        }
        Ok(None)
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Reads on to the end of the line, or as far as a line may go; false at the end of the file.
    fn read(&mut self) -> std::io::Result<bool> {
        self.text.clear();
        let most = u64::try_from(LONGEST + 1).unwrap_or(u64::MAX);
        let read = self.file.by_ref().take(most).read_until(b'\n', &mut self.text)?;
        self.bytes_read += u64::try_from(read).unwrap_or(0);
        Ok(read > 0)
    }

    /// Leaves out the rest of a line.
    fn skip(&mut self) -> std::io::Result<()> {
        while self.text.last() != Some(&b'\n') && self.read()? {}
        Ok(())
    }
}

fn draft(line: u64, text: &[u8]) -> Result<Draft, Refusal> {
    let refuse = |reference: &str, reason: &str| Err(refusal(line, reference, reason.to_owned()));
    let payment = match read_json(text) {
        Ok(payment) => payment,
        Err(reason) => return refuse("", &reason),
    };
    let Value::Object(fields) = &payment else { return refuse("", "it is no JSON object, {..}") };
    let reference = match fields.get("reference") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(reference)) => reference.clone(),
        Some(_) => return refuse("", "reference: it must be a text"),
    };
    if fields.contains_key("idempotency_key") {
        return refuse(&reference, "idempotency_key: it is made from the reference; leave it out");
    }
    Ok(Draft { line, reference, payment: Ok(payment) })
}

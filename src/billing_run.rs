//! A billing run: a CSV file of charges, read as a stream and sent in batches, each row under a key made from
//! its reference (S2.8).

mod rows;
mod sender;

use futures_util::{StreamExt, stream::FuturesUnordered};
use rows::{Item, Rows};
use secrecy::SecretString;
use sender::Sender;
use serde::Serialize;
use serde_json::Value;
use std::{fmt, io::Read};

/// How many rows go in one request, and how many requests at a time.
const BATCH: usize = 500;
const IN_FLIGHT: usize = 4;

/// The server that takes the payments.
#[derive(Debug, Clone)]
pub struct Target {
    pub url: String,
    pub key: SecretString,
}

/// What a caller may show while the run goes on.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// How many bytes of the file are read.
    Read(u64),
    Refused(&'a Refusal),
}

/// A row that was not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    pub line: u64,
    pub reference: String,
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if !self.reference.is_empty() {
            write!(f, " ({})", self.reference)?;
        }
        write!(f, ": {}", self.reason)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub rows: u64,
    pub accepted: u64,
    /// Of the accepted ones, those that the server knew: from an earlier run, or from a try of this one whose
    /// answer was lost.
    pub replayed: u64,
    pub refused: u64,
}

/// Sends the whole file. Rows that are refused are told and left out; a server that is away is waited for.
pub async fn run(
    target: &Target,
    file: impl Read,
    mut tell: impl FnMut(Progress<'_>),
) -> anyhow::Result<Report> {
    let sender = Sender::new(target)?;
    let mut rows = Rows::open(file)?;
    let mut report = Report::default();
    let mut under_way = FuturesUnordered::new();
    loop {
        let (batch, more) = fill(&mut rows, &mut report, &mut tell)?;
        if !batch.is_empty() {
            under_way.push(sender.send(batch));
        }
        tell(Progress::Read(rows.bytes_read()));
        while under_way.len() >= IN_FLIGHT || (!more && !under_way.is_empty()) {
            let Some(answers) = under_way.next().await else { break };
            take_in(answers?, &mut report, &mut tell);
        }
        if !more {
            return Ok(report);
        }
    }
}

/// Reads the next batch, and whether there may be another after it.
fn fill(
    rows: &mut Rows<impl Read>,
    report: &mut Report,
    tell: &mut impl FnMut(Progress<'_>),
) -> anyhow::Result<(Vec<Item>, bool)> {
    let mut batch = Vec::with_capacity(BATCH);
    while batch.len() < BATCH {
        let Some(row) = rows.next()? else { return Ok((batch, false)) };
        report.rows += 1;
        match row {
            Ok(item) => batch.push(item),
            Err(refusal) => refuse(report, tell, &refusal),
        }
    }
    Ok((batch, true))
}

fn take_in(answers: Vec<(Item, Value)>, report: &mut Report, tell: &mut impl FnMut(Progress<'_>)) {
    for (item, answer) in answers {
        if answer["status"] == 201 {
            report.accepted += 1;
            report.replayed += u64::from(answer["idempotent_replayed"] == true);
            continue;
        }
        let error = &answer["error"];
        let param = error["param"].as_str().map_or_else(String::new, |param| format!("{param}: "));
        let reason = format!("{param}{}", error["detail"].as_str().unwrap_or("refused"));
        refuse(report, tell, &Refusal { line: item.line, reference: item.reference, reason });
    }
}

fn refuse(report: &mut Report, tell: &mut impl FnMut(Progress<'_>), refusal: &Refusal) {
    report.refused += 1;
    tell(Progress::Refused(refusal));
}

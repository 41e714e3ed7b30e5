//! A billing run: a file of charges, read as a stream and sent in batches, each row under a key made from its
//! reference (S2.8).

mod rows;
mod server;
mod summary;
mod waiting;

use anyhow::Context;
use futures_util::{StreamExt, stream::FuturesUnordered};
use rows::{Item, Rows};
use secrecy::SecretString;
use serde::Serialize;
use server::{Answer, Server};
use std::{fmt, io::Read};
pub use summary::Summary;
use tokio::sync::watch;

/// How many rows go in one request at most, how many bytes of them, and how many requests at a time.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 1 << 20;
const IN_FLIGHT: usize = 4;

/// The server that takes the payments.
#[derive(Debug, Clone)]
pub struct Target {
    pub url: String,
    pub key: SecretString,
}

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A header, then a row for each payment; amounts in major units.
    Csv,
    /// A line for each payment, as the API takes it; amounts in minor units.
    Jsonl,
}

/// What the run is to do.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub format: Format,
    /// Whether it waits until no payment is under way.
    pub wait: bool,
}

/// True when the run is to end early: what is sent is counted, the rest of the file is not read.
pub type Stop = watch::Receiver<bool>;

/// What a caller may show while the run goes on.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// How many bytes of the file are read.
    Read(u64),
    Refused(&'a Refusal),
    /// How many payments are settled, of those that are waited for.
    Settled {
        payments: usize,
        of: usize,
    },
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
    /// Whether the run was ended early, reading or waiting.
    pub stopped: bool,
    /// The accepted payments, as they stood when they were last looked at.
    #[serde(flatten)]
    pub summary: Summary,
}

/// Sends the whole file. Rows that are refused are told and left out; a server that is away is waited for.
pub async fn run(
    target: &Target,
    file: impl Read,
    plan: Plan,
    mut stop: Stop,
    mut tell: impl FnMut(Progress<'_>),
) -> anyhow::Result<Report> {
    let server = Server::new(target)?;
    let mut run = Run { plan, report: Report::default(), unsettled: Vec::new(), tell: &mut tell };
    let mut rows = Rows::open(file, plan.format)?;
    if plan.wait {
        // A key that may not read is refused before anything is charged.
        server.check().await?;
    }
    let mut under_way = FuturesUnordered::new();
    loop {
        let (batch, more) = run.fill(&mut rows)?;
        if !batch.is_empty() {
            under_way.push(server.send(batch));
        }
        (run.tell)(Progress::Read(rows.bytes_read()));
        run.report.stopped = more && *stop.borrow();
        let more = more && !run.report.stopped;
        while under_way.len() >= IN_FLIGHT || (!more && !under_way.is_empty()) {
            let Some(answers) = under_way.next().await else { break };
            run.take_in(answers?);
        }
        if !more {
            break;
        }
    }
    let Run { mut report, unsettled, .. } = run;
    let settled = waiting::settle(&server, unsettled, &mut report.summary, &mut stop, &mut tell).await;
    let settled = settled.with_context(|| {
        let Report { rows, accepted, refused, .. } = &report;
        format!(
            "{rows} rows are read, {accepted} accepted and {refused} refused, but how they end is not known"
        )
    })?;
    report.stopped |= !settled;
    Ok(report)
}

/// A run under way.
struct Run<'a, T> {
    plan: Plan,
    report: Report,
    /// Payments that are waited for.
    unsettled: Vec<dunlin_jobs::PaymentId>,
    tell: &'a mut T,
}

impl<T: FnMut(Progress<'_>)> Run<'_, T> {
    /// Reads the next batch, and whether there may be another after it.
    fn fill(&mut self, rows: &mut Rows<impl Read>) -> anyhow::Result<(Vec<Item>, bool)> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut bytes = 0;
        while batch.len() < BATCH && bytes < BATCH_BYTES {
            let Some(row) = rows.next()? else { return Ok((batch, false)) };
            self.report.rows += 1;
            match row {
                Ok(item) => {
                    bytes += item.payment.len();
                    batch.push(item);
                }
                Err(refusal) => self.refuse(&refusal),
            }
        }
        Ok((batch, true))
    }

    fn take_in(&mut self, answers: Vec<(Item, Answer)>) {
        for (item, answer) in answers {
            let Some(payment) = answer.payment else {
                let reason = answer.error.map_or_else(|| "refused".to_owned(), server::Problem::told);
                self.refuse(&Refusal { line: item.line, reference: item.reference, reason });
                continue;
            };
            self.report.accepted += 1;
            self.report.replayed += u64::from(answer.idempotent_replayed);
            if self.plan.wait && !payment.is_settled() {
                self.unsettled.push(payment.id);
            } else {
                self.report.summary.add(&payment);
            }
        }
    }

    fn refuse(&mut self, refusal: &Refusal) {
        self.report.refused += 1;
        (self.tell)(Progress::Refused(refusal));
    }
}

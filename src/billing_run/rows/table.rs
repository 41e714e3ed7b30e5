//! CSV: a header, and a row for each payment, its amount in major units.

use super::{Draft, refusal};
use crate::billing_run::Refusal;
use anyhow::{Context, bail, ensure};
use dunlin_jobs::{Currency, Money};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::{HashSet, VecDeque},
    io::{self, Read},
};

const REQUIRED: [&str; 3] = ["reference", "amount", "currency"];
/// Of these two, one at least: a customer who is known to the server has a method of their own.
const PAYER: [&str; 2] = ["method", "customer"];
const OPTIONAL: [&str; 2] = ["gateway_customer", "description"];

#[derive(Debug, Deserialize)]
struct Row {
    reference: String,
    amount: String,
    currency: String,
    #[serde(default)]
    customer: Option<String>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    gateway_customer: Option<String>,
    #[serde(default)]
    description: Option<String>,
}

pub(super) struct Table<R> {
    reader: csv::Reader<Numbered<R>>,
    header: csv::StringRecord,
    record: csv::ByteRecord,
    /// The first and the last line of the record.
    lines: (u64, u64),
}

impl<R: Read> Table<R> {
    /// Reads the header. A wrong one would refuse every row, so nothing is sent.
    pub(super) fn open(file: R) -> anyhow::Result<Self> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(Numbered::new(file));
        let header = reader.headers().context("line 1: the header cannot be read")?.clone();
        let needed = format!("{}, and {}", REQUIRED.join(", "), PAYER.join(" or "));
        ensure!(!header.is_empty(), "the file is empty: it needs a header with {needed}");
        let mut columns = HashSet::new();
        for (place, column) in header.iter().enumerate() {
            // It is not repeated: where there is no header, it is the first row's.
            if ![&REQUIRED[..], &PAYER, &OPTIONAL].concat().contains(&column) {
                bail!(
                    "line 1: field {} is no column's name; it must be a header with {needed}, and {} if you like, with \
                     commas between",
                    place + 1,
                    OPTIONAL.join(" and ")
                );
            }
            ensure!(columns.insert(column), "line 1: the column {column:?} stands there twice");
        }
        if let Some(missing) = REQUIRED.iter().find(|required| !columns.contains(*required)) {
            bail!("line 1: the column {missing:?} is missing");
        }
        ensure!(
            PAYER.iter().any(|column| columns.contains(column)),
            "line 1: the column \"method\" is missing; without it there must be \"customer\", for customers who have a \
             payment method on the server"
        );
        let record = csv::ByteRecord::new();
        Ok(Self { reader, header, record, lines: (1, 1) })
    }

    /// The next row; none at the end of the file.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Result<Draft, Refusal>>> {
        let begin = self.reader.position().byte();
        let read = self.reader.read_byte_record(&mut self.record);
        let end = self.reader.position().byte();
        self.lines = self.reader.get_mut().lines(begin, end);
        match read {
            Ok(true) => Ok(Some(self.draft())),
            Ok(false) => Ok(None),
            Err(error) => {
                let csv::ErrorKind::UnequalLengths { expected_len, len, .. } = error.kind() else {
                    return Err(error).context("the file cannot be read on");
                };
                let reason =
                    format!("it has {len} fields where the header has {expected_len}{}", self.quote());
                Ok(Some(Err(self.refusal("", reason))))
            }
        }
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.reader.position().byte()
    }

    fn draft(&mut self) -> Result<Draft, Refusal> {
        let record = std::mem::take(&mut self.record);
        let text = csv::StringRecord::from_byte_record(record).map_err(|error| {
            let column = self.header.get(error.utf8_error().field()).unwrap_or("the row");
            self.refusal("", format!("{column}: it is not valid UTF-8"))
        })?;
        let row: Row = text
            .deserialize(Some(&self.header))
            .map_err(|error| self.refusal("", format!("the row cannot be read: {error}")))?;
        if self.lines.1 > self.lines.0 {
            return Err(self.refusal(&row.reference, format!("it goes over several lines{}", self.quote())));
        }
        let payment = payment(&row);
        Ok(Draft { line: self.lines.0, reference: row.reference, payment })
    }

    fn refusal(&self, reference: &str, reason: String) -> Refusal {
        refusal(self.lines.0, reference, reason)
    }

    /// A quote that nobody closes takes in all that follows.
    fn quote(&self) -> String {
        let (first, last) = self.lines;
        if last > first {
            format!(", down to line {last}: perhaps a quote is not closed")
        } else {
            String::new()
        }
    }
}

/// What the row asks for, or which field is wrong.
fn payment(row: &Row) -> Result<Value, String> {
    let currency: Currency = row.currency.parse().map_err(|error| format!("currency: {error}"))?;
    let money = Money::parse_major(&row.amount, currency).map_err(|error| format!("amount: {error}"))?;
    let text = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let mut payment = json!({
        "amount": money.minor(),
        "currency": currency,
        "reference": row.reference,
        "customer": text(&row.customer),
        "description": text(&row.description),
    });
    match (text(&row.method), text(&row.customer), text(&row.gateway_customer)) {
        (Some(method), _, None) => payment["method"] = json!({ "type": "card", "payment_method": method }),
        (Some(method), _, Some(owner)) => {
            payment["method"] =
                json!({ "type": "card", "payment_method": method, "gateway_customer": owner });
        }
        (None, Some(_), None) => {}
        (None, _, Some(_)) => {
            return Err("gateway_customer: it goes with a token of the gateway's: give a method too, or leave it empty"
                .to_owned());
        }
        (None, None, None) => {
            return Err("method: it is empty; give one, or a customer who has one on the server".to_owned());
        }
    }
    Ok(payment)
}

/// A reader that knows where lines begin. The CSV reader's own count is off after blank lines and with CRLF.
struct Numbered<R> {
    inner: R,
    offset: u64,
    line: u64,
    at_begin: bool,
    /// Offset and number of each line that is not blank, from the current record on.
    begins: VecDeque<(u64, u64)>,
}

impl<R> Numbered<R> {
    fn new(inner: R) -> Self {
        Self { inner, offset: 0, line: 1, at_begin: true, begins: VecDeque::new() }
    }

    /// The first and last line of what stands between two offsets; forgets the lines before it.
    fn lines(&mut self, begin: u64, end: u64) -> (u64, u64) {
        while self.begins.front().is_some_and(|(offset, _)| *offset < begin) {
            self.begins.pop_front();
        }
        let mut within = self.begins.iter().take_while(|(offset, _)| *offset < end).map(|(_, line)| *line);
        let first = within.next().unwrap_or(self.line);
        (first, within.last().unwrap_or(first))
    }
}

impl<R: Read> Read for Numbered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        for byte in &buffer[..length] {
            match byte {
                b'\n' => {
                    self.line += 1;
                    self.at_begin = true;
                }
                b'\r' => {}
                _ if self.at_begin => {
                    self.begins.push_back((self.offset, self.line));
                    self.at_begin = false;
                }
                _ => {}
            }
            self.offset += 1;
        }
        Ok(length)
    }
}

//! The rows of a billing run's file: each becomes a payment to send, or is refused by its line.

use super::Refusal;
use crate::domain::card::looks_like_card_number;
use anyhow::{Context, bail, ensure};
use dunlin_jobs::{Currency, Money};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::{HashSet, VecDeque, hash_map::RandomState},
    hash::BuildHasher,
    io::{self, Read},
};

const REQUIRED: [&str; 4] = ["reference", "amount", "currency", "method"];
const OPTIONAL: [&str; 2] = ["customer", "description"];
/// The key made from a reference has 255 bytes at most.
const LONGEST_REFERENCE: usize = 250;

/// A row on its way, with what a refusal is told by.
pub(super) struct Item {
    pub(super) line: u64,
    pub(super) reference: String,
    pub(super) payment: Value,
}

#[derive(Debug, Deserialize)]
struct Row {
    reference: String,
    amount: String,
    currency: String,
    #[serde(default)]
    customer: Option<String>,
    method: String,
    #[serde(default)]
    description: Option<String>,
}

/// A file under way.
pub(super) struct Rows<R> {
    reader: csv::Reader<Numbered<R>>,
    header: csv::StringRecord,
    record: csv::ByteRecord,
    /// The first and the last line of the record.
    lines: (u64, u64),
    seen: Seen,
}

/// The references met so far, as hashes: a million of them fit in a few megabytes.
#[derive(Default)]
struct Seen {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl<R: Read> Rows<R> {
    /// Reads the header. A wrong one would refuse every row, so nothing is sent.
    pub(super) fn open(file: R) -> anyhow::Result<Self> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(Numbered::new(file));
        let header = reader.headers().context("line 1: the header cannot be read")?.clone();
        ensure!(!header.is_empty(), "the file is empty: it needs a header with {}", REQUIRED.join(", "));
        let mut columns = HashSet::new();
        for column in &header {
            if !REQUIRED.contains(&column) && !OPTIONAL.contains(&column) {
                let shown: String = column.chars().take(40).collect();
                bail!(
                    "line 1: there is no column {shown:?}; there are {}, and {} if you like, with commas between",
                    REQUIRED.join(", "),
                    OPTIONAL.join(" and ")
                );
            }
            ensure!(columns.insert(column), "line 1: the column {column:?} stands there twice");
        }
        if let Some(missing) = REQUIRED.iter().find(|required| !columns.contains(*required)) {
            bail!("line 1: the column {missing:?} is missing");
        }
        let record = csv::ByteRecord::new();
        Ok(Self { reader, header, record, lines: (1, 1), seen: Seen::default() })
    }

    /// The next row, or why it is refused; none at the end of the file.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Result<Item, Refusal>>> {
        let begin = self.reader.position().byte();
        let read = self.reader.read_byte_record(&mut self.record);
        let end = self.reader.position().byte();
        self.lines = self.reader.get_mut().lines(begin, end);
        match read {
            Ok(true) => Ok(Some(self.item())),
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

    fn item(&mut self) -> Result<Item, Refusal> {
        let record = std::mem::take(&mut self.record);
        let text = csv::StringRecord::from_byte_record(record).map_err(|error| {
            let column = self.header.get(error.utf8_error().field()).unwrap_or("the row");
            self.refusal("", format!("{column}: it is not valid UTF-8"))
        })?;
        let row: Row = text
            .deserialize(Some(&self.header))
            .map_err(|error| self.refusal("", format!("the row cannot be read: {error}")))?;
        let hash = self.seen.hasher.hash_one(&row.reference);
        let payment = self
            .check(&row.reference, hash)
            .and_then(|()| payment(&row))
            .map_err(|reason| self.refusal(&row.reference, reason))?;
        self.seen.hashes.insert(hash);
        Ok(Item { line: self.lines.0, reference: row.reference, payment })
    }

    fn check(&self, reference: &str, hash: u64) -> Result<(), String> {
        if self.lines.1 > self.lines.0 {
            return Err(format!("it goes over several lines{}", self.quote()));
        }
        if reference.is_empty() {
            return Err("reference: it is empty; each row needs one of its own".to_owned());
        }
        if reference.len() > LONGEST_REFERENCE {
            return Err(format!("reference: at most {LONGEST_REFERENCE} bytes"));
        }
        if self.seen.hashes.contains(&hash) {
            return Err("reference: it stands in an earlier row already".to_owned());
        }
        Ok(())
    }

    /// A card number in the file is not repeated in what is told of it.
    fn refusal(&self, reference: &str, reason: String) -> Refusal {
        let clean = |text: &str| if looks_like_card_number(text) { String::new() } else { text.to_owned() };
        let reason = if looks_like_card_number(&reason) {
            "this looks like a card number, which dunlin never takes: give the gateway's token".to_owned()
        } else {
            reason
        };
        let reference = clean(&reference.chars().take(LONGEST_REFERENCE).collect::<String>());
        Refusal { line: self.lines.0, reference, reason }
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
    Ok(json!({
        "idempotency_key": format!("file:{}", row.reference),
        "amount": money.minor(),
        "currency": currency,
        "reference": row.reference,
        "customer": text(&row.customer),
        "description": text(&row.description),
        "method": { "type": "card", "payment_method": row.method },
    }))
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

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "reference,amount,currency,method,description
";

    fn told(file: &[u8]) -> Vec<String> {
        let mut rows = Rows::open(file).unwrap();
        std::iter::from_fn(|| rows.next().unwrap())
            .map(|row| match row {
                Ok(item) => format!("{} {}", item.line, item.reference),
                Err(refusal) => refusal.to_string(),
            })
            .collect()
    }

    #[test]
    fn lines_are_counted_as_an_editor_does() {
        let file = format!("{HEADER}A,1,EUR,m,\n\n\nB,1,EUR,m,\nC,1,EUR\n\"\",1,EUR,m,");

        let expected = [
            "2 A",
            "5 B",
            "line 6: it has 3 fields where the header has 5",
            "line 7: reference: it is empty; each row needs one of its own",
        ];
        assert_eq!(told(file.as_bytes()), expected);
        assert_eq!(told(file.replace('\n', "\r\n").as_bytes()), expected);
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told_with_all_it_takes_in() {
        let file = format!("{HEADER}A,1,EUR,m,\"oops\nB,1,EUR,m,\nC,1,EUR,m,\n");

        let lost = "line 2 (A): it goes over several lines, down to line 4: perhaps a quote is not closed";
        assert_eq!(told(file.as_bytes()), [lost]);
    }

    #[test]
    fn a_refused_row_leaves_its_reference_free_and_repeats_no_card_number() {
        let file = format!("{HEADER}A,1,EURO,m,\nA,1,EUR,m,\nA,1,EUR,m,\n4242424242424242,1.005,EUR,m,\n");

        let expected = [
            "line 2 (A): currency: unknown currency \"EURO\": give an ISO 4217 code such as \"EUR\"",
            "3 A",
            "line 4 (A): reference: it stands in an earlier row already",
            "line 5: amount: \"1.005\" has more decimals than EUR, which has 2",
        ];
        assert_eq!(told(file.as_bytes()), expected);
    }

    #[test]
    fn a_wrong_header_says_what_is_missing_or_too_much() {
        let error = |file: &str| Rows::open(file.as_bytes()).err().unwrap().to_string();

        assert!(error("").contains("the file is empty"));
        assert!(error("reference,amount,currency\n").contains("\"method\" is missing"));
        assert!(error("reference;amount;currency;method\n").contains("with commas between"));
        assert!(error("reference,amount,currency,method,amount\n").contains("\"amount\" stands there twice"));
        assert!(Rows::open(format!("\u{feff}{HEADER}").as_bytes()).is_ok());
    }
}

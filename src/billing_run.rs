//! A billing run: a CSV file of charges, read as a stream and sent in batches, each row under a key made from
//! its reference (S2.8).

use anyhow::{Context, bail};
use dunlin_jobs::{Currency, Money};
use futures_util::{StreamExt, stream::FuturesUnordered};
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::{HashSet, hash_map::RandomState},
    fmt,
    hash::BuildHasher,
    io::Read,
    time::Duration,
};

/// How many rows go in one request, and how many requests at a time.
const BATCH: usize = 500;
const IN_FLIGHT: usize = 4;
/// How long a server that does not answer is waited for, in all, for one batch.
const PATIENCE: Duration = Duration::from_secs(60);
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

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
    /// The server cannot take a batch just now.
    Waiting(&'a str),
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
    /// Of the accepted ones, those that an earlier run had made.
    pub replayed: u64,
    pub refused: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// A row on its way, with what a refusal is told by.
struct Item {
    line: u64,
    reference: String,
    payment: Value,
}

/// Sends the whole file. Rows that are refused are told and left out; a server that is away is waited for.
pub async fn run(
    target: &Target,
    file: impl Read,
    mut tell: impl FnMut(Progress<'_>),
) -> anyhow::Result<Report> {
    let http = client()?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let header = reader.byte_headers().context("the file has no header that can be read")?.clone();
    let mut report = Report::default();
    let mut seen = Seen::default();
    let mut under_way = FuturesUnordered::new();
    let mut batch = Vec::with_capacity(BATCH);
    let mut record = csv::ByteRecord::new();
    loop {
        let position = reader.position().clone();
        let more = match reader.read_byte_record(&mut record) {
            Ok(more) => more,
            Err(error) if matches!(error.kind(), csv::ErrorKind::Io(_)) => return Err(error.into()),
            Err(error) => {
                report.rows += 1;
                let reason = format!("the row cannot be read: {error}");
                refuse(&mut report, &mut tell, position.line(), String::new(), reason);
                continue;
            }
        };
        if more {
            report.rows += 1;
            let line = record.position().map_or(position.line(), csv::Position::line);
            match item(&record, &header, line, &mut seen) {
                Ok(item) => batch.push(item),
                Err(refusal) => {
                    refuse(&mut report, &mut tell, refusal.line, refusal.reference, refusal.reason);
                }
            }
        }
        if batch.len() == BATCH || (!more && !batch.is_empty()) {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            under_way.push(send(&http, target, full));
        }
        tell(Progress::Read(reader.position().byte()));
        while under_way.len() >= IN_FLIGHT || (!more && !under_way.is_empty()) {
            let Some(answer) = under_way.next().await else { break };
            take_in(answer?, &mut report, &mut tell);
        }
        if !more {
            return Ok(report);
        }
    }
}

fn client() -> anyhow::Result<reqwest::Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().connect_timeout(Duration::from_secs(3));
    builder.timeout(Duration::from_secs(60)).build().context("the HTTP client cannot be built")
}

/// The references met so far, as hashes: a million of them fit in a few megabytes.
#[derive(Default)]
struct Seen {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

fn item(
    record: &csv::ByteRecord,
    header: &csv::ByteRecord,
    line: u64,
    seen: &mut Seen,
) -> Result<Item, Refusal> {
    let refusal =
        |reference: &str, reason: String| Refusal { line, reference: reference.to_owned(), reason };
    let row: Row = record
        .deserialize(Some(header))
        .map_err(|error| refusal("", format!("the row cannot be read: {}", cause(&error))))?;
    let reference = row.reference.as_str();
    if reference.is_empty() {
        return Err(refusal("", "reference: it is empty; each row needs one of its own".to_owned()));
    }
    if !seen.hashes.insert(seen.hasher.hash_one(reference)) {
        return Err(refusal(reference, "reference: it stands in an earlier row already".to_owned()));
    }
    let currency: Currency =
        row.currency.parse().map_err(|error| refusal(reference, format!("currency: {error}")))?;
    let money = Money::parse_major(&row.amount, currency)
        .map_err(|error| refusal(reference, format!("amount: {error}")))?;
    let text = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let payment = json!({
        "idempotency_key": format!("file:{reference}"),
        "amount": money.minor(),
        "currency": currency,
        "reference": reference,
        "customer": text(&row.customer),
        "description": text(&row.description),
        "method": { "type": "card", "payment_method": row.method },
    });
    Ok(Item { line, reference: row.reference, payment })
}

/// A CSV error without the position, which is told otherwise.
fn cause(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => err.kind().to_string(),
        _ => error.to_string(),
    }
}

/// Sends one batch, again and again while the server is away: the keys make that safe.
async fn send(
    http: &reqwest::Client,
    target: &Target,
    items: Vec<Item>,
) -> anyhow::Result<Vec<(Item, Value)>> {
    let body = serde_json::to_vec(&json!({
        "payments": items.iter().map(|item| &item.payment).collect::<Vec<_>>(),
    }))?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = http
            .post(format!("{}/v1/payments/batch", target.url.trim_end_matches('/')))
            .bearer_auth(target.key.expose_secret())
            .header("content-type", "application/json")
            .body(body.clone())
            .send()
            .await;
        let why = match answer {
            Ok(answer) if answer.status() == StatusCode::OK => match answer.bytes().await {
                Ok(bytes) => {
                    let answer: Value = serde_json::from_slice(&bytes).context("the server's answer is no JSON")?;
                    let Some(results) = answer["data"].as_array().filter(|data| data.len() == items.len()) else {
                        bail!("the server's answer does not fit what was sent");
                    };
                    if results.iter().all(|result| result["status"] != 503) {
                        return Ok(items.into_iter().zip(results.clone()).collect());
                    }
                    "the server is busy".to_owned()
                }
                Err(error) => error.to_string(),
            },
            Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => "the server is busy".to_owned(),
            Ok(answer) => {
                let status = answer.status();
                let text = answer.text().await.unwrap_or_default();
                bail!("the server refused the batch: HTTP {status}: {}", detail(&text));
            }
            Err(error) => error.to_string(),
        };
        if tokio::time::Instant::now() >= deadline {
            bail!("the server at {} does not take the batch: {why}; run the same file again later", target.url);
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
}

fn detail(text: &str) -> String {
    let problem: Option<Value> = serde_json::from_str(text).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
    detail.unwrap_or(text).chars().take(300).collect()
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
        refuse(report, tell, item.line, item.reference, reason);
    }
}

fn refuse(
    report: &mut Report,
    tell: &mut impl FnMut(Progress<'_>),
    line: u64,
    reference: String,
    reason: String,
) {
    report.refused += 1;
    tell(Progress::Refused(&Refusal { line, reference, reason }));
}

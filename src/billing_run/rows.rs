//! The rows of a billing run's file, whatever its format: each becomes a payment to send, or is refused by its line.

mod lines;
mod table;

use super::{Format, Refusal};
use crate::domain::card::looks_like_card_number;
use dunlin_jobs::{NotIdentifier, read_identifier};
use lines::Lines;
use serde_json::Value;
use std::{
    borrow::Cow,
    collections::{HashSet, hash_map::RandomState},
    hash::BuildHasher,
    io::Read,
};
use table::Table;

/// The key made from a reference has 255 bytes at most.
const LONGEST_REFERENCE: usize = 250;

/// A row on its way, with what a refusal is told by.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) line: u64,
    pub(super) reference: String,
    /// A JSON object, as the server takes it.
    pub(super) payment: String,
}

/// A row as its format reads it.
struct Draft {
    line: u64,
    reference: String,
    /// What it asks for, or what is wrong with it.
    payment: Result<Value, String>,
}

/// A file under way.
pub(super) struct Rows<R> {
    source: Source<R>,
    seen: Seen,
}

enum Source<R> {
    Table(Box<Table<R>>),
    Lines(Lines<R>),
}

/// The references met so far, as hashes: a million of them fit in a few megabytes.
#[derive(Default)]
struct Seen {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl<R: Read> Rows<R> {
    pub(super) fn open(file: R, format: Format) -> anyhow::Result<Self> {
        let source = match format {
            Format::Csv => Source::Table(Box::new(Table::open(file)?)),
            Format::Jsonl => Source::Lines(Lines::open(file)),
        };
        Ok(Self { source, seen: Seen::default() })
    }

    /// The next row, or why it is refused; none at the end of the file.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Result<Item, Refusal>>> {
        let draft = match &mut self.source {
            Source::Table(table) => table.next()?,
            Source::Lines(lines) => lines.next()?,
        };
        Ok(draft.map(|draft| draft.and_then(|draft| self.admit(draft))))
    }

    pub(super) fn bytes_read(&self) -> u64 {
        match &self.source {
            Source::Table(table) => table.bytes_read(),
            Source::Lines(lines) => lines.bytes_read(),
        }
    }

    fn admit(&mut self, draft: Draft) -> Result<Item, Refusal> {
        let Draft { line, reference: written, payment } = draft;
        let refuse = |reason| refusal(line, &written, reason);
        let reference = read(&written).map_err(refuse)?;
        let hash = self.seen.hasher.hash_one(&*reference);
        if self.seen.hashes.contains(&hash) {
            return Err(refuse("reference: it stands in an earlier row already".to_owned()));
        }
        let mut payment = payment.map_err(refuse)?;
        payment["idempotency_key"] = format!("file:{reference}").into();
        payment["reference"] = reference.clone().into();
        self.seen.hashes.insert(hash);
        Ok(Item { line, reference: reference.into_owned(), payment: payment.to_string() })
    }
}

/// The reference as it is compared (S2.14): the key is made from it, so what looks the same must be the same.
fn read(written: &str) -> Result<Cow<'_, str>, String> {
    let reference = read_identifier(written).map_err(|error| match error {
        NotIdentifier::Empty => "reference: it is empty; each row needs one of its own".to_owned(),
        NotIdentifier::Control { .. }
        | NotIdentifier::Space { .. }
        | NotIdentifier::Unseen { .. }
        | NotIdentifier::SpreadsheetError(_)
        | NotIdentifier::ShortenedNumber => format!("reference: {error}"),
    })?;
    if reference.len() > LONGEST_REFERENCE {
        return Err(format!("reference: at most {LONGEST_REFERENCE} bytes"));
    }
    Ok(reference)
}

/// A card number in the file is not repeated in what is told of it.
fn refusal(line: u64, reference: &str, reason: String) -> Refusal {
    let reason = if looks_like_card_number(&reason) {
        "this looks like a card number, which dunlin never takes: give the gateway's token".to_owned()
    } else {
        reason
    };
    let reference = if looks_like_card_number(reference) { "" } else { reference.trim() };
    let reference =
        reference.chars().filter(|character| !character.is_control()).take(LONGEST_REFERENCE).collect();
    Refusal { line, reference, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "reference,amount,currency,method,description\n";

    fn told(file: &[u8], format: Format) -> Vec<String> {
        let mut rows = Rows::open(file, format).unwrap();
        std::iter::from_fn(|| rows.next().unwrap())
            .map(|row| match row {
                Ok(item) => format!("{} {}", item.line, item.reference),
                Err(refusal) => refusal.to_string(),
            })
            .collect()
    }

    #[test]
    fn lines_of_a_table_are_counted_as_an_editor_does() {
        let file = format!("{HEADER}A,1,EUR,m,\n\n\nB,1,EUR,m,\nC,1,EUR\n\"\",1,EUR,m,");

        let expected = [
            "2 A",
            "5 B",
            "line 6: it has 3 fields where the header has 5",
            "line 7: reference: it is empty; each row needs one of its own",
        ];
        assert_eq!(told(file.as_bytes(), Format::Csv), expected);
        assert_eq!(told(file.replace('\n', "\r\n").as_bytes(), Format::Csv), expected);
    }

    #[test]
    fn a_row_without_a_method_names_a_customer_who_has_one() {
        let file = "reference,amount,currency,customer,method\nA,1,EUR,u-1,\nB,1,EUR,,\nC,1,EUR,u-1,m\n";
        let mut rows = Rows::open(file.as_bytes(), Format::Csv).unwrap();
        let mut next = || rows.next().unwrap().unwrap();

        let item: Value = serde_json::from_str(&next().unwrap().payment).unwrap();
        assert_eq!((&item["customer"], item.get("method")), (&"u-1".into(), None));
        let reason = "method: it is empty; give one, or a customer who has one on the server";
        assert_eq!(next().unwrap_err().reason, reason);
        let item: Value = serde_json::from_str(&next().unwrap().payment).unwrap();
        assert_eq!(item["method"]["payment_method"], "m");
        assert_eq!(told(b"reference,amount,currency,customer\nA,1,EUR,u-1\n", Format::Csv), ["2 A"]);
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told_with_all_it_takes_in() {
        let file = format!("{HEADER}A,1,EUR,m,\"oops\nB,1,EUR,m,\nC,1,EUR,m,\n");

        let lost = "line 2 (A): it goes over several lines, down to line 4: perhaps a quote is not closed";
        assert_eq!(told(file.as_bytes(), Format::Csv), [lost]);
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
        assert_eq!(told(file.as_bytes(), Format::Csv), expected);
    }

    #[test]
    fn a_wrong_header_says_what_is_missing_or_too_much() {
        let error = |file: &str| Rows::open(file.as_bytes(), Format::Csv).err().unwrap().to_string();

        assert!(error("").contains("the file is empty"));
        assert!(error("reference,amount,currency\n").contains("\"method\" is missing"));
        assert!(error("reference,amount,currency,description\n").contains("there must be \"customer\""));
        assert!(error("reference;amount;currency;method\n").contains("with commas between"));
        assert!(error("reference,amount,currency,method,amount\n").contains("\"amount\" stands there twice"));
        assert!(Rows::open(format!("\u{feff}{HEADER}").as_bytes(), Format::Csv).is_ok());
    }

    #[test]
    fn references_that_look_the_same_are_one() {
        let csv = format!(
            "{HEADER}INV-77,1,EUR,m,\nINV-77\u{a0},1,EUR,m,\nINV-77\u{200b},1,EUR,m,\nM\u{fc}ller,1,EUR,m,\nMu\u{308}ller,1,EUR,m,\n\
             2.4952E+19,1,EUR,m,\n#REF!,1,EUR,m,\n"
        );
        let line = |reference: &str| format!("{{\"reference\":\"{reference}\",\"amount\":1}}");
        let jsonl = [
            "INV-77",
            "INV-77\u{a0}",
            "INV-77\u{200b}",
            "M\u{fc}ller",
            "Mu\u{308}ller",
            "2.4952E+19",
            "#REF!",
        ];
        let jsonl = jsonl.map(line).join("\n");

        for (file, format, first) in [(csv, Format::Csv, 2), (jsonl, Format::Jsonl, 1)] {
            let told = told(file.as_bytes(), format);
            let again = |line: u64| told[usize::try_from(line).unwrap()].clone();
            assert_eq!(told[0], format!("{first} INV-77"));
            assert!(
                again(1).ends_with("(INV-77): reference: it stands in an earlier row already"),
                "{}",
                again(1)
            );
            assert!(again(2).contains("U+200B (zero width space) as its character 7"), "{}", again(2));
            assert_eq!(told[3], format!("{} M\u{fc}ller", first + 3));
            assert!(again(4).ends_with("it stands in an earlier row already"), "{}", again(4));
            assert!(again(5).contains("a spreadsheet shortens it"), "{}", again(5));
            assert!(again(6).contains("#REF! is what a spreadsheet shows"), "{}", again(6));
        }
    }

    #[test]
    fn a_row_may_name_the_gateways_own_customer() {
        let file = "reference,amount,currency,method,gateway_customer\nA,1,EUR,pm_1,cus_9\nB,1,EUR,pm_1,\n";
        let mut rows = Rows::open(file.as_bytes(), Format::Csv).unwrap();
        let mut next =
            || serde_json::from_str::<Value>(&rows.next().unwrap().unwrap().unwrap().payment).unwrap();

        assert_eq!(
            next()["method"],
            serde_json::json!({ "type": "card", "payment_method": "pm_1", "gateway_customer": "cus_9" })
        );
        assert_eq!(next()["method"], serde_json::json!({ "type": "card", "payment_method": "pm_1" }));
        let alone = "reference,amount,currency,customer,method,gateway_customer\nA,1,EUR,u-1,,cus_9\n";
        let told = told(alone.as_bytes(), Format::Csv);
        assert!(told[0].contains("gateway_customer: it goes with a token"), "{}", told[0]);
    }

    #[test]
    fn json_lines_are_refused_one_by_one() {
        let long = format!(r#"{{"reference":"{}"}}"#, "x".repeat(70_000));
        let file = [
            "\u{feff}{\"reference\":\"A\",\"amount\":1}",
            "",
            "{\"reference\":\"A\",\"amount\":2}",
            "{\"reference\":\"B\"",
            "[1]",
            "{\"amount\":1}",
            "{\"reference\":7}",
            "{\"reference\":\"C\",\"a\":1,\"a\":2}",
            "{\"reference\":\"D\",\"idempotency_key\":\"k\"}",
            &long,
            "{\"reference\":\"E\"}",
        ];

        let expected = [
            "1 A",
            "line 3 (A): reference: it stands in an earlier row already",
            "line 4: this is not valid JSON (line 1, column 16)",
            "line 5: it is no JSON object, {..}",
            "line 6: reference: it is empty; each row needs one of its own",
            "line 7: reference: it must be a text",
            "line 8: duplicate field `a`: say it once",
            "line 9 (D): idempotency_key: it is made from the reference; leave it out",
            "line 10: it is longer than 65536 bytes; perhaps a line break is missing",
            "11 E",
        ];
        for between in ["\n", "\r\n"] {
            assert_eq!(told(file.join(between).as_bytes(), Format::Jsonl)[..], expected);
        }
    }

    #[test]
    fn a_row_is_sent_under_the_key_of_its_reference() {
        let mut rows = Rows::open(&br#"{"reference":"A","amount":1}"#[..], Format::Jsonl).unwrap();

        let item = rows.next().unwrap().unwrap().unwrap();

        assert_eq!(item.payment, r#"{"amount":1,"idempotency_key":"file:A","reference":"A"}"#);
    }
}

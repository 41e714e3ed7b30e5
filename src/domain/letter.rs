//! Dead letters: envelopes that cannot be taken as they are, with the reason and what may be kept of them.

use super::{card::looks_like_card_number, clock::Time};
use dunlin_jobs::LetterId;
use serde::Serialize;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub id: LetterId,
    pub source: Source,
    /// Which entry of the stream it was.
    pub entry: Option<String>,
    pub form: Form,
    pub envelope: String,
    pub code: String,
    pub field: Option<String>,
    pub reason: String,
    pub refused_at: Time,
}

/// The code of what came back with a restore.
pub const RESTORED: &str = "restored";

/// Why what came back with a restore is not taken in unasked, with the remedy.
pub fn why_restored(at: Time) -> String {
    format!(
        "the database was restored at {at}, and this order may have been taken in before that without being on record \
         here: look at the gateway whether it was charged, then `dunlin dead-letters drop` it if it was, and \
         `dunlin dead-letters retry` it if it was not"
    )
}

/// Where it lay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Table,
    Stream,
}

/// How it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it came.
    Text,
    /// As it came, in hexadecimal digits, since it is no text.
    Hex,
    /// Without its digits, since there was what looks like a card number.
    Redacted,
}

impl Source {
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Stream => "stream",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Table, Self::Stream].into_iter().find(|source| source.name() == name)
    }
}

impl Form {
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Hex => "hex",
            Self::Redacted => "redacted",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Text, Self::Hex, Self::Redacted].into_iter().find(|form| form.name() == name)
    }
}

/// A letter as it is told.
#[derive(Debug, Serialize)]
pub struct View<'a> {
    pub object: &'static str,
    pub id: LetterId,
    pub source: &'static str,
    pub entry: Option<&'a str>,
    pub code: &'a str,
    pub field: Option<&'a str>,
    pub reason: &'a str,
    pub form: &'static str,
    pub envelope: &'a str,
    pub refused_at: Time,
}

impl<'a> From<&'a Letter> for View<'a> {
    fn from(letter: &'a Letter) -> Self {
        Self {
            object: "dead_letter",
            id: letter.id,
            source: letter.source.name(),
            entry: letter.entry.as_deref(),
            code: &letter.code,
            field: letter.field.as_deref(),
            reason: &letter.reason,
            form: letter.form.name(),
            envelope: &letter.envelope,
            refused_at: letter.refused_at,
        }
    }
}

/// What may be kept of an envelope.
pub fn kept(bytes: &[u8]) -> (Form, String) {
    let text = String::from_utf8_lossy(bytes).replace('\0', " ");
    if looks_like_card_number(&text) {
        return (Form::Redacted, redacted(&text).unwrap_or_else(|| without_digits(&text)));
    }
    match str::from_utf8(bytes) {
        // No database keeps a NUL in a text.
        Ok(text) if !text.contains('\0') => (Form::Text, text.to_owned()),
        Ok(_) | Err(_) => (Form::Hex, hex::encode(bytes)),
    }
}

/// Without a digit but in the envelope's own fields, where those are no card number: a security code has no form by
/// which it could be told from other numbers. None where it is no object.
fn redacted(text: &str) -> Option<String> {
    const OWN: [&str; 4] = ["v", "id", "tenant", "traceparent"];
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else { return None };
    let keep = |name: &str, value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        OWN.contains(&name) && !value.is_object() && !value.is_array() && !looks_like_card_number(&text)
    };
    let fields = fields.into_iter().map(|(name, value)| {
        let value = if keep(&name, &value) { value } else { hidden(value) };
        (without_digits(&name), value)
    });
    Some(Value::Object(fields.collect()).to_string())
}

fn hidden(value: Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value,
        Value::Number(number) => without_digits(&number.to_string()).into(),
        Value::String(text) => without_digits(&text).into(),
        Value::Array(values) => values.into_iter().map(hidden).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (without_digits(&name), hidden(value))).collect()
        }
    }
}

fn without_digits(text: &str) -> String {
    text.chars().map(|character| if character.is_numeric() { '*' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_kept_as_it_came() {
        for text in ["{\"v\":1}", "", "not JSON at all", " {\"a\" : \"ü\"} "] {
            assert_eq!(kept(text.as_bytes()), (Form::Text, text.to_owned()));
        }
        assert_eq!(kept(b"a\xff"), (Form::Hex, "61ff".to_owned()));
        assert_eq!(kept(b"a\0"), (Form::Hex, "6100".to_owned()));
    }

    #[test]
    fn of_one_with_a_card_number_no_digit_is_kept_but_in_its_own_fields() {
        let text = r#"{"v":1,"id":"order-7","tenant":"t2","payment":{"amount":1250,"card":{"number":"4242 4242 4242 4242","cvc":"123"}}}"#;

        let (form, kept) = kept(text.as_bytes());

        assert_eq!(form, Form::Redacted);
        assert!(kept.contains(r#""id":"order-7""#) && kept.contains(r#""tenant":"t2""#), "{kept}");
        assert!(kept.contains(r#""number":"**** **** **** ****""#), "{kept}");
        assert!(kept.contains(r#""cvc":"***""#) && kept.contains(r#""amount":"****""#), "{kept}");
    }

    #[test]
    fn a_card_number_is_found_however_it_is_written() {
        for text in [
            &b"4242424242424242"[..],
            b"{\"id\":\"4242424242424242\"}",
            b"{\"4242-4242-4242-4242\":1}",
            b"{\"amount\":4242424242424242",
            b"\xff 4242424242424242",
            br#"{"description":"\u0034242424242424242"}"#,
            br#"{"description":"4242\n4242\n4242\n4242"}"#,
            br#"{"description":"\uff14\uff12\uff14\uff12\uff14\uff12\uff14\uff12\uff14\uff12\uff14\uff12\uff14\uff12\uff14\uff12"}"#,
            "{\"description\":\"\u{664}\u{662}\u{664}\u{662}4242 4242 4242\"}".as_bytes(),
        ] {
            let (form, kept) = kept(text);

            assert_eq!(form, Form::Redacted);
            assert!(!kept.chars().any(char::is_numeric), "{kept}");
        }
    }
}

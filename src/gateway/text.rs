//! The one door for what gateways write. Whatever they send can be kept: no character that a database refuses, and nothing
//! longer than an index bears. Nothing is dropped, so that two different texts stay different.

use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The longest id or code.
const MAX_TOKEN: usize = 255;
/// The longest text for people.
const MAX_WORDS: usize = 600;
/// Longer than any address that is believed; what is longer still is cut.
const MAX_ADDRESS: usize = 5000;

/// Reads JSON of a gateway, with every text in it made fit to be kept.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let value: Value = serde_json::from_slice(body).ok()?;
    serde_json::from_value(fit_value(value)).ok()
}

/// An id of a gateway's, fit for an index and for the path of a call. One that could be neither becomes another that is.
pub(super) fn id(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !text.is_empty() && text.len() <= MAX_TOKEN && text.bytes().all(plain) && !text.starts_with('.') {
        return text.to_owned();
    }
    format!("odd_{}", digest(text))
}

fn fit_value(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(fit(text)),
        Value::Array(items) => items.into_iter().map(fit_value).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (fit(name), fit_value(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// Control characters become visible, and what is too long ends in its digest.
pub(super) fn fit(text: String) -> String {
    let is_plain = text.len() <= MAX_TOKEN && !text.chars().any(char::is_control);
    if is_plain {
        return text;
    }
    let visible = text.chars().fold(String::with_capacity(text.len()), |mut visible, character| {
        if matches!(character, '\n' | '\r' | '\t') {
            visible.push(' ');
        } else if character.is_control() {
            visible.extend(character.escape_unicode());
        } else {
            visible.push(character);
        }
        visible
    });
    let longest = if ["https://", "http://"].iter().any(|scheme| visible.starts_with(scheme)) {
        MAX_ADDRESS
    } else if visible.contains(' ') {
        MAX_WORDS
    } else {
        MAX_TOKEN
    };
    if visible.chars().count() <= longest {
        return visible;
    }
    let digest = digest(&text);
    let head: String = visible.chars().take(longest.saturating_sub(digest.len() + 1)).collect();
    format!("{head}~{digest}")
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_value(value: &Value) -> Value {
        read(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_can_be_kept_is_kept_as_it_came() {
        let plain = json!({ "id": "pi_1", "ok": true, "n": 1.5, "none": null, "words": ["Grüße, 5 €", ""] });

        assert_eq!(read_value(&plain), plain);
        assert_eq!(id("pi_3MtwBwLkdIwHu7ix28a3tqPa"), "pi_3MtwBwLkdIwHu7ix28a3tqPa");
    }

    #[test]
    fn control_characters_become_visible_in_names_and_in_depth() {
        let odd = json!({ "a\u{0}": [{ "code": "lost\u{0}card\u{1b}" }] });

        let read = read_value(&odd);

        assert_eq!(read, json!({ "a\\u{0}": [{ "code": "lost\\u{0}card\\u{1b}" }] }));
    }

    #[test]
    fn what_is_too_long_is_cut_and_stays_different_from_others() {
        let [one, other] = ["1", "2"].map(|end| fit(format!("{}{end}", "é".repeat(9000))));

        assert_eq!([one.chars().count(), other.chars().count()], [MAX_TOKEN; 2]);
        assert_ne!(one, other);
        assert_eq!(fit("a b ".repeat(9000)).chars().count(), MAX_WORDS);
        assert!(
            fit(format!("https://bank.example/{}", "a".repeat(4200))).len() > 4200,
            "it is refused later"
        );
    }

    #[test]
    fn an_id_is_fit_for_an_index_and_for_a_path() {
        for odd in ["", "../charges/ch_1", "ch 1", "ch_\u{0}", "ch_é", ".", &"a".repeat(256)] {
            let id = id(odd);
            assert!(id.starts_with("odd_") && id.len() < 100, "{id}");
        }
        assert_ne!(id("ch_\u{0}"), id("ch_\u{1}"));
    }
}

//! JSON as it is taken: each name once, objects as objects, and nested no deeper than anything here is.

use super::card::could_hold_part;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use std::fmt;

/// What is wrong with a text, or with a field of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misread {
    pub fault: Fault,
    pub code: &'static str,
    pub detail: String,
    /// The field that is wrong, where one is.
    pub param: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not JSON as it is taken.
    Text,
    /// It is, and does not say what it has to.
    Meaning,
}

/// How deep arrays and objects may stand in each other.
const MAX_DEPTH: usize = 32;

impl Misread {
    fn text(code: &'static str, detail: String) -> Self {
        Self { fault: Fault::Text, code, detail, param: None }
    }
}

/// Reads a whole body; what its fields mean is for [`part`].
pub fn read(body: &[u8]) -> Result<Value, Misread> {
    if is_too_deep(body) {
        let detail = format!("arrays and objects may stand {MAX_DEPTH} deep in each other, not deeper");
        return Err(Misread::text("json_too_deep", detail));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let Unique(value) = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        unreadable(error.inner(), &path)
    })?;
    deserializer.end().map_err(|error| unreadable(&error, "."))?;
    Ok(value)
}

/// Reads the fields of an object. Serde alone would take an array for one, its values by place.
pub fn part<T: DeserializeOwned>(value: Value) -> Result<T, Misread> {
    if !value.is_object() {
        let detail = "send a JSON object, {..}".to_owned();
        return Err(Misread { fault: Fault::Meaning, code: "invalid_field", detail, param: None });
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        unreadable(error.inner(), &path)
    })
}

/// Says which field is wrong and why. What stood there is repeated only where it cannot be a card number.
fn unreadable(error: &serde_json::Error, path: &str) -> Misread {
    use serde_json::error::Category;
    match error.classify() {
        Category::Data => {
            let text = error.to_string();
            misread(text.split(" at line ").next().unwrap_or(&text), path)
        }
        Category::Syntax | Category::Eof | Category::Io => {
            let detail = format!("this is not valid JSON (line {}, column {})", error.line(), error.column());
            Misread::text("invalid_json", detail)
        }
    }
}

/// Serde names an unknown, missing or repeated field in the message.
fn misread(told: &str, path: &str) -> Misread {
    let (code, name) = named_field(told);
    let detail = if could_hold_part(told) {
        "what stands here cannot be taken, and is not repeated since it may be a card number: if it is, send \
         the gateway's token instead"
    } else {
        told
    };
    // The path of an unknown field ends with it; of a missing or repeated one, with its parent.
    let param = match (path, name) {
        ("." | "", name) => name.map(str::to_owned),
        (path, Some(name)) if code != "unknown_field" => Some(format!("{path}.{name}")),
        (path, _) => Some(path.to_owned()),
    };
    Misread { fault: Fault::Meaning, code, detail: detail.to_owned(), param }
}

/// The code of a message of serde's, and the field that the message is about.
pub fn named_field(told: &str) -> (&'static str, Option<&str>) {
    let name = |start: &str| told.strip_prefix(start).and_then(|rest| rest.split('`').next());
    match (name("unknown field `"), name("duplicate field `"), name("missing field `")) {
        (Some(name), _, _) => ("unknown_field", Some(name)),
        (_, Some(name), _) => ("duplicate_field", Some(name)),
        (_, _, name) => ("invalid_field", name),
    }
}

fn is_too_deep(body: &[u8]) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    body.iter().any(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_DEPTH
    })
}

/// Any JSON value in which no object has a name twice: which of the two is meant cannot be known.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    #[expect(clippy::disallowed_types, reason = "kept as it came, so that the field it stands in refuses it")]
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if map.contains_key(&name) {
                return Err(Error::custom(format_args!("duplicate field `{name}`: say it once")));
            }
            let Unique(value) = entries.next_value()?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_texts_are_not_depth() {
        let text = format!("{{\"a\":\"{}\\\"{}\"}}", "[".repeat(40), "{".repeat(40));

        assert!(read(text.as_bytes()).is_ok());
        assert_eq!(read("[".repeat(33).as_bytes()).unwrap_err().code, "json_too_deep");
        assert_eq!(read("[".repeat(32).as_bytes()).unwrap_err().code, "invalid_json");
    }

    #[test]
    fn a_name_said_twice_is_refused_at_any_depth() {
        let problem = read(br#"{"metadata":{"a":"1","a":"2"}}"#).unwrap_err();

        assert_eq!((problem.code, problem.param.as_deref()), ("duplicate_field", Some("metadata.a")));
    }

    #[test]
    fn a_card_number_is_not_repeated_even_in_part() {
        for told in ["unknown currency \"4242 4242 4242 4\"", "invalid type: integer `4242424242424242`"] {
            assert!(!misread(told, "currency").detail.contains("4242"), "{told}");
        }
    }
}

//! E-mail addresses, as far as their shape can tell.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, str::FromStr};

/// Where somebody can be written to: a name, `@`, and a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Email(String);

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no e-mail address: give one such as \"ada@example.com\", of at most {LONGEST_EMAIL} characters"
)]
pub struct NotAnEmail;

/// RFC 5321, section 4.5.3.1.3.
const LONGEST_EMAIL: usize = 254;

impl FromStr for Email {
    type Err = NotAnEmail;

    fn from_str(text: &str) -> Result<Self, NotAnEmail> {
        let is_plain = |part: &str| {
            !part.is_empty() && !part.contains(|c: char| c == '@' || c.is_whitespace() || c.is_control())
        };
        let is_domain = |text: &str| text.contains('.') && text.split('.').all(is_plain);
        match text.split_once('@') {
            Some((name, domain))
                if is_plain(name) && is_domain(domain) && text.chars().count() <= LONGEST_EMAIL =>
            {
                Ok(Self(text.to_owned()))
            }
            Some(_) | None => Err(NotAnEmail),
        }
    }
}

impl TryFrom<String> for Email {
    type Error = NotAnEmail;

    fn try_from(text: String) -> Result<Self, NotAnEmail> {
        text.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

impl Email {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl JsonSchema for Email {
    fn schema_name() -> Cow<'static, str> {
        "Email".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        const PART: &str = r"[^@\s\u0000-\u001f\u007f-\u009f]+";
        const LABEL: &str = r"[^@.\s\u0000-\u001f\u007f-\u009f]+";
        json_schema!({
            "type": "string", "maxLength": LONGEST_EMAIL, "pattern": format!("^{PART}@{LABEL}(\\.{LABEL})+$"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_name_and_a_domain() {
        for good in ["ada@example.com", "a.b+c@sub.example.co", "käse@straße.example", "o'neil@x.io"] {
            assert_eq!(good.parse::<Email>().unwrap().as_str(), good);
        }
        let long = format!("{}@example.com", "x".repeat(243));
        for wrong in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@example",
            "a@b@c.de",
            "a da@b.de",
            "a@b..de",
            "a@.de",
            &long,
        ] {
            assert_eq!(wrong.parse::<Email>(), Err(NotAnEmail), "{wrong}");
        }
    }
}

//! A query is what the search is asked: clauses about an intent, joined by AND or by OR.

use crate::{intent::Intent, problem::Problem};
use std::cmp::Ordering;

#[derive(Debug)]
pub(crate) struct Query {
    clauses: Vec<Clause>,
    joint: Joint,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joint {
    And,
    Or,
}

#[derive(Debug)]
struct Clause {
    is_negated: bool,
    field: Field,
    sign: Sign,
    /// None is `null`.
    value: Option<String>,
}

#[derive(Debug)]
enum Field {
    Amount,
    Created,
    Currency,
    Customer,
    Status,
    Metadata(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Is,
    Contains,
    Above,
    AtLeast,
    Below,
    AtMost,
}

const MAX_QUERY: usize = 5000;
const MAX_CLAUSES: usize = 10;

impl Query {
    pub(crate) fn read(text: &str) -> Result<Self, Problem> {
        let query = (text.len() <= MAX_QUERY).then(|| query(text)).flatten();
        query.ok_or_else(|| {
            Problem::wrong("query", format!("We were unable to parse your search query: {text}"))
        })
    }

    pub(crate) fn fits(&self, intent: &Intent) -> bool {
        match self.joint {
            Joint::And => self.clauses.iter().all(|clause| clause.fits(intent)),
            Joint::Or => self.clauses.iter().any(|clause| clause.fits(intent)),
        }
    }
}

/// Clauses are joined by one word throughout, AND where none stands.
fn query(text: &str) -> Option<Query> {
    let mut rest = text.trim();
    let (mut clauses, mut joint) = (Vec::new(), None);
    while !rest.is_empty() {
        if !clauses.is_empty() {
            let (word, after) = word(rest);
            if joint.is_some_and(|known| known != word) {
                return None;
            }
            joint = Some(word);
            rest = after;
        }
        let (clause, after) = clause(rest)?;
        clauses.push(clause);
        rest = after.trim_start();
    }
    let joint = joint.unwrap_or(Joint::And);
    (1..=MAX_CLAUSES).contains(&clauses.len()).then_some(Query { clauses, joint })
}

fn word(text: &str) -> (Joint, &str) {
    for (word, joint) in [("AND ", Joint::And), ("OR ", Joint::Or)] {
        if let Some(head) = text.get(..word.len())
            && head.eq_ignore_ascii_case(word)
        {
            return (joint, text.get(word.len()..).unwrap_or_default().trim_start());
        }
    }
    (Joint::And, text)
}

fn clause(text: &str) -> Option<(Clause, &str)> {
    let (is_negated, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (field, rest) = field(text)?;
    let (sign, rest) = sign(rest)?;
    let (value, rest) = value(rest)?;
    let clause = Clause { is_negated, field, sign, value };
    clause.makes_sense().then_some((clause, rest))
}

fn field(text: &str) -> Option<(Field, &str)> {
    if let Some(rest) = text.strip_prefix("metadata[") {
        let (key, rest) = quoted(rest)?;
        return Some((Field::Metadata(key), rest.strip_prefix(']')?));
    }
    let end = text.find(|character: char| !character.is_ascii_lowercase() && character != '_')?;
    let (name, rest) = text.split_at_checked(end)?;
    let field = match name {
        "amount" => Field::Amount,
        "created" => Field::Created,
        "currency" => Field::Currency,
        "customer" => Field::Customer,
        "status" => Field::Status,
        _ => return None,
    };
    Some((field, rest))
}

fn sign(text: &str) -> Option<(Sign, &str)> {
    let signs = [
        (">=", Sign::AtLeast),
        ("<=", Sign::AtMost),
        (">", Sign::Above),
        ("<", Sign::Below),
        (":", Sign::Is),
        ("~", Sign::Contains),
    ];
    signs.iter().find_map(|(mark, sign)| text.strip_prefix(mark).map(|rest| (*sign, rest)))
}

fn value(text: &str) -> Option<(Option<String>, &str)> {
    if text.starts_with(['\'', '"']) {
        return quoted(text).map(|(value, rest)| (Some(value), rest));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (bare, rest) = text.split_at_checked(end)?;
    if bare.eq_ignore_ascii_case("null") {
        return Some((None, rest));
    }
    bare.parse::<i64>().ok().map(|_| (Some(bare.to_owned()), rest))
}

/// A text in quotes, with a backslash before what would end it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mark = text.chars().next().filter(|mark| matches!(mark, '\'' | '"'))?;
    let (mut value, mut is_escaped) = (String::new(), false);
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => {
                value.push(character);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            _ if character == mark => {
                let rest = text.get(at.saturating_add(character.len_utf8())..)?;
                return Some((value, rest));
            }
            _ => value.push(character),
        }
    }
    None
}

impl Clause {
    /// Numbers are compared and never looked into; texts are never compared by size.
    fn makes_sense(&self) -> bool {
        let is_number = self.value.as_ref().is_some_and(|value| value.parse::<i64>().is_ok());
        match (&self.field, self.sign) {
            (Field::Amount | Field::Created, sign) => is_number && sign != Sign::Contains,
            (Field::Metadata(_) | Field::Customer, Sign::Is) => true,
            (Field::Metadata(_), Sign::Contains) => self.value.as_ref().is_some_and(|value| value.len() >= 3),
            (Field::Currency | Field::Status, Sign::Is) => self.value.is_some(),
            _ => false,
        }
    }

    fn fits(&self, intent: &Intent) -> bool {
        let facts = &*intent.facts;
        let fits = match &self.field {
            Field::Amount => i64::try_from(facts.amount).is_ok_and(|amount| self.compares(amount)),
            Field::Created => self.compares(facts.created),
            Field::Currency => self.matches(Some(&facts.currency)),
            Field::Customer => self.matches(facts.customer.as_deref()),
            Field::Status => self.matches(Some(intent.status.name())),
            Field::Metadata(key) => self.matches(facts.metadata.get(key).map(String::as_str)),
        };
        fits != self.is_negated
    }

    fn compares(&self, found: i64) -> bool {
        let Some(wanted) = self.value.as_ref().and_then(|value| value.parse().ok()) else { return false };
        match (found.cmp(&wanted), self.sign) {
            (Ordering::Equal, Sign::Is | Sign::AtLeast | Sign::AtMost) => true,
            (Ordering::Greater, sign) => matches!(sign, Sign::Above | Sign::AtLeast),
            (Ordering::Less, sign) => matches!(sign, Sign::Below | Sign::AtMost),
            (Ordering::Equal, _) => false,
        }
    }

    /// Texts match whatever their case.
    fn matches(&self, found: Option<&str>) -> bool {
        match (self.value.as_deref(), found) {
            (None, None) => true,
            (None, Some(_)) | (Some(_), None) => false,
            (Some(wanted), Some(found)) if self.sign == Sign::Contains => {
                found.to_lowercase().contains(&wanted.to_lowercase())
            }
            (Some(wanted), Some(found)) => found.eq_ignore_ascii_case(wanted),
        }
    }
}

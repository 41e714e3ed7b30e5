//! The policy: the tables of declines, as they are read from `config/declines.toml`, and what may not stand in them.

use super::{Decline, Table};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The rows of one table, by code.
type Rows = BTreeMap<String, Row>;

/// The tables of declines.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Grows with every change of the rules, so that a decision names the rules that made it.
    pub version: u32,
    /// Jitter is spread evenly over a fifth of the delay, and at most over this long (S3.5).
    pub jitter_s: u64,
    /// Where rows come from: a name for each page.
    pub sources: BTreeMap<String, String>,
    pub classes: BTreeMap<String, Class>,
    /// From a network, and its raw code, to a row.
    pub networks: BTreeMap<String, Rows>,
    /// From a gateway, and its code, to a row.
    pub gateways: BTreeMap<String, Rows>,
    /// The networks' advice. It may make a decline harder, and never softer.
    pub network_advice: Rows,
    /// The gateways' advice. It is heard where the code alone would be tried again.
    pub advice: Rows,
    /// What the gateway did with the charge, for the codes that the row names.
    pub network_status: Rows,
    /// The class of a code that is not listed.
    pub unmapped: String,
    /// From a class to the one that stands in its place while the customer is there.
    pub on_session: BTreeMap<String, String>,
}

/// One rule. Without a class and a time it records that the code is known and decides nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    #[serde(default)]
    pub class: Option<String>,
    /// No attempt before this long has passed, whoever wants it (S3.4).
    #[serde(default)]
    pub not_before_s: Option<u64>,
    /// For `network_status` only: the gateways' codes for which it counts.
    #[serde(default)]
    pub codes: Vec<String>,
    /// The name of its source.
    pub source: String,
    /// The version of the policy that brought it.
    pub since: u32,
    /// The first day on which it holds, and the first on which it does not any more.
    #[serde(default)]
    pub from: Option<NaiveDate>,
    #[serde(default)]
    pub until: Option<NaiveDate>,
}

/// What declines of one kind have in common.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Class {
    /// Worth another attempt: after `first_s`, then `factor` times longer each time, up to `longest_s`.
    Retry { first_s: u64, factor: u32, longest_s: u64, retries: u32 },
    /// Only the customer can mend it.
    NeedCustomer { need: Need },
    /// A person looks before anything else happens.
    Review,
    /// Never again.
    Stop,
}

/// What the customer would have to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    Authenticate,
    UpdateMethod,
    NewMethod,
}

impl Class {
    /// The harder of two classes counts where two tables speak of one decline.
    pub(super) fn hardness(&self) -> u8 {
        match self {
            Self::Retry { .. } => 0,
            Self::NeedCustomer { need: Need::Authenticate | Need::UpdateMethod } => 1,
            Self::NeedCustomer { need: Need::NewMethod } => 2,
            Self::Review | Self::Stop => 3,
        }
    }
}

impl Row {
    fn holds(&self, on: NaiveDate) -> bool {
        self.from.is_none_or(|from| from <= on) && self.until.is_none_or(|until| on < until)
    }
}

impl Policy {
    /// Whether what the gateway did with the charge would decide, were it known: not every answer tells it.
    pub fn asks_for_network_status(&self, decline: &Decline) -> bool {
        decline.network_status().is_none()
            && self.network_status.values().any(|row| row.codes.contains(&decline.code))
    }

    pub(super) fn by_network(&self, decline: &Decline, on: NaiveDate) -> Option<(String, &Row)> {
        let (network, code) = (decline.network()?, decline.network_code.as_deref()?);
        let row = self.networks.get(network)?.get(code).filter(|row| row.holds(on))?;
        Some((format!("{network} {code}"), row))
    }

    /// A decline of which nobody noted the gateway is looked up in all of their tables.
    pub(super) fn by_gateway(&self, decline: &Decline, on: NaiveDate) -> Option<(String, &Row)> {
        let is_its = |name: &&String| decline.gateway.as_ref().is_none_or(|gateway| **gateway == **name);
        self.gateways.keys().filter(is_its).find_map(|gateway| {
            let row = self.gateways.get(gateway)?.get(&decline.code).filter(|row| row.holds(on))?;
            Some((format!("{gateway} {}", decline.code), row))
        })
    }

    pub(super) fn by_network_advice(&self, decline: &Decline, on: NaiveDate) -> Option<(String, &Row)> {
        named(&self.network_advice, decline.network_advice.as_deref(), on)
    }

    pub(super) fn by_advice(&self, decline: &Decline, on: NaiveDate) -> Option<(String, &Row)> {
        named(&self.advice, decline.advice.as_deref(), on)
    }

    pub(super) fn by_network_status(&self, decline: &Decline, on: NaiveDate) -> Option<(String, &Row)> {
        named(&self.network_status, decline.network_status(), on)
            .filter(|(_, row)| row.codes.contains(&decline.code))
    }

    /// Every row with the name of its table and its own.
    pub fn rows(&self) -> impl Iterator<Item = (Table, String, &Row)> {
        keyed(Table::NetworkCode, &self.networks)
            .chain(keyed(Table::GatewayCode, &self.gateways))
            .chain(plain(Table::NetworkAdvice, &self.network_advice))
            .chain(plain(Table::Advice, &self.advice))
            .chain(plain(Table::NetworkStatus, &self.network_status))
    }

    /// Names every rule that points at nothing.
    pub fn mistakes(&self) -> Vec<String> {
        let classes = self.rows().filter_map(|(table, row, rule)| {
            rule.class.as_ref().map(|class| (format!("{} {row}", table.name()), class))
        });
        let present = self.on_session.iter().map(|(from, class)| (format!("on_session.{from}"), class));
        let strangers = classes
            .chain(present)
            .chain(std::iter::once(("unmapped".to_owned(), &self.unmapped)))
            .filter(|(_, class)| !self.classes.contains_key(*class))
            .map(|(key, class)| format!("{key} names the class {class:?}, which is not defined"));
        let unfounded = self.rows().filter(|(_, _, rule)| !self.sources.contains_key(&rule.source)).map(
            |(table, row, rule)| {
                format!("{} {row} names the source {:?}, which is not listed", table.name(), rule.source)
            },
        );
        let early = self
            .rows()
            .filter(|(_, _, rule)| rule.since == 0 || rule.since > self.version)
            .map(|(table, row, _)| format!("{} {row} is of a version that is yet to come", table.name()));
        strangers.chain(unfounded).chain(early).chain(self.retried_on_session()).collect()
    }

    /// Every class by which a customer who was there would be charged again after they are gone.
    fn retried_on_session(&self) -> impl Iterator<Item = String> {
        let is_retry = |name: &String| matches!(self.classes.get(name), Some(Class::Retry { .. }));
        let retried = self.classes.keys().filter(move |name| {
            let present = self.on_session.get(*name).unwrap_or(name);
            is_retry(present)
        });
        retried.map(|name| format!("on_session.{name} is missing, or names a class that is tried again"))
    }
}

fn named<'a>(rows: &'a Rows, code: Option<&str>, on: NaiveDate) -> Option<(String, &'a Row)> {
    let (code, row) = rows.get_key_value(code?)?;
    row.holds(on).then(|| (code.clone(), row))
}

fn keyed(table: Table, tables: &BTreeMap<String, Rows>) -> impl Iterator<Item = (Table, String, &Row)> {
    tables.iter().flat_map(move |(name, rows)| {
        rows.iter().map(move |(code, row)| (table, format!("{name} {code}"), row))
    })
}

fn plain(table: Table, rows: &Rows) -> impl Iterator<Item = (Table, String, &Row)> {
    rows.iter().map(move |(code, row)| (table, code.clone(), row))
}

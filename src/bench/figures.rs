//! Figures: what a round has measured, by name, and what several rounds come to.

use crate::domain::clock::Time;
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::{collections::BTreeMap, time::Duration};

/// A whole number, or a ratio in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Whole(u64),
    Thousandths(u64),
}

/// What was measured, in the order in which it is told; none for what cannot be measured here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures(Vec<(String, Option<Value>)>);

impl Figures {
    pub fn whole(&mut self, name: impl Into<String>, value: Option<u64>) {
        self.0.push((name.into(), value.map(Value::Whole)));
    }

    /// How much `part` is of `whole`; nothing where that is nothing.
    pub fn ratio(&mut self, name: impl Into<String>, part: Option<u64>, whole: Option<u64>) {
        let ratio = part.zip(whole).and_then(|(part, whole)| (part * 1000).checked_div(whole));
        self.0.push((name.into(), ratio.map(Value::Thousandths)));
    }

    /// The half and the last hundredth of some spans of time.
    pub fn spread(&mut self, name: &str, mut spans: Vec<Duration>) {
        spans.sort_unstable();
        let at = |percent: usize| {
            let last = spans.len().checked_sub(1)?;
            spans.get(last * percent / 100).map(|span| micros(*span))
        };
        self.whole(format!("{name}_p50_us"), at(50));
        self.whole(format!("{name}_p99_us"), at(99));
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<Value>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    pub fn find(&self, name: &str) -> Option<Value> {
        self.iter().find(|(other, _)| *other == name).and_then(|(_, value)| value)
    }
}

/// Lowest, median and highest of each figure over the rounds, in the order of the first one.
pub fn over(rounds: &[Figures]) -> Vec<(String, Option<[Value; 3]>)> {
    let Some(first) = rounds.first() else { return Vec::new() };
    let mut values: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (name, value) in rounds.iter().flat_map(Figures::iter) {
        values.entry(name).or_default().extend(value);
    }
    let three = |values: &mut Vec<Value>| {
        values.sort_unstable();
        let median = *values.get(values.len() / 2)?;
        Some([*values.first()?, median, *values.last()?])
    };
    first.iter().map(|(name, _)| (name.to_owned(), values.get_mut(name).and_then(three))).collect()
}

/// How many a second.
pub(super) fn rate(count: usize, took: Duration) -> Option<u64> {
    let micros = took.as_micros().max(1);
    u64::try_from(u128::try_from(count).ok()? * 1_000_000 / micros).ok()
}

/// How much of something each of `count` has had.
pub(super) fn each(whole: Option<u64>, count: usize) -> Option<u64> {
    whole?.checked_div(u64::try_from(count).ok()?)
}

pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// From one moment to a later one.
pub(super) fn between(from: Time, until: Time) -> Duration {
    (until - from).to_std().unwrap_or_default()
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(number) => write!(f, "{number}"),
            Self::Thousandths(number) => write!(f, "{}.{:03}", number / 1000, number % 1000),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number: serde_json::Number =
            serde_json::from_str(&self.to_string()).map_err(serde::ser::Error::custom)?;
        number.serialize(serializer)
    }
}

/// The medians as an object.
#[derive(Debug)]
pub struct Medians<'a>(pub &'a [(String, Option<[Value; 3]>)]);

impl Serialize for Medians<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, &value.map(|[_, median, _]| median))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(rate: Option<u64>, ratio: u64) -> Figures {
        let mut figures = Figures::default();
        figures.whole("payments_per_s", rate);
        figures.ratio("ratio_to_floor", Some(ratio), Some(1000));
        figures
    }

    #[test]
    fn rounds_come_to_their_median_and_tell_their_extremes() {
        let rounds = [round(Some(30), 250), round(None, 333), round(Some(10), 300)];

        let over = over(&rounds);

        assert_eq!(over[0].1, Some([Value::Whole(10), Value::Whole(30), Value::Whole(30)]));
        assert_eq!(over[1].1.unwrap()[1], Value::Thousandths(300));
        let json = serde_json::to_string(&Medians(&over)).unwrap();
        assert_eq!(json, r#"{"payments_per_s":30,"ratio_to_floor":0.3}"#);
    }

    #[test]
    fn a_figure_that_no_round_has_is_null() {
        let over = over(&[round(None, 1), round(None, 2)]);

        assert_eq!(over[0].1, None);
        assert!(serde_json::to_string(&Medians(&over)).unwrap().contains(r#""payments_per_s":null"#));
    }

    #[test]
    fn a_spread_is_the_half_and_the_last_hundredth() {
        let mut figures = Figures::default();
        figures.spread("accept", (1..=101).rev().map(Duration::from_micros).collect());
        figures.spread("nothing", Vec::new());

        assert_eq!(figures.find("accept_p50_us"), Some(Value::Whole(51)));
        assert_eq!(figures.find("accept_p99_us"), Some(Value::Whole(100)));
        assert_eq!(figures.find("nothing_p99_us"), None);
    }

    #[test]
    fn a_rate_is_counted_by_the_second() {
        assert_eq!(rate(3000, Duration::from_millis(1500)), Some(2000));
        assert_eq!(each(Some(4096), 4), Some(1024));
        assert_eq!(each(Some(1), 0), None);
    }
}

//! A rate gives faults by chance, and the same ones to the same requests under the same seed.

use crate::{operation::Scope, order::Choice};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// As it is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rate {
    seed: u64,
    /// Between 0 and 1, with up to six decimals.
    #[serde(rename = "rate")]
    share: serde_json::Number,
    menu: Vec<Choice>,
    #[serde(default)]
    pub method: Scope,
}

/// A rate at work.
#[derive(Debug)]
pub(crate) struct Chance {
    pub rate: Rate,
    millionths: u64,
    /// How many requests came under each key.
    seen: HashMap<String, u64>,
}

const MILLION: u64 = 1_000_000;
const MAX_MENU: usize = 100;

impl Chance {
    pub(crate) fn new(rate: Rate) -> Result<Self, String> {
        let millionths = millionths(&rate.share.to_string()).ok_or("rate must be between 0 and 1")?;
        if !(1..=MAX_MENU).contains(&rate.menu.len()) {
            return Err(format!("menu must name 1 to {MAX_MENU} faults"));
        }
        Ok(Self { rate, millionths, seen: HashMap::new() })
    }

    /// What this request draws: a function of the seed, its key, and how many came under the key before.
    pub(crate) fn draw(&mut self, key: &str) -> Option<&Choice> {
        let seen = self.seen.entry(key.to_owned()).or_default();
        let number = *seen;
        *seen = seen.saturating_add(1);
        let (chance, choice) = dice(&format!("{} {number} {key}", self.rate.seed));
        if chance % MILLION >= self.millionths {
            return None;
        }
        let count = u64::try_from(self.rate.menu.len()).ok()?;
        usize::try_from(choice.checked_rem(count)?).ok().and_then(|place| self.rate.menu.get(place))
    }
}

fn dice(text: &str) -> (u64, u64) {
    let digest = Sha256::digest(text);
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let (chance, rest) = digest.split_at(8);
    let (choice, _) = rest.split_at(8);
    (number(chance), number(choice))
}

/// Decimals are read as text: there are no floats here.
fn millionths(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 6 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let parts: u64 = format!("{decimals:0<6}").parse().ok()?;
    let millionths = whole.parse::<u64>().ok()?.checked_mul(MILLION)?.checked_add(parts)?;
    (millionths <= MILLION).then_some(millionths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chance(seed: u64, rate: &str) -> Chance {
        let text = format!(r#"{{"seed": {seed}, "rate": {rate}, "menu": ["cut_before", "cut_after"]}}"#);
        Chance::new(serde_json::from_str(&text).unwrap()).unwrap()
    }

    fn drawn(seed: u64, rate: &str) -> Vec<Option<String>> {
        let mut chance = chance(seed, rate);
        (0..2000).map(|number| chance.draw(&format!("key {number}")).map(|it| it.name.clone())).collect()
    }

    #[test]
    fn the_same_seed_draws_the_same_and_another_seed_does_not() {
        assert_eq!(drawn(7, "0.1"), drawn(7, "0.1"));
        assert_ne!(drawn(7, "0.1"), drawn(8, "0.1"));
    }

    #[test]
    fn as_many_draw_a_fault_as_the_rate_says_and_of_every_kind() {
        let drawn = drawn(7, "0.1");
        let of = |name: &str| drawn.iter().flatten().filter(|it| *it == name).count();

        assert!((70..130).contains(&of("cut_before")), "{}", of("cut_before"));
        assert!((70..130).contains(&of("cut_after")), "{}", of("cut_after"));
    }

    #[test]
    fn a_key_draws_by_itself_whatever_came_between() {
        let (mut alone, mut crowded) = (chance(7, "0.5"), chance(7, "0.5"));
        let name = |choice: Option<&Choice>| choice.map(|it| it.name.clone());

        for number in 0..50 {
            crowded.draw(&format!("other {number}"));
            assert_eq!(name(alone.draw("mine")), name(crowded.draw("mine")));
        }
    }

    #[test]
    fn a_rate_is_a_decimal_between_0_and_1() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1", Some(MILLION)),
            ("0.1", Some(100_000)),
            ("0.000001", Some(1)),
            ("1.0", Some(MILLION)),
        ] {
            assert_eq!(millionths(text), expected, "{text}");
        }
        for text in ["1.1", "-0.1", "2", "1e-7", "0.0000001", ""] {
            assert_eq!(millionths(text), None, "{text}");
        }
    }
}

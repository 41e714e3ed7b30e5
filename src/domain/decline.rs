//! Declines: what a decline code means, and so whether and when the payment is tried again.
//!
//! The rules are data (`config/declines.toml`); this file only applies them.

use super::clock::Time;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff as _};
use chrono::TimeDelta;
use dunlin_jobs::PaymentId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, time::Duration};

/// The facts of a decline, as the gateway gave them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decline {
    /// The gateway's code, such as `insufficient_funds`.
    pub code: String,
    /// The network's own code, such as `51`.
    #[serde(default)]
    pub network_code: Option<String>,
    /// The gateway's advice, such as `do_not_try_again`.
    #[serde(default)]
    pub advice: Option<String>,
    #[serde(default)]
    pub message: Option<String>,
}

/// The table of declines.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Grows with every change of the rules, so that a decision names the rules that made it.
    pub version: u32,
    /// Jitter is spread evenly over this long.
    pub jitter_s: u64,
    pub classes: BTreeMap<String, Class>,
    /// From a gateway's decline code to the name of its class.
    pub codes: BTreeMap<String, String>,
    /// From a gateway's advice to a class; advice outranks the code.
    pub advice: BTreeMap<String, String>,
    /// The class of a code that is not listed.
    pub unmapped: String,
    /// From a class to the one that stands in its place while the customer is there.
    pub on_session: BTreeMap<String, String>,
}

/// What declines of one kind have in common.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Class {
    /// Worth another attempt: after `first_s`, then `factor` times longer each time, up to `longest_s`.
    Retry { first_s: u64, factor: u32, longest_s: u64, retries: u32 },
    /// Only the customer can mend it.
    NeedCustomer { need: Need },
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

/// What happens after a decline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    RetryAt(Time),
    NeedCustomer(Need),
    Stop,
}

/// A decision with its class and its reason in words, for the payment's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    pub decision: Decision,
    pub class: String,
    pub reason: String,
}

/// Which decline of which payment is decided on.
#[derive(Debug, Clone, Copy)]
pub struct Tried {
    pub payment: PaymentId,
    /// How often this payment has been declined, this time included: at least 1.
    pub declines: u32,
    /// Whether the customer is there.
    pub on_session: bool,
}

impl Policy {
    /// Decides by the rules alone; the same facts always give the same answer.
    pub fn decide(&self, decline: &Decline, tried: Tried, now: Time) -> Decided {
        let name = self.class_name(decline, tried.on_session);
        let said = format!("{} is {name} (policy {})", decline.code, self.version);
        let (decision, reason) = match self.classes.get(name) {
            Some(Class::Retry { retries, .. }) if tried.declines > *retries => {
                (Decision::Stop, format!("{said}: all {retries} retries are used"))
            }
            Some(Class::Retry { first_s, factor, longest_s, retries }) => {
                let delay = exponential(*first_s, *factor, *longest_s, tried.declines);
                let at = now + delay + self.jitter(tried);
                let hours = delay.num_hours();
                (
                    Decision::RetryAt(at),
                    format!("{said}: retry {} of {retries} after {hours} h", tried.declines),
                )
            }
            Some(Class::NeedCustomer { need }) => {
                (Decision::NeedCustomer(*need), format!("{said}: only the customer can mend it"))
            }
            Some(Class::Stop) | None => (Decision::Stop, format!("{said}: not to be tried again")),
        };
        Decided { decision, class: name.to_owned(), reason }
    }

    /// What declines like this one have in common.
    pub fn class(&self, decline: &Decline, on_session: bool) -> Option<&Class> {
        self.classes.get(self.class_name(decline, on_session))
    }

    /// A customer who is there and one who is not have tables of their own (S3.2).
    fn class_name(&self, decline: &Decline, on_session: bool) -> &str {
        let advised = decline.advice.as_ref().and_then(|advice| self.advice.get(advice));
        let class = advised.or_else(|| self.codes.get(&decline.code)).unwrap_or(&self.unmapped);
        if on_session { self.on_session.get(class).unwrap_or(class) } else { class }
    }

    /// A hash, not a die: a decision can be replayed (S3.0).
    fn jitter(&self, tried: Tried) -> TimeDelta {
        let digest = Sha256::digest(format!("{}:{}", tried.payment, tried.declines));
        let number = digest.iter().take(4).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let millis = number % (self.jitter_s.saturating_mul(1000).max(1));
        TimeDelta::milliseconds(i64::try_from(millis).unwrap_or(0))
    }

    /// Names every rule that points at nothing.
    pub fn mistakes(&self) -> Vec<String> {
        let targets = self.codes.iter().map(|(code, class)| (format!("codes.{code}"), class));
        let advice = self.advice.iter().map(|(advice, class)| (format!("advice.{advice}"), class));
        let present = self.on_session.iter().map(|(from, class)| (format!("on_session.{from}"), class));
        targets
            .chain(advice)
            .chain(present)
            .chain(std::iter::once(("unmapped".to_owned(), &self.unmapped)))
            .filter(|(_, class)| !self.classes.contains_key(*class))
            .map(|(key, class)| format!("{key} names the class {class:?}, which is not defined"))
            .chain(self.retried_on_session())
            .collect()
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

/// The delay before try number `nth` (from 1) of an exponential schedule, computed by `backoff`.
pub fn exponential(first_s: u64, factor: u32, longest_s: u64, nth: u32) -> TimeDelta {
    let mut schedule = schedule(Duration::from_secs(first_s), factor, Duration::from_secs(longest_s));
    nth_delay(&mut schedule, nth)
}

/// The delay before transport try number `nth` (from 1): the same attempt again, since it never left (S3.1).
pub fn transport(nth: u32) -> TimeDelta {
    let mut schedule = schedule(Duration::from_millis(250), 2, Duration::from_mins(1));
    nth_delay(&mut schedule, nth)
}

fn nth_delay(schedule: &mut ExponentialBackoff, nth: u32) -> TimeDelta {
    // The schedule reaches its longest delay within a few doublings, so later ones need no counting.
    let delay = (0..nth.clamp(1, 64)).filter_map(|_| schedule.next_backoff()).last().unwrap_or_default();
    // The library multiplies in floats: what is kept is what both databases hold, or a payment in memory would
    // wait some nanoseconds longer than its own row.
    i64::try_from(delay.as_micros()).map_or(TimeDelta::MAX, TimeDelta::microseconds)
}

fn schedule(first: Duration, factor: u32, longest: Duration) -> ExponentialBackoff {
    #[expect(
        clippy::disallowed_types,
        reason = "the library counts its multiplier in f64; no money is involved"
    )]
    let factor = f64::from(factor);
    ExponentialBackoffBuilder::new()
        .with_initial_interval(first)
        .with_multiplier(factor)
        .with_randomization_factor(0.0)
        .with_max_interval(longest)
        .with_max_elapsed_time(None)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    const POLICY: &str = include_str!("../../config/declines.toml");
    const DAY: u64 = 86_400;

    fn decline(code: &str) -> Decline {
        Decline { code: code.to_owned(), network_code: None, advice: None, message: None }
    }

    fn tried(declines: u32) -> Tried {
        Tried { payment: PaymentId::mint(DateTime::UNIX_EPOCH, [3; 10]), declines, on_session: false }
    }

    fn decide(decline: &Decline, declines: u32) -> Decided {
        let policy: Policy = toml::from_str(POLICY).unwrap();
        policy.decide(decline, tried(declines), DateTime::UNIX_EPOCH)
    }

    #[test]
    fn the_shipped_policy_is_whole() {
        let policy: Policy = toml::from_str(POLICY).unwrap();

        assert_eq!(policy.mistakes(), Vec::<String>::new());
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        let days: Vec<_> = (1..=5).map(|nth| exponential(DAY, 2, 7 * DAY, nth).num_days()).collect();

        assert_eq!(days, [1, 2, 4, 7, 7]);
    }

    #[test]
    fn transport_tries_follow_quickly_and_never_wait_more_than_a_minute() {
        let millis: Vec<_> = [1, 2, 3, 9, 1000].map(|nth| transport(nth).num_milliseconds()).into();

        assert_eq!(millis, [250, 500, 1000, 60_000, 60_000]);
    }

    #[test]
    fn a_soft_decline_is_tried_again_until_its_retries_are_used() {
        let code = decline("insufficient_funds");

        let first = decide(&code, 1);
        let spent = decide(&code, 99);

        let Decision::RetryAt(at) = first.decision else { panic!("{first:?}") };
        assert!(at >= DateTime::UNIX_EPOCH + TimeDelta::days(1));
        assert!(at <= DateTime::UNIX_EPOCH + TimeDelta::days(1) + TimeDelta::minutes(30));
        assert_eq!(spent.decision, Decision::Stop);
    }

    #[test]
    fn a_retry_is_due_at_a_moment_that_a_row_can_hold() {
        for declines in 1..=6 {
            let Decision::RetryAt(at) = decide(&decline("card_velocity_exceeded"), declines).decision else {
                break;
            };
            assert_eq!(at, super::super::clock::truncate(at));
        }
    }

    #[test]
    fn a_decision_can_be_replayed() {
        assert_eq!(decide(&decline("do_not_honor"), 2), decide(&decline("do_not_honor"), 2));
    }

    #[test]
    fn a_hard_decline_stops_and_an_authentication_waits_for_the_customer() {
        assert_eq!(decide(&decline("fraudulent"), 1).decision, Decision::Stop);
        let challenged = decide(&decline("authentication_required"), 1).decision;
        assert_eq!(challenged, Decision::NeedCustomer(Need::Authenticate));
    }

    #[test]
    fn advice_outranks_the_code() {
        let advised =
            Decline { advice: Some("do_not_try_again".to_owned()), ..decline("insufficient_funds") };

        assert_eq!(decide(&advised, 1).decision, Decision::Stop);
    }

    #[test]
    fn an_unmapped_code_is_tried_once_more_and_no_further() {
        assert!(matches!(decide(&decline("brand_new"), 1).decision, Decision::RetryAt(_)));
        assert_eq!(decide(&decline("brand_new"), 2).decision, Decision::Stop);
    }

    // S3.2
    #[test]
    fn nothing_is_tried_again_by_itself_while_the_customer_is_there() {
        let policy: Policy = toml::from_str(POLICY).unwrap();
        let present = Tried { on_session: true, ..tried(1) };
        let codes = policy.codes.keys().map(String::as_str).chain(["brand_new"]);

        for code in codes {
            let away = policy.decide(&decline(code), tried(1), DateTime::UNIX_EPOCH).decision;
            let there = policy.decide(&decline(code), present, DateTime::UNIX_EPOCH).decision;
            match away {
                Decision::RetryAt(_) => assert_eq!(there, Decision::NeedCustomer(Need::NewMethod), "{code}"),
                Decision::NeedCustomer(_) | Decision::Stop => assert_eq!(there, away, "{code}"),
            }
        }
    }

    #[test]
    fn a_policy_that_would_come_back_for_a_customer_who_was_there_is_refused() {
        let mut policy: Policy = toml::from_str(POLICY).unwrap();
        policy.on_session.remove("soft_funds");
        policy.on_session.insert("technical".to_owned(), "soft_limit".to_owned());
        policy.on_session.insert("unmapped".to_owned(), "nowhere".to_owned());

        let mistakes = policy.mistakes().join("; ");

        for named in ["on_session.soft_funds is missing", "on_session.technical is missing", "\"nowhere\""] {
            assert!(mistakes.contains(named), "{mistakes}");
        }
    }
}

//! The decision on a decline: a pure function of its facts, the payment's tries, the policy and the time.

use super::{Class, Decline, MOST_ATTEMPTS, Need, Policy, policy::Row, schedule::exponential};
use crate::domain::clock::{Time, truncate};
use chrono::TimeDelta;
use dunlin_jobs::PaymentId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What happens after a decline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    RetryAt(Time),
    NeedCustomer(Need),
    /// A person looks first.
    Review,
    Stop,
}

/// A decision with the rule that made it and its reason in words, for the payment's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    pub decision: Decision,
    pub by: DecidedBy,
    pub reason: String,
}

/// Which row of which table decided (S3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecidedBy {
    pub table: Table,
    /// The row, by what it is looked up by: `visa 14` of a network, `03` of advice.
    pub row: String,
    pub class: String,
    /// The version of the policy.
    pub policy: u32,
    /// No attempt may begin before, by the network's or the gateway's advice, whoever wants one (S3.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
}

/// The tables of the policy, by their stored names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    NetworkCode,
    GatewayCode,
    NetworkAdvice,
    Advice,
    NetworkStatus,
    /// No table knows the code.
    Unmapped,
}

/// Which decline of which payment is decided on.
#[derive(Debug, Clone, Copy)]
pub struct Tried {
    pub payment: PaymentId,
    /// The number of the attempt that was declined.
    pub attempt: u32,
    /// How often attempts of the schedule were declined, this one included: at least 1. What a person asked for
    /// takes no place in the schedule (S3.3).
    pub declines: u32,
    /// Whether the customer is there.
    pub on_session: bool,
}

/// The class of a decline, and by which row.
#[derive(Debug, Clone, Copy)]
struct Judged<'a> {
    class: &'a str,
    table: Table,
}

impl Table {
    pub fn name(self) -> &'static str {
        match self {
            Self::NetworkCode => "network_code",
            Self::GatewayCode => "gateway_code",
            Self::NetworkAdvice => "network_advice",
            Self::Advice => "advice",
            Self::NetworkStatus => "network_status",
            Self::Unmapped => "unmapped",
        }
    }
}

impl Policy {
    /// Decides by the rules alone; the same facts always give the same answer.
    pub fn decide(&self, decline: &Decline, tried: Tried, now: Time) -> Decided {
        let by = self.judge(decline, tried.on_session, now);
        let said = by.in_words(decline);
        let (decision, why) = match self.classes.get(&by.class) {
            Some(Class::Retry { retries, .. }) if tried.declines > *retries => {
                (Decision::Stop, format!("all {retries} retries are used"))
            }
            Some(Class::Retry { .. }) if tried.attempt >= MOST_ATTEMPTS => {
                (Decision::Stop, format!("it had {MOST_ATTEMPTS} attempts, which is all that there may be"))
            }
            Some(Class::Retry { first_s, factor, longest_s, retries }) => {
                let usual = exponential(*first_s, *factor, *longest_s, tried.declines);
                let advised = by.not_before.map(|at| at - now).filter(|advised| *advised > usual);
                let delay = advised.unwrap_or(usual);
                let why = format!("retry {} of {retries} after {}", tried.declines, in_words(delay));
                let why = if advised.is_some() { format!("{why}, as was advised") } else { why };
                // Added, never taken away: what was advised is not undercut (S3.4).
                (Decision::RetryAt(now + delay + self.jitter(tried, delay)), why)
            }
            Some(Class::NeedCustomer { need }) => {
                (Decision::NeedCustomer(*need), "only the customer can mend it".to_owned())
            }
            Some(Class::Review) => (Decision::Review, "a person has to look".to_owned()),
            Some(Class::Stop) | None => (Decision::Stop, "not to be tried again".to_owned()),
        };
        Decided { decision, reason: format!("{said}: {why}"), by }
    }

    /// What declines like this one have in common, by the rules of today.
    pub fn class(&self, decline: &Decline, on_session: bool, now: Time) -> Option<&Class> {
        self.classes.get(&self.judge(decline, on_session, now).class)
    }

    /// The network's code comes first, then the gateway's; what says so of a charge that never left, and the two kinds of
    /// advice, come after them, and only ever make a decline harder (S3.2).
    fn judge(&self, decline: &Decline, on_session: bool, now: Time) -> DecidedBy {
        let on = now.date_naive();
        let network = self.by_network(decline, on);
        let gateway = self.by_gateway(decline, on);
        let status = self.by_network_status(decline, on);
        let network_advice = self.by_network_advice(decline, on);
        let advice = self.by_advice(decline, on);

        let unmapped = Judged { class: &self.unmapped, table: Table::Unmapped };
        let mut judged = class_of(gateway.as_ref(), Table::GatewayCode).unwrap_or(unmapped);
        if let Some(by_network) = class_of(network.as_ref(), Table::NetworkCode)
            && self.hardness(by_network) >= self.hardness(judged)
        {
            judged = by_network;
        }
        for harder in [
            class_of(status.as_ref(), Table::NetworkStatus),
            class_of(network_advice.as_ref(), Table::NetworkAdvice),
        ]
        .into_iter()
        .flatten()
        {
            if self.is_retried(judged) || self.hardness(harder) > self.hardness(judged) {
                judged = harder;
            }
        }
        if let Some(advised) = class_of(advice.as_ref(), Table::Advice)
            && self.is_retried(judged)
        {
            judged = advised;
        }

        let row = |found: &Option<(String, &Row)>| found.as_ref().map(|(name, _)| name.clone());
        let row = match judged.table {
            Table::NetworkCode => row(&network),
            Table::GatewayCode => row(&gateway),
            Table::NetworkStatus => row(&status),
            Table::NetworkAdvice => row(&network_advice),
            Table::Advice => row(&advice),
            Table::Unmapped => None,
        };
        let waits = [&network, &gateway, &network_advice, &advice].into_iter().flatten();
        let wait = waits.filter_map(|(_, row)| row.not_before_s).max();
        DecidedBy {
            table: judged.table,
            row: row.unwrap_or_else(|| decline.code.clone()),
            class: self.stand_in(judged.class, on_session).to_owned(),
            policy: self.version,
            not_before: wait.and_then(seconds).map(|wait| truncate(now + wait)),
        }
    }

    /// A customer who is there and one who is not have tables of their own (S3.2).
    fn stand_in<'a>(&'a self, class: &'a str, on_session: bool) -> &'a str {
        if on_session { self.on_session.get(class).map_or(class, String::as_str) } else { class }
    }

    fn hardness(&self, judged: Judged<'_>) -> u8 {
        // A class that is not defined stops, as in a decision.
        self.classes.get(judged.class).map_or(u8::MAX, Class::hardness)
    }

    fn is_retried(&self, judged: Judged<'_>) -> bool {
        self.hardness(judged) == 0
    }

    /// A hash, not a die: a decision can be replayed (S3.0). At most a fifth of the delay (S3.5), so that what is to come
    /// in ten minutes does not come in forty.
    fn jitter(&self, tried: Tried, delay: TimeDelta) -> TimeDelta {
        let digest = Sha256::digest(format!("{}:{}", tried.payment, tried.attempt));
        let number = digest.iter().take(4).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let fifth = u64::try_from(delay.num_milliseconds() / 5).unwrap_or(0);
        let millis = number % fifth.min(self.jitter_s.saturating_mul(1000)).max(1);
        TimeDelta::milliseconds(i64::try_from(millis).unwrap_or(0))
    }
}

impl DecidedBy {
    /// Names what decided, which is not always the code.
    fn in_words(&self, decline: &Decline) -> String {
        let Self { row, class, policy, .. } = self;
        let by = match self.table {
            Table::GatewayCode | Table::Unmapped => String::new(),
            Table::NetworkCode => format!(" by the network's code {row}"),
            Table::NetworkAdvice => format!(" by the network's advice {row}"),
            Table::Advice => format!(" by the gateway's advice {row}"),
            Table::NetworkStatus => format!(", for it was {row}"),
        };
        format!("{} is {class}{by} (policy {policy})", decline.code)
    }
}

fn class_of<'a>(found: Option<&(String, &'a Row)>, table: Table) -> Option<Judged<'a>> {
    let (_, row) = found?;
    Some(Judged { class: row.class.as_deref()?, table })
}

fn seconds(wait: u64) -> Option<TimeDelta> {
    i64::try_from(wait).ok().and_then(TimeDelta::try_seconds)
}

fn in_words(delay: TimeDelta) -> String {
    match delay.num_hours() {
        0 => format!("{} min", delay.num_minutes()),
        hours => format!("{hours} h"),
    }
}

//! Holds: why an account is not charged for now, when it is looked at again, and how work on it resumes (S1.22, S6.4).

use super::clock::Time;
use chrono::TimeDelta;
use dunlin_jobs::PaymentId;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// Why an account is on hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldCause {
    /// The gateway has not said yet whose account our key is of.
    Identity,
    /// The key is of another account than the payments are.
    WrongAccount,
    /// The gateway refuses the key.
    Credentials,
    /// The gateway refuses our requests, one payment like the other.
    Requests,
    /// A person put it on hold.
    Person,
}

impl HoldCause {
    pub const ALL: [Self; 5] =
        [Self::Identity, Self::WrongAccount, Self::Credentials, Self::Requests, Self::Person];

    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::WrongAccount => "wrong_account",
            Self::Credentials => "credentials",
            Self::Requests => "requests",
            Self::Person => "person",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// What ends it, for whoever looks.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Identity => "nothing, mostly: the gateway is asked again, at least once a minute",
            Self::WrongAccount => "set a key of the right account, or the right address, and restart",
            Self::Credentials => {
                "mend the key or its rights at the gateway, and work resumes by itself; with another key, restart"
            }
            Self::Requests => {
                "mend at the gateway what it refuses, such as a version, a right or a setting; work resumes by itself, or \
                 at once by `dunlin gateways release`"
            }
            Self::Person => "ask whoever put it on hold, then `dunlin gateways release`",
        }
    }

    /// How long after so many probes the next one is made; none where only a person ends it.
    pub fn probe_delay(self, probes: u32) -> Option<TimeDelta> {
        // What is refused although the key is good is not mended by asking whose the key is, so each round costs some
        // payment an attempt.
        let (first_s, longest_s) = match self {
            Self::Identity => (1, 60),
            Self::WrongAccount | Self::Credentials => (5, 300),
            Self::Requests => (60, 3600),
            Self::Person => return None,
        };
        let doubled = 2_i64.saturating_pow(probes.min(16));
        TimeDelta::try_seconds(doubled.saturating_mul(first_s).min(longest_s))
    }
}

/// An account that is not charged, or only a little.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub account: String,
    pub reason: HoldCause,
    pub detail: String,
    pub since: Time,
    pub probes: u32,
    pub probe_at: Option<Time>,
    /// Work on it resumes.
    pub stage: Option<Stage>,
}

impl Hold {
    /// Whether work resumes, and a payment was accepted since.
    pub fn has_passed(&self) -> bool {
        self.stage.is_some_and(|stage| stage.allowance > 1 || stage.passed > 0)
    }
}

/// How far an account may be charged that was on hold: one payment, then two, four and eight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// How many payments may begin in this stage.
    pub allowance: u32,
    pub begun: u32,
    /// How many of them the gateway has accepted, whatever became of them.
    pub passed: u32,
    pub since: Time,
}

impl Stage {
    /// After as many accepted payments all is as it was.
    pub const LAST: u32 = 8;

    pub fn free(&self) -> u32 {
        self.allowance.saturating_sub(self.begun)
    }
}

/// What this process knows of whose account a key is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untold {
    pub reason: HoldCause,
    pub detail: String,
    pub since: Time,
    pub probes: u32,
    pub probe_at: Time,
}

/// Payments in a row that were rejected alike; the same one counts once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Streak {
    code: String,
    payments: Vec<PaymentId>,
}

impl Streak {
    /// How many there are with this one.
    fn add(&mut self, code: &str, payment: PaymentId) -> usize {
        if self.code != code {
            *self = Self { code: code.to_owned(), payments: Vec::new() };
        }
        if !self.payments.contains(&payment) {
            self.payments.push(payment);
        }
        self.payments.len()
    }
}

/// What a process has seen of one account.
#[derive(Debug, Clone, Default)]
struct Seen {
    untold: Option<Untold>,
    told_at: Option<Time>,
    alike: Streak,
    missing: Streak,
}

/// What a process has seen of its accounts since it started: whose they are, and what was rejected in a row.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    accounts: BTreeMap<String, Seen>,
}

/// For this long after the gateway has said whose account it is, it is not asked again because something is missing.
const IDENTITY_HOLDS: TimeDelta = TimeDelta::minutes(5);

impl Watch {
    fn of(&mut self, account: &str) -> &mut Seen {
        self.accounts.entry(account.to_owned()).or_default()
    }

    /// The gateway took a charge up, whatever came of it: what was refused before was not the account's fault.
    pub fn accepted(&mut self, account: &str) {
        if let Some(seen) = self.accounts.get_mut(account) {
            (seen.alike, seen.missing) = (Streak::default(), Streak::default());
        }
    }

    /// A payment was rejected by this code; how many were alike in a row.
    pub fn rejected(&mut self, account: &str, code: &str, payment: PaymentId) -> usize {
        self.of(account).alike.add(code, payment)
    }

    /// Something that a payment names is not there. True once so many payments in a row have missed something that it
    /// has to be asked first whether this is the right account.
    pub fn missed(&mut self, account: &str, payment: PaymentId, most: usize, now: Time) -> bool {
        let seen = self.of(account);
        let many = seen.missing.add("missing", payment) >= most;
        let is_fresh = seen.told_at.is_some_and(|at| now - at < IDENTITY_HOLDS);
        many && !is_fresh
    }

    pub fn is_told(&self, account: &str) -> bool {
        self.untold(account).is_none()
    }

    pub fn untold(&self, account: &str) -> Option<&Untold> {
        self.accounts.get(account)?.untold.as_ref()
    }

    /// Accounts of which it is not known whose they are.
    pub fn all_untold(&self) -> impl Iterator<Item = (&str, &Untold)> {
        self.accounts.iter().filter_map(|(name, seen)| Some((name.as_str(), seen.untold.as_ref()?)))
    }

    /// The gateway has said that it is the right account.
    pub fn told(&mut self, account: &str, now: Time) {
        *self.of(account) = Seen { told_at: Some(now), ..Seen::default() };
    }

    /// It is not known any more, or still not, whose account it is; true where that is new, or for a new reason.
    pub fn doubt(&mut self, account: &str, reason: HoldCause, detail: &str, now: Time) -> bool {
        let seen = self.of(account);
        let before = seen.untold.take();
        let is_new = before.as_ref().is_none_or(|before| before.reason != reason);
        let probes = before.as_ref().map_or(0, |before| before.probes + 1);
        let since = before.map_or(now, |before| before.since);
        let delay = reason.probe_delay(probes).unwrap_or(TimeDelta::minutes(1));
        seen.told_at = None;
        seen.untold =
            Some(Untold { reason, detail: detail.to_owned(), since, probes, probe_at: now + delay });
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::payment::fixtures::at;

    fn payment(n: u8) -> PaymentId {
        PaymentId::mint(at(0), [n; 10])
    }

    #[test]
    fn probes_come_soon_at_first_and_never_cease() {
        let delays = |reason: HoldCause| {
            [0, 1, 2, 9, 40].map(|probes| reason.probe_delay(probes).unwrap().num_seconds())
        };

        assert_eq!(delays(HoldCause::Credentials), [5, 10, 20, 300, 300]);
        assert_eq!(delays(HoldCause::Requests), [60, 120, 240, 3600, 3600]);
        assert_eq!(HoldCause::Person.probe_delay(0), None);
    }

    // S1.22
    #[test]
    fn only_payments_in_a_row_that_are_rejected_alike_are_counted() {
        let mut watch = Watch::default();
        let mut reject = |code, n| watch.rejected("main", code, payment(n));

        assert_eq!([reject("a", 1), reject("a", 1), reject("a", 2)], [1, 1, 2]);
        assert_eq!([reject("b", 3), reject("a", 4)], [1, 1], "another code begins anew");
        watch.accepted("main");
        assert_eq!(watch.rejected("main", "a", payment(5)), 1, "one was accepted between");
        assert_eq!(watch.rejected("other", "a", payment(6)), 1);
    }

    #[test]
    fn who_misses_much_asks_first_whether_it_is_the_right_account() {
        let mut watch = Watch::default();
        let missed = |watch: &mut Watch, n, now| watch.missed("main", payment(n), 3, at(now));

        assert_eq!([1, 2, 3].map(|n| missed(&mut watch, n, 0)), [false, false, true]);
        watch.told("main", at(0));
        assert_eq!([4, 5, 6].map(|n| missed(&mut watch, n, 10)), [false; 3], "it was just told");
        assert!(missed(&mut watch, 7, 301));
    }

    #[test]
    fn an_account_is_in_doubt_until_it_is_told() {
        let mut watch = Watch::default();

        assert!(watch.is_told("main"), "what was never doubted is not asked after");
        assert!(watch.doubt("main", HoldCause::Identity, "503", at(0)));
        assert!(!watch.doubt("main", HoldCause::Identity, "503", at(1)), "said once");
        assert_eq!(watch.untold("main").map(|untold| (untold.since, untold.probe_at)), Some((at(0), at(3))));
        assert!(watch.doubt("main", HoldCause::WrongAccount, "acct_2", at(3)));
        watch.told("main", at(4));
        assert!(watch.is_told("main"));
    }
}

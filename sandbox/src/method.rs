//! A method is a test card: its token says, as data, how a confirmation with it goes.

use crate::{
    debit::{self, Return},
    decline::Decline,
    fault::Fault,
    test_card,
};

/// What the card answers and what happens to the exchange that asked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Behaviour {
    pub verdict: Verdict,
    pub fault: Option<Fault>,
}

/// What the card's bank decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Approve,
    Decline(Decline),
    /// Declines the first `times` confirmations of an intent, then approves.
    DeclineFirst {
        times: u32,
        decline: Decline,
    },
    /// Wants the customer present, and then declines or approves.
    Authenticate {
        declined: Option<Decline>,
    },
    /// Wants the customer if it is there; was set up for the time when it is not.
    AuthenticateOnSession,
    /// Takes its time, for ever if it names none, and may come back then.
    Settle {
        after_seconds: Option<i64>,
        returned: Option<Return>,
    },
}

impl Behaviour {
    /// The behaviour of a token, if there is such a card.
    pub(crate) fn of(token: &str) -> Option<Self> {
        if let Some(verdict) = debit::verdict(token) {
            return Some(Self { verdict, fault: None });
        }
        if let Some(name) = token.strip_prefix("pm_sandbox_") {
            return own(name);
        }
        let name = token.strip_prefix("pm_card_")?;
        test_card::verdict(name).map(|verdict| Self { verdict, fault: None })
    }
}

/// The sandbox's own cards: declines that are counted, and approvals that meet a fault.
fn own(name: &str) -> Option<Behaviour> {
    let fault =
        |name| Fault::named(name).map(|fault| Behaviour { verdict: Verdict::Approve, fault: Some(fault) });
    match name {
        "lost_before" => fault("cut_before"),
        "lost_after" => fault("cut_after"),
        "lost_after_decline" => {
            let verdict = Verdict::Decline(Decline::InsufficientFunds);
            fault("cut_after").map(|behaviour| Behaviour { verdict, ..behaviour })
        }
        "blocked" => Some(Behaviour { verdict: Verdict::Decline(Decline::BlockedSilently), fault: None }),
        _ => match name.strip_prefix("slow_") {
            Some(ms) => fault(&format!("late_{ms}")),
            None => counted(name).or_else(|| fault(name)),
        },
    }
}

/// The cards whose name ends in how often they decline.
fn counted(name: &str) -> Option<Behaviour> {
    let (kind, number) = name.rsplit_once('_')?;
    let decline = match kind {
        "insufficient_funds" => Decline::InsufficientFunds,
        "try_again_later" => Decline::TryAgainLater,
        "do_not_honor" => Decline::DoNotHonor,
        _ => return None,
    };
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let times = number.parse().ok().filter(|times| is_number && (1..=9).contains(times))?;
    Some(Behaviour { verdict: Verdict::DeclineFirst { times, decline }, fault: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_names_no_card_has_no_behaviour() {
        let tokens = [
            "",
            "card",
            "pm_card_",
            "pm_card_amex2",
            "pm_sandbox_",
            "pm_sandbox_slow_",
            "pm_sandbox_slow_-1",
            "pm_sandbox_slow_600001",
            "pm_sandbox_slow_99999999999999999999",
            "pm_sandbox_insufficient_funds",
            "pm_sandbox_insufficient_funds_0",
            "pm_sandbox_insufficient_funds_10",
            "pm_sandbox_insufficient_funds_+1",
            "pm_sandbox_do_not_honor_x",
        ];

        for token in tokens {
            assert_eq!(Behaviour::of(token), None, "{token}");
        }
    }

    #[test]
    fn stripes_cards_are_known_with_and_without_their_brand() {
        let with = Behaviour::of("pm_card_visa_chargeDeclinedLostCard");
        let without = Behaviour::of("pm_card_chargeDeclinedLostCard");

        assert_eq!(with, without);
        assert_eq!(with.map(|it| it.verdict), Some(Verdict::Decline(Decline::LostCard)));
    }

    #[test]
    fn a_number_in_a_token_is_part_of_the_behaviour() {
        let late = Behaviour::of("pm_sandbox_slow_2000").map(|it| it.fault);
        let twice = Behaviour::of("pm_sandbox_try_again_later_2").map(|it| it.verdict);

        assert_eq!(late, Some(Fault::named("late_2000")));
        assert_eq!(twice, Some(Verdict::DeclineFirst { times: 2, decline: Decline::TryAgainLater }));
    }
}

//! A method is a test card: its token says, as data, how a confirmation with it goes.

use crate::decline::Decline;
use std::time::Duration;

/// What the card answers and what happens to the exchange that asked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Behaviour {
    pub verdict: Verdict,
    pub fault: Fault,
}

/// What the card's bank decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Takes the amount and `extra_minor` more than asked.
    Approve {
        extra_minor: u64,
    },
    Decline(Decline),
    /// Declines the first `times` confirmations of an intent, then approves.
    DeclineFirst {
        times: u32,
        decline: Decline,
    },
    /// Wants the customer present.
    Authenticate,
}

/// What goes wrong between the caller and the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Once for each idempotency key: nothing is executed and nothing stored.
    Before(Break),
    /// Everything is executed and stored.
    After(Break),
    Late(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    Cut,
    Error,
}

const APPROVE: Verdict = Verdict::Approve { extra_minor: 0 };
const MAX_LATE_MS: u64 = 600_000;

impl Behaviour {
    /// The behaviour of a token, if there is such a card.
    pub(crate) fn of(token: &str) -> Option<Self> {
        if let Some(name) = token.strip_prefix("pm_sandbox_") {
            return own(name);
        }
        let name = token.strip_prefix("pm_card_")?;
        stripes(name.strip_prefix("visa_").unwrap_or(name))
            .map(|verdict| Self { verdict, fault: Fault::None })
    }
}

/// Stripe's public test cards, under their names with and without `visa_`.
fn stripes(name: &str) -> Option<Verdict> {
    let decline = match name {
        "visa" | "mastercard" => return Some(APPROVE),
        "authenticationRequired" => return Some(Verdict::Authenticate),
        "chargeDeclined" => Decline::Generic,
        "chargeDeclinedExpiredCard" => Decline::ExpiredCard,
        "chargeDeclinedFraudulent" | "radarBlock" => Decline::Fraudulent,
        "chargeDeclinedIncorrectCvc" => Decline::IncorrectCvc,
        "chargeDeclinedInsufficientFunds" => Decline::InsufficientFunds,
        "chargeDeclinedLostCard" => Decline::LostCard,
        "chargeDeclinedProcessingError" => Decline::ProcessingError,
        "chargeDeclinedStolenCard" => Decline::StolenCard,
        "chargeDeclinedVelocityLimitExceeded" => Decline::CardVelocityExceeded,
        _ => return None,
    };
    Some(Verdict::Decline(decline))
}

/// The sandbox's own cards.
fn own(name: &str) -> Option<Behaviour> {
    let (verdict, fault) = match name {
        "lost_before" => (APPROVE, Fault::Before(Break::Cut)),
        "lost_after" => (APPROVE, Fault::After(Break::Cut)),
        "lost_after_decline" => (Verdict::Decline(Decline::InsufficientFunds), Fault::After(Break::Cut)),
        "error_before" => (APPROVE, Fault::Before(Break::Error)),
        "error_after" => (APPROVE, Fault::After(Break::Error)),
        "wrong_amount" => (Verdict::Approve { extra_minor: 1 }, Fault::None),
        _ => return counted(name),
    };
    Some(Behaviour { verdict, fault })
}

/// The cards whose name ends in a number.
fn counted(name: &str) -> Option<Behaviour> {
    let (kind, number) = name.rsplit_once('_')?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let decline = match kind {
        "slow" => {
            let delay = number.parse().ok().filter(|ms| *ms <= MAX_LATE_MS).map(Duration::from_millis)?;
            return Some(Behaviour { verdict: APPROVE, fault: Fault::Late(delay) });
        }
        "insufficient_funds" => Decline::InsufficientFunds,
        "try_again_later" => Decline::TryAgainLater,
        "do_not_honor" => Decline::DoNotHonor,
        _ => return None,
    };
    let times = number.parse().ok().filter(|times| (1..=9).contains(times))?;
    Some(Behaviour { verdict: Verdict::DeclineFirst { times, decline }, fault: Fault::None })
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

        assert_eq!(late, Some(Fault::Late(Duration::from_secs(2))));
        assert_eq!(twice, Some(Verdict::DeclineFirst { times: 2, decline: Decline::TryAgainLater }));
    }
}

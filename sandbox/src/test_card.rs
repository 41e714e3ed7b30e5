//! Stripe's public test cards (docs.stripe.com/testing), by what follows `pm_card_`.

use crate::{decline::Decline, method::Verdict};

/// Approved, by brand, by country, and where only a check fails that decides nothing.
const APPROVED: &str = "visa visa_debit mastercard mastercard_debit mastercard_prepaid amex discover diners jcb unionpay \
                        visa_cartesBancaires mastercard_cartesBancaires \
                        us ar br ca cl co cr ec mx pa py pe uy \
                        ae at be bg by ch cy cz de dk ee es fi fr gb gb_debit gi gr hr hu ie it li lt lu lv mt nl no pl \
                        pt ro sa se si sk \
                        au cn hk in jp my nz sg th_credit th_debit tw \
                        avsFail avsLine1Fail avsUnchecked avsZipFail cvcCheckFail riskLevelElevated \
                        bypassPending bypassPendingInternational threeDSecureOptional \
                        amex_threeDSecureNotSupported pendingRefund refundFail \
                        createDispute createDisputeProductNotReceived createDisputeInquiry";

/// What the card's bank decides; some names stand with and without `visa_`.
pub(crate) fn verdict(name: &str) -> Option<Verdict> {
    if APPROVED.split_whitespace().any(|approved| approved == name) {
        return Some(Verdict::Approve);
    }
    let name = name.strip_prefix("visa_").unwrap_or(name);
    declined(name)
        .map(Verdict::Decline)
        .or_else(|| blocked(name).map(Verdict::Decline))
        .or_else(|| asked(name))
}

/// Why the card cannot be attached to a customer.
pub(crate) fn attach_decline(name: &str) -> Option<Decline> {
    declined(name.strip_prefix("visa_").unwrap_or(name))
}

/// Declined at once, also when the card is attached.
fn declined(name: &str) -> Option<Decline> {
    Some(match name {
        "chargeDeclined" => Decline::Generic,
        "chargeDeclinedExpiredCard" => Decline::ExpiredCard,
        "chargeDeclinedIncorrectCvc" => Decline::IncorrectCvc,
        "chargeDeclinedInsufficientFunds" => Decline::InsufficientFunds,
        "chargeDeclinedLostCard" => Decline::LostCard,
        "chargeDeclinedProcessingError" => Decline::ProcessingError,
        "chargeDeclinedStolenCard" => Decline::StolenCard,
        "chargeDeclinedVelocityLimitExceeded" => Decline::CardVelocityExceeded,
        _ => return None,
    })
}

/// Declined only when it is charged.
fn blocked(name: &str) -> Option<Decline> {
    Some(match name {
        "chargeCustomerFail" => Decline::Generic,
        "chargeDeclinedFraudulent" => Decline::Fraudulent,
        "radarBlock" | "riskLevelHighest" => Decline::Blocked,
        _ => return None,
    })
}

/// Wants its owner, and decides afterwards.
fn asked(name: &str) -> Option<Verdict> {
    let declined = match name {
        "authenticationRequired" | "threeDSecure2Required" | "threeDSecureRequired" => None,
        "authenticationRequiredChargeDeclinedInsufficientFunds" => Some(Decline::InsufficientFunds),
        "threeDSecureRequiredChargeDeclined" => Some(Decline::Generic),
        "threeDSecureRequiredProcessingError" => Some(Decline::ProcessingError),
        "authenticationRequiredOnSetup" | "authenticationRequiredSetupForOffSession" => {
            return Some(Verdict::AuthenticateOnSession);
        }
        _ => return None,
    };
    Some(Verdict::Authenticate { declined })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_declines_cannot_be_attached_but_one_that_only_fails_charges_can() {
        assert_eq!(attach_decline("visa_chargeDeclinedLostCard"), Some(Decline::LostCard));
        assert_eq!(attach_decline("chargeCustomerFail"), None);
        assert_eq!(verdict("chargeCustomerFail"), Some(Verdict::Decline(Decline::Generic)));
    }

    #[test]
    fn brands_and_countries_are_approved_and_other_names_are_nothing() {
        for name in ["visa", "amex", "unionpay", "de", "gb_debit", "th_credit"] {
            assert_eq!(verdict(name), Some(Verdict::Approve), "{name}");
        }
        for name in ["", "xx", "visa_de", "createdispute", "de "] {
            assert_eq!(verdict(name), None, "{name}");
        }
    }
}

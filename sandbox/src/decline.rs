//! A decline is a card's no: what Stripe puts on the wire for each reason we can give.

use serde::{Deserialize, Serialize};

/// The reasons, as the journal names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Decline {
    AuthenticationRequired,
    /// By the gateway itself; no network has seen it.
    Blocked,
    /// The same, and only its outcome says so.
    BlockedSilently,
    CardVelocityExceeded,
    DoNotHonor,
    ExpiredCard,
    Fraudulent,
    Generic,
    IncorrectCvc,
    InsufficientFunds,
    LostCard,
    ProcessingError,
    StolenCard,
    TryAgainLater,
}

/// The words of one decline; a field that does not apply is absent on the wire.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Wording {
    #[serde(skip_serializing_if = "Option::is_none")]
    advice_code: Option<&'static str>,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline_code: Option<&'static str>,
    doc_url: &'static str,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_advice_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_decline_code: Option<&'static str>,
}

const AGAIN: Option<&str> = Some("try_again_later");
const NEVER: Option<&str> = Some("do_not_try_again");
const CHECK: Option<&str> = Some("confirm_card_data");

const DECLINED: &str = "Your card was declined.";

impl Decline {
    /// Whether it never came to a network (docs.stripe.com/declines#blocked-payments).
    pub(crate) fn is_blocked(self) -> bool {
        matches!(self, Self::Blocked | Self::BlockedSilently)
    }

    /// Whether there is a charge of it: a demand for authentication comes before one.
    pub(crate) fn has_charge(self) -> bool {
        self != Self::AuthenticationRequired
    }

    pub(crate) fn wording(self) -> Wording {
        match self {
            Self::AuthenticationRequired => {
                let message = "Your card was declined. This transaction requires authentication.";
                plain("authentication_required", message).reason("authentication_required")
            }
            Self::Blocked => declined("fraudulent", DECLINED),
            Self::BlockedSilently => declined("generic_decline", DECLINED),
            Self::CardVelocityExceeded => {
                let message = "Your card was declined for making repeated attempts too frequently or exceeding \
                               its amount limit.";
                declined("card_velocity_exceeded", message).network("61").advice(AGAIN)
            }
            Self::DoNotHonor => declined("do_not_honor", DECLINED).network("05").advice(AGAIN),
            Self::ExpiredCard => plain("expired_card", "Your card has expired.").network("54").advice(CHECK),
            Self::Fraudulent => declined("fraudulent", DECLINED).network("59").advice(NEVER),
            Self::Generic => declined("generic_decline", DECLINED).network("01").advice(AGAIN),
            Self::IncorrectCvc => {
                plain("incorrect_cvc", "Your card's security code is incorrect.").network("N7").advice(CHECK)
            }
            Self::InsufficientFunds => declined("insufficient_funds", "Your card has insufficient funds.")
                .network("51")
                .advice(AGAIN),
            Self::LostCard => {
                declined("lost_card", DECLINED).network("41").advice(NEVER).network_advice("03")
            }
            Self::ProcessingError => {
                let message = "An error occurred while processing your card. Try again in a little bit.";
                plain("processing_error", message).network("96").advice(AGAIN)
            }
            Self::StolenCard => {
                declined("stolen_card", DECLINED).network("43").advice(NEVER).network_advice("03")
            }
            Self::TryAgainLater => {
                declined("try_again_later", DECLINED).network("91").advice(AGAIN).network_advice("02")
            }
        }
    }
}

fn declined(decline_code: &'static str, message: &'static str) -> Wording {
    plain("card_declined", message).reason(decline_code)
}

fn plain(code: &'static str, message: &'static str) -> Wording {
    let doc_url = match code {
        "authentication_required" => "https://stripe.com/docs/error-codes/authentication-required",
        "expired_card" => "https://stripe.com/docs/error-codes/expired-card",
        "incorrect_cvc" => "https://stripe.com/docs/error-codes/incorrect-cvc",
        "processing_error" => "https://stripe.com/docs/error-codes/processing-error",
        _ => "https://stripe.com/docs/error-codes/card-declined",
    };
    Wording {
        advice_code: None,
        code,
        decline_code: None,
        doc_url,
        message,
        network_advice_code: None,
        network_decline_code: None,
    }
}

impl Wording {
    fn reason(self, decline_code: &'static str) -> Self {
        Self { decline_code: Some(decline_code), ..self }
    }

    fn advice(self, advice_code: Option<&'static str>) -> Self {
        Self { advice_code, ..self }
    }

    fn network(self, code: &'static str) -> Self {
        Self { network_decline_code: Some(code), ..self }
    }

    fn network_advice(self, code: &'static str) -> Self {
        Self { network_advice_code: Some(code), ..self }
    }
}

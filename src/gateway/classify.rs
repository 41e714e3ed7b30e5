//! The one classification of answers to charges and refunds (S1.8): an adapter translates what its gateway said, and its
//! traits decide what that proves.

use super::{Reading, Send, Traits};
use crate::domain::{
    attempt::{Answer, Rejection},
    refund,
    rejection::Refusal,
};

/// What a gateway said to a charge or a refund, in our words and not judged yet.
#[derive(Debug)]
pub(super) enum Said<A> {
    /// The result of an execution.
    Result(A),
    /// The request was refused without being executed.
    Refused(Refusal),
    /// Our credentials were.
    Credentials(String),
    /// A rate limiter turned it away.
    Limited(String),
    /// The key was used before, with other parameters.
    Mismatch(String),
    /// The gateway broke.
    Failed(String),
    /// A result that cannot be read but for the gateway's id of it.
    Unreadable { operation: String, why: String },
    /// Nothing that is about this call.
    Nothing(String),
}

/// What was said, and whether the gateway marked it as the answer that it keeps under the key.
#[derive(Debug)]
pub(super) struct Heard<A> {
    pub(super) said: Said<A>,
    pub(super) replayed: bool,
}

/// A result of an execution.
pub(super) trait Answered {
    fn names_amount(&self) -> bool;
}

impl Answered for Answer {
    fn names_amount(&self) -> bool {
        self.amount.is_some()
    }
}

impl Answered for refund::Answer {
    fn names_amount(&self) -> bool {
        self.amount.is_some()
    }
}

/// What it proves of the call, by evidence and by the gateway's traits.
pub(super) fn classify<A: Answered>(traits: &Traits, send: Send, heard: Heard<A>) -> Reading<A> {
    let Heard { said, replayed } = heard;
    match (said, send) {
        // Where keys stand for any bytes, only an amount ties a repeated answer to ours (S1.15).
        (Said::Result(answer), Send::Again) if !traits.param_compare && !answer.names_amount() => {
            Reading::Unknown("the answer under the key names no amount".to_owned())
        }
        (Said::Result(answer), Send::First | Send::Again) => Reading::Answered(answer),
        (Said::Refused(what), Send::First) => Reading::Rejected(Rejection::Refused(what)),
        // A refusal that the key did not keep is not about the first send: the key may be another account's.
        (Said::Refused(what), Send::Again) if replayed => Reading::Rejected(Rejection::Refused(what)),
        (Said::Refused(what), Send::Again) => Reading::Unknown(what.message),
        (Said::Credentials(why), Send::First) => Reading::Rejected(Rejection::Credentials(why)),
        (Said::Limited(why), Send::First) if traits.limiter_before_idempotency => Reading::NotSent(why),
        (Said::Failed(why), Send::First | Send::Again) if traits.replays_errors && replayed => {
            Reading::StoredError(why)
        }
        (Said::Unreadable { operation, why }, Send::First | Send::Again) => {
            Reading::Unreadable { operation, reason: why }
        }
        (Said::Mismatch(why), Send::First | Send::Again) => Reading::Mismatch(why),
        (
            Said::Credentials(why) | Said::Limited(why) | Said::Failed(why) | Said::Nothing(why),
            Send::First | Send::Again,
        ) => Reading::Unknown(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::attempt::Outcome;
    use std::time::Duration;

    fn traits() -> Traits {
        Traits {
            key_supported: true,
            key_ttl: Duration::from_hours(24),
            replays_errors: true,
            param_compare: true,
            limiter_before_idempotency: true,
            query_by_reference: true,
            settle_delay: Duration::ZERO,
            cancel_by_key: false,
            max_timeout: Duration::ZERO,
        }
    }

    fn read(traits: &Traits, send: Send, said: Said<Answer>, replayed: bool) -> Reading {
        classify(traits, send, Heard { said, replayed })
    }

    #[test]
    fn a_limiter_proves_that_nothing_was_sent_only_where_it_stands_before_execution() {
        let behind = Traits { limiter_before_idempotency: false, ..traits() };
        let said = || Said::Limited("slow down".to_owned());

        assert!(matches!(read(&traits(), Send::First, said(), false), Reading::NotSent(_)));
        assert!(matches!(read(&behind, Send::First, said(), false), Reading::Unknown(_)));
        assert!(matches!(read(&traits(), Send::Again, said(), false), Reading::Unknown(_)));
    }

    #[test]
    fn a_replayed_error_ends_the_resends_only_where_errors_are_kept() {
        let forgetful = Traits { replays_errors: false, ..traits() };
        let said = || Said::Failed("HTTP 500".to_owned());

        assert!(matches!(read(&traits(), Send::Again, said(), true), Reading::StoredError(_)));
        assert!(matches!(read(&traits(), Send::Again, said(), false), Reading::Unknown(_)));
        assert!(matches!(read(&forgetful, Send::Again, said(), true), Reading::Unknown(_)));
    }

    #[test]
    fn where_keys_are_not_compared_a_repeated_answer_without_an_amount_proves_nothing() {
        let blind = Traits { param_compare: false, ..traits() };
        let said = || {
            Said::Result(Answer { operation: None, charge: None, amount: None, outcome: Outcome::Succeeded })
        };

        assert!(matches!(read(&traits(), Send::Again, said(), true), Reading::Answered(_)));
        assert!(matches!(read(&blind, Send::Again, said(), true), Reading::Unknown(_)));
        assert!(matches!(read(&blind, Send::First, said(), false), Reading::Answered(_)));
    }
}

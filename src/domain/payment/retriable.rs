//! Whether a person's wish for another attempt makes sense: what the last decline says, and how many there were.

use super::Payment;
use crate::domain::{
    attempt::AttemptStatus,
    clock::Time,
    decline::{Class, MOST_ATTEMPTS, Need, Policy},
    table::{Kind, Verdict, verdict},
};

/// Why there is no point in another attempt, and what there is a point in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRetriable {
    #[error(
        "the payment is {0}: only one that is retrying, failed, or declined for its customer to mend can be"
    )]
    Status(&'static str),
    #[error("it waits for the time that was set for it: process the payment to begin it now")]
    Scheduled,
    #[error("its customer was there, and may not be charged behind their back: make a new payment")]
    OnSession,
    #[error(
        "the decline {0} is final, and to repeat it is against the networks' rules: make a new payment, by another method"
    )]
    Final(String),
    #[error("the decline {0} asks for another method, and a payment keeps its own: make a new payment")]
    NewMethod(String),
    #[error("its payment method was detached, and a payment keeps its own: make a new payment")]
    Detached,
    #[error("the bank wants its customer to authenticate: make a new payment with off_session: false")]
    Authenticate,
    #[error(
        "its payer disputes what was charged, and their bank decides: answer the dispute at the gateway, and try again when \
         it is closed"
    )]
    Disputed,
    #[error("the card's network, or the gateway, advised not to try again before {0}: try again then")]
    TooEarly(Time),
    #[error("it had {MOST_ATTEMPTS} attempts, which is all that a payment may have: make a new payment")]
    TooMany,
}

impl Payment {
    /// Whether another attempt may begin because a person wants it.
    pub fn retriable(&self, policy: &Policy, now: Time) -> Result<(), NotRetriable> {
        if verdict(self.phase(), Kind::Retry) != Verdict::Hasten {
            return Err(NotRetriable::Status(self.status.name()));
        }
        if self.is_disputed() {
            return Err(NotRetriable::Disputed);
        }
        if self.failure.is_some() {
            return Err(NotRetriable::Detached);
        }
        if self.session.is_on() {
            return Err(NotRetriable::OnSession);
        }
        if self.next_attempt() > MOST_ATTEMPTS {
            return Err(NotRetriable::TooMany);
        }
        let attempt = self.attempt.as_ref();
        // A request that was refused never reached a network; what was wrong with it may be mended at the gateway.
        let declined = attempt.filter(|attempt| attempt.status != AttemptStatus::Rejected);
        let Some(decline) = declined.and_then(|attempt| attempt.decline.as_ref()) else { return Ok(()) };
        // Whoever wants it, what was advised is not undercut (S3.4).
        let advised = decline.decided_by.as_ref().and_then(|by| by.not_before);
        let retriable = match policy.class(decline, self.session.is_on(), now) {
            Some(Class::Retry { .. } | Class::NeedCustomer { need: Need::UpdateMethod }) => Ok(()),
            Some(Class::NeedCustomer { need: Need::Authenticate }) => Err(NotRetriable::Authenticate),
            Some(Class::NeedCustomer { need: Need::NewMethod }) => {
                Err(NotRetriable::NewMethod(decline.code.clone()))
            }
            Some(Class::Stop | Class::Review) | None => Err(NotRetriable::Final(decline.code.clone())),
        };
        retriable?;
        advised.filter(|at| *at > now).map_or(Ok(()), |at| Err(NotRetriable::TooEarly(at)))
    }
}

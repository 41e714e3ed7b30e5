//! An attempt is a method asker for an intent's money, and what that makes of intent and charge.

use super::{Asker, Method, Turn};
use crate::{
    charge::{Charge, ChargeState},
    debit::Return,
    decline::Decline,
    dispute,
    entry::Ending,
    intent::{Cause, Failure, Intent, Status},
    kept_method::KeptMethod,
    method::Verdict,
    mint,
    object::Object,
    params::{Action, Confirm},
    problem::Problem,
    setup::{Setup, SetupStatus},
};
use std::sync::Arc;

/// What a method says to one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Take,
    Wait { after_seconds: Option<i64> },
    Fail(Cause),
}

/// What the customer said to a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Approved,
    Refused,
}

/// Asks the method for the first time.
pub(super) fn begin(asker: Asker<'_>, intent: &Intent, method: Method, how: Confirm) -> Turn {
    let (attempt, fault) = (intent.attempts.saturating_add(1), method.behaviour.fault);
    let Some(decision) = decision(method.behaviour.verdict, attempt, how.action) else {
        let challenge = asker.challenge(&intent.facts.client_secret, how.return_url);
        let status = Status::RequiresAction { method: method.id, challenge };
        return Turn { fault, ..Turn::done(intent.next(attempt, status)) };
    };
    let turn = conclude(asker, intent, attempt, &method, decision);
    Turn { fault, ..turn }
}

/// Goes on after the customer's answer.
pub(crate) fn answered(asker: Asker<'_>, object: &Object, answer: Answer) -> Result<Vec<Object>, Problem> {
    match object {
        Object::Intent(intent) => {
            let Some((method, challenge)) = intent.status.method().zip(intent.status.challenge()) else {
                return Err(Problem::invalid("This payment asks for nothing."));
            };
            let asker = Asker { key: challenge.key.as_deref(), ..asker };
            let method = asker.method(method, intent.facts.customer.as_deref())?;
            let decision = after(method.behaviour.verdict, answer);
            Ok(conclude(asker, intent, intent.attempts, &method, decision).objects)
        }
        Object::Setup(setup) => {
            let Some(method) = setup.status.method().filter(|_| setup.status.challenge().is_some()) else {
                return Err(Problem::invalid("This setup asks for nothing."));
            };
            let method = asker.method(method, setup.customer.as_deref())?;
            let cause = (answer == Answer::Refused).then_some(Cause::Unauthenticated);
            Ok(set_up(asker, setup, &method, cause).objects)
        }
        Object::Charge(_)
        | Object::Customer(_)
        | Object::Dispute(_)
        | Object::Endpoint(_)
        | Object::Method(_)
        | Object::Refund(_)
        | Object::Warning(_) => Err(Problem::invalid("Nothing is asker here.")),
    }
}

/// What the method says by itself; nothing, where its owner has to be asked.
fn decision(verdict: Verdict, attempt: u32, action: Action) -> Option<Decision> {
    match (verdict, action) {
        (Verdict::Decline(decline), _) => Some(Decision::Fail(Cause::Declined(decline))),
        (Verdict::DeclineFirst { times, decline }, _) if attempt <= times => {
            Some(Decision::Fail(Cause::Declined(decline)))
        }
        (Verdict::Approve | Verdict::DeclineFirst { .. }, _)
        | (Verdict::AuthenticateOnSession, Action::Refused) => Some(Decision::Take),
        (Verdict::Authenticate { .. }, Action::Refused) => {
            Some(Decision::Fail(Cause::Declined(Decline::AuthenticationRequired)))
        }
        (Verdict::Authenticate { .. } | Verdict::AuthenticateOnSession, Action::Asked) => None,
        (Verdict::Settle { after_seconds, .. }, _) => Some(Decision::Wait { after_seconds }),
    }
}

fn after(verdict: Verdict, answer: Answer) -> Decision {
    match (answer, verdict) {
        (Answer::Refused, _) => Decision::Fail(Cause::Unauthenticated),
        (Answer::Approved, Verdict::Authenticate { declined: Some(decline) }) => {
            Decision::Fail(Cause::Declined(decline))
        }
        (
            Answer::Approved,
            Verdict::Authenticate { declined: None }
            | Verdict::AuthenticateOnSession
            | Verdict::Approve
            | Verdict::Decline(_)
            | Verdict::DeclineFirst { .. }
            | Verdict::Settle { .. },
        ) => Decision::Take,
    }
}

fn conclude(asker: Asker<'_>, intent: &Intent, attempt: u32, method: &Method, decision: Decision) -> Turn {
    let id = mint::charge(intent.id(), attempt);
    let kept = match (decision, intent.facts.setup_future_usage) {
        (Decision::Take | Decision::Wait { .. }, Some(_)) => {
            asker.keep(method, intent.facts.customer.as_deref())
        }
        (Decision::Fail(_), _) | (_, None) => None,
    };
    let used = kept.as_ref().map_or_else(|| method.id.clone(), |kept| kept.id.clone());
    let charge = |state, amount| Charge {
        id: id.clone(),
        intent: Arc::clone(&intent.facts),
        created: asker.now,
        amount,
        method: used.clone(),
        token: method.token.clone(),
        key: asker.key.map(str::to_owned),
        state,
        refunded: 0,
        disputed: false,
        is_to_be_disputed: state == ChargeState::Succeeded && dispute::of_card(&method.token).is_some(),
    };
    let (status, charge, ending) = match decision {
        Decision::Take => {
            let received = intent.facts.amount;
            let status = Status::Succeeded { method: used.clone(), charge: id.clone(), received };
            (status, Some(charge(ChargeState::Succeeded, received)), Ending::Done)
        }
        Decision::Wait { after_seconds } => {
            let due_at = after_seconds.map(|seconds| asker.now.saturating_add(seconds));
            let status = Status::Processing { method: used.clone(), charge: id.clone(), due_at };
            (status, Some(charge(ChargeState::Pending, intent.facts.amount)), Ending::Done)
        }
        Decision::Fail(cause) => {
            let has_charge = match cause {
                Cause::Declined(decline) => decline.has_charge(),
                Cause::Unauthenticated => false,
                Cause::Returned(_) => true,
            };
            let charge = has_charge.then(|| charge(ChargeState::Failed(cause), intent.facts.amount));
            let failure = Failure {
                cause,
                charge: charge.as_ref().map(|charge| charge.id.clone()),
                method: used.clone(),
            };
            (Status::RequiresPaymentMethod { failure: Some(failure) }, charge, Ending::Declined)
        }
    };
    // What is kept belongs to somebody, and what belongs to nobody is spent by this.
    let kept = kept.or_else(|| asker.spend(method));
    Turn { ending, ..Turn::done(intent.next(attempt, status)).with(charge).with(kept) }
}

/// What a debit becomes when its time has come.
pub(super) fn settled(intent: &Intent, charge: &Charge, returned: Option<Return>) -> Vec<Object> {
    let (method, id) = (charge.method.clone(), charge.id.clone());
    let (status, state) = match returned {
        None => {
            let received = charge.amount;
            (Status::Succeeded { method, charge: id, received }, ChargeState::Succeeded)
        }
        Some(reason) => {
            let cause = Cause::Returned(reason);
            let failure = Some(Failure { cause, charge: Some(id), method });
            (Status::RequiresPaymentMethod { failure }, ChargeState::Failed(cause))
        }
    };
    vec![intent.next(intent.attempts, status).into(), charge.has_state(state).into()]
}

/// Asks a method for a setup; only its owner can be asker further.
pub(super) fn begin_setup(
    asker: Asker<'_>,
    setup: &Setup,
    method: &Method,
    return_url: Option<String>,
) -> Turn {
    let fault = method.behaviour.fault;
    let turn = match method.behaviour.verdict {
        Verdict::Authenticate { .. } | Verdict::AuthenticateOnSession => {
            let challenge = asker.challenge(&setup.client_secret, return_url);
            Turn::done(setup.has_status(SetupStatus::RequiresAction { method: method.id.clone(), challenge }))
        }
        Verdict::Decline(decline) => set_up(asker, setup, method, Some(Cause::Declined(decline))),
        Verdict::Approve | Verdict::DeclineFirst { .. } | Verdict::Settle { .. } => {
            set_up(asker, setup, method, None)
        }
    };
    Turn { fault, ..turn }
}

fn set_up(asker: Asker<'_>, setup: &Setup, method: &Method, cause: Option<Cause>) -> Turn {
    if let Some(cause) = cause {
        let failure = Some(Failure { cause, charge: None, method: method.id.clone() });
        let status = SetupStatus::RequiresPaymentMethod { failure };
        return Turn { ending: Ending::Declined, ..Turn::done(setup.has_status(status)) };
    }
    let kept = asker.keep(method, setup.customer.as_deref());
    let id = kept.as_ref().map_or(&method.id, |kept: &KeptMethod| &kept.id).clone();
    Turn::done(setup.has_status(SetupStatus::Succeeded { method: id })).with(kept)
}

//! Settling is what happens by itself when its time has come.

use super::attempt;
use crate::{
    account::Account,
    charge::Charge,
    method::{Behaviour, Verdict},
    object::Object,
    refund::{Refund, RefundState},
};

/// What an object that is due becomes, and what becomes of others by that.
pub(crate) fn settled(account: &Account, object: &Object) -> Vec<Object> {
    match object {
        Object::Intent(intent) => {
            let charge = intent.status.latest_charge().and_then(|id| account.charges.find(id));
            charge.map_or_else(Vec::new, |charge| {
                let returned = match Behaviour::of(&charge.token).map(|it| it.verdict) {
                    Some(Verdict::Settle { returned, .. }) => returned,
                    Some(
                        Verdict::Approve
                        | Verdict::Decline(_)
                        | Verdict::DeclineFirst { .. }
                        | Verdict::AuthenticateOnSession
                        | Verdict::Authenticate { .. },
                    )
                    | None => None,
                };
                // The intent may have been updated since it was put down for this time.
                let intent = account.intents.find(intent.id()).unwrap_or(intent);
                attempt::settled(intent, charge, returned)
            })
        }
        Object::Refund(refund) => {
            let refund = account.refunds.find(&refund.id).unwrap_or(refund);
            let refund = Refund { state: refund.state.settled(), ..Refund::clone(refund) };
            let failed = refund.state == RefundState::Failed;
            let charge = account.charges.find(&refund.charge).filter(|_| failed);
            let charge = charge.map(|charge| Charge {
                refunded: charge.refunded.saturating_sub(refund.amount),
                ..Charge::clone(charge)
            });
            std::iter::once(refund.into()).chain(charge.map(Into::into)).collect()
        }
        Object::Charge(_)
        | Object::Customer(_)
        | Object::Endpoint(_)
        | Object::Method(_)
        | Object::Setup(_) => Vec::new(),
    }
}

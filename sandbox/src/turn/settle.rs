//! Settling is what happens by itself when its time has come.

use super::{Asker, attempt, disputes};
use crate::{
    account::Account,
    charge::Charge,
    dispute,
    method::{Behaviour, Verdict},
    object::Object,
    refund::{Refund, RefundState},
};

/// What an object that is due becomes, and what becomes of others by that.
pub(crate) fn settled(asker: Asker<'_>, object: &Object) -> Vec<Object> {
    let Some(account) = asker.own() else { return Vec::new() };
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
            if refund.state == RefundState::Failed {
                failed_refund(account, refund)
            } else {
                vec![refund.into()]
            }
        }
        Object::Charge(charge) => {
            let charge = account.charges.find(&charge.id).unwrap_or(charge);
            dispute::of_card(&charge.token).map_or_else(Vec::new, |how| {
                let (dispute, charge) = disputes::opened(asker, charge, charge.amount, how);
                vec![dispute.into(), charge.into()]
            })
        }
        Object::Customer(_)
        | Object::Dispute(_)
        | Object::Endpoint(_)
        | Object::Method(_)
        | Object::Setup(_)
        | Object::Warning(_) => Vec::new(),
    }
}

/// A refund that came to nothing, and the charge that has its money again.
pub(crate) fn failed_refund(account: &Account, refund: Refund) -> Vec<Object> {
    let charge = account.charges.find(&refund.charge).map(|charge| Charge {
        refunded: charge.refunded.saturating_sub(refund.amount),
        ..Charge::clone(charge)
    });
    std::iter::once(refund.into()).chain(charge.map(Into::into)).collect()
}

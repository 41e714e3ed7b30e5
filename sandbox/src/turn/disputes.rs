//! What the calls on disputes decide, and what a payer's bank does by itself.

use super::{Asker, Turn};
use crate::{
    account::Account,
    charge::Charge,
    dispute::{ANSWER_SECONDS, Dispute, DisputeState},
    form::{Form, Shape},
    noun::Noun,
    params,
    problem::Problem,
};
use std::collections::BTreeMap;

/// Evidence that decides in tests (docs.stripe.com/testing#disputes).
const WINNING: &str = "winning_evidence";
const LOSING: &str = "losing_evidence";

/// Evidence is sent, which the bank looks at.
pub(super) fn update(asker: Asker<'_>, id: &str, form: &Form) -> Result<Turn, Problem> {
    form.check(&[
        ("evidence", Shape::Map),
        ("expand", Shape::List),
        ("metadata", Shape::Map),
        ("submit", Shape::One),
    ])?;
    let mut dispute = find(asker, id)?;
    let texts: Vec<_> = form.inner("evidence").map(|(_, text)| text).collect();
    if !texts.is_empty() {
        if dispute.state.is_closed() {
            return Err(closed(&dispute));
        }
        dispute.has_evidence = true;
        dispute.state = dispute.state.answered();
        if dispute.state == DisputeState::UnderReview && texts.contains(&WINNING) {
            dispute.state = DisputeState::Won;
        }
        if dispute.state == DisputeState::UnderReview && texts.contains(&LOSING) {
            dispute.state = DisputeState::Lost;
        }
    }
    params::merge(&mut dispute.metadata, params::changes(form)?)?;
    Ok(Turn::done(dispute))
}

/// The merchant gives in.
pub(super) fn close(asker: Asker<'_>, id: &str, form: &Form) -> Result<Turn, Problem> {
    form.check(&[("expand", Shape::List)])?;
    let dispute = find(asker, id)?;
    if dispute.state.is_closed() {
        return Err(closed(&dispute));
    }
    Ok(Turn::done(Dispute { state: DisputeState::Lost, ..dispute }))
}

fn find(asker: Asker<'_>, id: &str) -> Result<Dispute, Problem> {
    let found = asker.own().and_then(|own| own.disputes.find(id));
    found.map(|dispute| Dispute::clone(dispute)).ok_or_else(|| Problem::no_such(Noun::Dispute, "id", id))
}

fn closed(dispute: &Dispute) -> Problem {
    let message = format!("The dispute {} is closed.", dispute.id);
    Problem::wrong("dispute", message)
}

/// A dispute of a charge, and the charge beside it.
pub(crate) fn opened(
    asker: Asker<'_>,
    charge: &Charge,
    amount: u64,
    (reason, state): (&str, DisputeState),
) -> (Dispute, Charge) {
    let dispute = Dispute {
        id: asker.new_id("du"),
        charge: charge.id.clone(),
        intent: charge.intent.id.clone(),
        created: asker.now,
        amount,
        currency: charge.intent.currency.clone(),
        reason: reason.to_owned(),
        due_by: asker.now.saturating_add(ANSWER_SECONDS),
        has_evidence: false,
        metadata: BTreeMap::new(),
        state,
    };
    (dispute, Charge { disputed: true, is_to_be_disputed: false, ..Charge::clone(charge) })
}

/// Whether the bank has taken money of the charge back, so that the merchant cannot.
pub(super) fn holds(account: Option<&Account>, charge: &Charge) -> bool {
    let Some(account) = account else { return false };
    let disputes = account.disputes.of(&charge.id).iter().filter_map(|row| account.disputes.at(*row));
    disputes.into_iter().any(|dispute| dispute.state.holds_funds())
}

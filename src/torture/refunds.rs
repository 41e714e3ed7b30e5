//! The verdict on refunds: what SQL says has gone back against the ledger's lines.

use super::{
    caller::{REFERENCE, Taken},
    gateway::Gateway,
    office,
    plan::Charge,
    room::Room,
    verdict::Verdict,
};
use crate::{
    audit::{self, Direction, Movement},
    domain::{
        payment::{Payment, Status},
        refund::{Origin, Refund, RefundStatus},
    },
    store::{Owner, RefundFilter, Store},
};
use std::collections::{BTreeMap, HashMap};

/// More than any payment of a plan has.
const MOST: u16 = 100;

/// Judges the refunds of payments, which are given by reference.
pub(super) async fn judge(
    verdict: &mut Verdict,
    (charges, taken): (&[Charge], &Taken),
    payments: &BTreeMap<String, Vec<Payment>>,
    room: &mut Room,
    store: &Store,
) -> anyhow::Result<()> {
    let lines = audit::read_refunds(room.sandbox.address, room.refunds_judged).await?;
    room.refunds_judged = lines.last().map_or(room.refunds_judged, |line| line.seq);
    let mut by_refund: HashMap<String, Vec<&Movement>> = HashMap::new();
    for line in &lines {
        let made_by_us = Some(line.refund()).filter(|id| !id.is_empty());
        let id = made_by_us.unwrap_or(&line.operation).to_owned();
        by_refund.entry(id).or_default().push(line);
    }
    for charge in charges {
        for payment in payments.get(&charge.reference).into_iter().flatten() {
            let refunds = refunds_of(payment, store).await?;
            for refund in &refunds {
                let elsewhere = refund.operation.clone().filter(|_| refund.origin == Origin::Gateway);
                let id = elsewhere.unwrap_or_else(|| refund.id.to_string());
                let moved = by_refund.remove(&id).unwrap_or_default();
                verdict.compare(refund, &moved);
            }
            verdict.weigh(charge, payment, &refunds);
            if charge.elsewhere.is_some() {
                verdict.hear(payment, &room.gateway).await?;
            }
            verdict.keep_word(charge, &refunds, taken);
        }
    }
    for (refund, _) in by_refund {
        verdict.lost_refund(format!("{refund:?} went back and nobody knows it"));
    }
    Ok(())
}

async fn refunds_of(payment: &Payment, store: &Store) -> anyhow::Result<Vec<Refund>> {
    let owner = Owner { tenant: payment.tenant, livemode: payment.livemode };
    let filter = RefundFilter { payment: Some(payment.id), limit: MOST, ..RefundFilter::default() };
    Ok(store.list_refunds(owner, &filter).await?)
}

impl Verdict {
    /// One refund against the ledger's lines of it.
    fn compare(&mut self, refund: &Refund, moved: &[&Movement]) {
        let told = || {
            let lines = moved.iter().map(|line| {
                let key = line.idempotency_key.as_deref().unwrap_or("no key");
                format!("{:?} {} at {} under {key}", line.direction, line.amount, line.at)
            });
            let lines = lines.collect::<Vec<_>>().join(", ");
            format!("{} of {} is {}: {lines}", refund.id, refund.payment, refund.status.name())
        };
        let out = moved.iter().filter(|line| line.direction == Direction::Out).count();
        let back = moved.len() - out;
        let went = out.saturating_sub(back);
        self.refunds_seen += u64::try_from(went).unwrap_or(0);
        self.refunds_expected += u64::from(refund.status == RefundStatus::Succeeded);
        if went > 1 {
            self.double_refunds += u64::try_from(went - 1).unwrap_or(0);
            self.complaints.push(format!("refunded {went} times: {}", told()));
        }
        if moved.iter().any(|line| line.amount != refund.money.minor()) {
            self.over_refunds += 1;
            self.complaints.push(format!("another amount went back: {}", told()));
        }
        match refund.status {
            RefundStatus::Succeeded if went == 0 => self.lost_refund(format!("never went back: {}", told())),
            RefundStatus::Failed if went > 0 => {
                self.false_failed_refunds += 1;
                self.complaints.push(format!("went back and called failed: {}", told()));
            }
            // The gateway refuses none of them.
            RefundStatus::Failed => self.lost_refund(format!("given up: {}", told())),
            RefundStatus::Succeeded => {}
            RefundStatus::Pending
            | RefundStatus::Sending
            | RefundStatus::Unknown
            | RefundStatus::Processing => self.stuck(format!("not at its end: {}", told())),
        }
    }

    /// All refunds of a payment against what was received.
    fn weigh(&mut self, charge: &Charge, payment: &Payment, refunds: &[Refund]) {
        let returned: i64 = refunds.iter().map(|refund| refund.money.minor()).sum();
        if returned != payment.refunded + payment.refunding {
            self.lost_refund(format!(
                "{returned} went back of {}, which says {}",
                payment.id, payment.refunded
            ));
        }
        if returned > payment.money.minor() || payment.refunded > payment.money.minor() {
            self.over_refunds += 1;
            self.complaints.push(format!("{returned} of {} went back of {}", payment.money, payment.id));
        }
        for back in charge.returns.iter().filter(|_| payment.status == Status::Succeeded) {
            let of_it = |refund: &&Refund| refund.metadata.get(REFERENCE) == Some(&back.reference);
            let times = refunds.iter().filter(of_it).count();
            match (times, back.is_too_much) {
                (0, true) | (1, false) => {}
                (0, false) => {
                    self.lost_refund(format!("{} of {} was never taken in", back.reference, payment.id));
                }
                (_, true) => {
                    self.over_refunds += 1;
                    self.complaints.push(format!("{} was more than there was", back.reference));
                }
                (_, false) => {
                    self.double_refunds += u64::try_from(times - 1).unwrap_or(0);
                    self.complaints.push(format!("{times} refunds under the key {}", back.reference));
                }
            }
        }
    }

    /// What was answered with 201 is there.
    fn keep_word(&mut self, charge: &Charge, refunds: &[Refund], taken: &Taken) {
        for back in &charge.returns {
            for id in taken.get(&back.reference).into_iter().flatten() {
                if !refunds.iter().any(|refund| refund.id.to_string() == *id) {
                    self.lost_refund(format!("{id} was accepted and is gone"));
                }
            }
        }
    }

    /// A payment's disputes against the gateway's.
    async fn hear(&mut self, payment: &Payment, gateway: &Gateway) -> anyhow::Result<()> {
        let Some(charge) = payment.attempt.as_ref().and_then(|attempt| attempt.charge.as_deref()) else {
            return Ok(());
        };
        let there = office::disputes_of(gateway, charge).await?;
        self.disputes_seen += u64::try_from(there.len())?;
        self.disputes_expected += u64::try_from(payment.disputes.len())?;
        for dispute in there {
            let known = payment.disputes.iter().find(|known| dispute["id"] == known.id.as_str());
            let known = known.map(|known| known.status.name());
            if known.is_none_or(|known| dispute["status"] != known) {
                self.false_disputes += 1;
                self.complaints.push(format!("{dispute} of {} is {known:?}", payment.id));
            }
        }
        Ok(())
    }

    fn lost_refund(&mut self, complaint: String) {
        self.lost_refunds += 1;
        self.complaints.push(complaint);
    }
}

//! The verdict: what SQL says of a cell's payments against what the sandbox's ledger says.

use super::{
    caller::Taken,
    plan::{Charge, End},
    refunds,
    room::Room,
};
use crate::{
    audit::{self, Capture},
    domain::payment::{Payment, Status},
    store::{Store, change::Exchange},
};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What came out of cells: of one, or of all together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub payments: u64,
    /// Payments of whose outcome people have had the say.
    pub resolved: u64,
    /// Payments that SQL calls succeeded.
    pub captures_expected: u64,
    /// What the ledger holds.
    pub captures_seen: u64,
    /// Captures beyond the first of what was asked for once.
    pub double_captures: u64,
    /// Accepted and gone, or never charged although the card is good; or charged for nobody.
    pub lost: u64,
    /// Failed or canceled in SQL, captured in the ledger.
    pub false_failed: u64,
    /// Not at its end, and nothing will bring it there.
    pub stuck: u64,
    /// Refunds that SQL calls succeeded.
    pub refunds_expected: u64,
    /// What the ledger holds, less what came back.
    pub refunds_seen: u64,
    /// Refunds beyond the first of what was asked for once.
    pub double_refunds: u64,
    /// Accepted and gone, or never given back, or given back for nobody.
    pub lost_refunds: u64,
    /// More than was asked for, or than there was.
    pub over_refunds: u64,
    /// Failed in SQL, gone back in the ledger.
    pub false_failed_refunds: u64,
    /// Disputes that SQL has, of charges that payers dispute.
    pub disputes_expected: u64,
    /// Those that the gateway has.
    pub disputes_seen: u64,
    /// Not in SQL, or otherwise than at the gateway.
    pub false_disputes: u64,
    /// What was found, in words.
    #[serde(skip)]
    pub complaints: Vec<String>,
}

impl Verdict {
    pub fn is_clean(&self) -> bool {
        self.double_captures == 0
            && self.lost == 0
            && self.false_failed == 0
            && self.stuck == 0
            && self.captures_expected == self.captures_seen
            && self.double_refunds == 0
            && self.lost_refunds == 0
            && self.over_refunds == 0
            && self.false_failed_refunds == 0
            && self.refunds_expected == self.refunds_seen
            && self.false_disputes == 0
            && self.disputes_expected == self.disputes_seen
            && self.complaints.is_empty()
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.payments += other.payments;
        self.resolved += other.resolved;
        self.captures_expected += other.captures_expected;
        self.captures_seen += other.captures_seen;
        self.double_captures += other.double_captures;
        self.lost += other.lost;
        self.false_failed += other.false_failed;
        self.stuck += other.stuck;
        self.refunds_expected += other.refunds_expected;
        self.refunds_seen += other.refunds_seen;
        self.double_refunds += other.double_refunds;
        self.lost_refunds += other.lost_refunds;
        self.over_refunds += other.over_refunds;
        self.false_failed_refunds += other.false_failed_refunds;
        self.disputes_expected += other.disputes_expected;
        self.disputes_seen += other.disputes_seen;
        self.false_disputes += other.false_disputes;
    }

    /// Something that should have moved did not.
    pub(super) fn stuck(&mut self, complaint: String) {
        self.stuck += 1;
        self.complaints.push(complaint);
    }

    fn lost(&mut self, complaint: String) {
        self.lost += 1;
        self.complaints.push(complaint);
    }
}

/// Judges what became of charges after the last process is gone.
pub(super) async fn judge(charges: &[Charge], room: &mut Room, taken: &Taken) -> anyhow::Result<Verdict> {
    let store = room.store().await?;
    let result = look(charges, room, taken, &store).await;
    store.abandon().await;
    result
}

async fn look(charges: &[Charge], room: &mut Room, taken: &Taken, store: &Store) -> anyhow::Result<Verdict> {
    let captures = audit::read_ledger(room.sandbox.address, room.judged).await?;
    room.judged = captures.last().map_or(room.judged, |capture| capture.seq);
    let mut by_payment: HashMap<String, u64> = HashMap::new();
    for capture in &captures {
        *by_payment.entry(capture.payment().to_owned()).or_default() += 1;
    }
    let mut verdict = Verdict { captures_seen: captures.len().try_into()?, ..Verdict::default() };
    let payments = payments_of(charges, store).await?;
    for charge in charges {
        let payments = payments.get(&charge.reference).map_or(&[][..], Vec::as_slice);
        let times = payments.iter().filter_map(|payment| by_payment.remove(&payment.id.to_string())).sum();
        verdict.take(charge, payments, times);
        if times > 1 {
            verdict.complaints.push(story(payments, &captures, store).await?);
        }
        for payment in payments {
            verdict.doubt(charge, payment, store).await?;
        }
        for id in taken.get(&charge.reference).into_iter().flatten() {
            if !payments.iter().any(|payment| payment.id.to_string() == *id) {
                verdict.lost(format!("{id} was accepted and is gone"));
            }
        }
    }
    for (payment, _) in by_payment {
        verdict.lost(format!("{payment:?} was charged and nobody knows it"));
    }
    refunds::judge(&mut verdict, (charges, taken), &payments, room, store).await?;
    Ok(verdict)
}

/// What was taken, and what was asked of the gateway, for whoever has to find out why.
async fn story(payments: &[Payment], captures: &[Capture], store: &Store) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    for payment in payments {
        let id = payment.id.to_string();
        for capture in captures.iter().filter(|capture| capture.payment() == id) {
            let key = capture.idempotency_key.as_deref().unwrap_or("no key");
            let at = chrono::DateTime::from_timestamp(capture.at, 0).unwrap_or_default();
            lines.push(format!("{at} captured under {key}"));
        }
        for exchange in store.list_exchanges(payment.id).await? {
            let Exchange { attempt, kind, resend, method, path, opened_at, closed, .. } = exchange;
            let closed = closed.map(|closed| format!("{} {}", closed.at, closed.verdict));
            let resend = if resend { " again" } else { "" };
            lines.push(format!(
                "{opened_at} attempt {attempt} {}{resend} {method} {path}: {}",
                kind.name(),
                closed.as_deref().unwrap_or("no end on record")
            ));
        }
        for step in store.list_history(payment.id).await? {
            lines.push(format!("{} {} by {}: {}", step.at, step.cause, step.actor, step.detail));
        }
    }
    Ok(lines.join("\n    "))
}

/// Their payments, by reference: one each, if all is well.
async fn payments_of(charges: &[Charge], store: &Store) -> anyhow::Result<BTreeMap<String, Vec<Payment>>> {
    let references: HashSet<&str> = charges.iter().map(|charge| charge.reference.as_str()).collect();
    let mut found: BTreeMap<String, Vec<Payment>> = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store.list_all_payments(after, 1000).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.id);
        for payment in page {
            let reference = payment.reference.clone().unwrap_or_default();
            if references.contains(reference.as_str()) {
                found.entry(reference).or_default().push(payment);
            }
        }
    }
}

impl Verdict {
    fn take(&mut self, charge: &Charge, payments: &[Payment], captured: u64) {
        let Charge { reference, method, end, .. } = charge;
        let told = || payments.iter().map(|payment| format!("{} {}", payment.id, payment.status.name()));
        let told = || format!("{reference} ({method}): {}", told().collect::<Vec<_>>().join(", "));
        let succeeded = payments.iter().filter(|payment| payment.status == Status::Succeeded).count();
        let failed =
            payments.iter().any(|payment| matches!(payment.status, Status::Failed | Status::Canceled));
        self.payments += u64::try_from(payments.len()).unwrap_or(0);
        let is_resolved = |payment: &&Payment| {
            payment.resolution.as_ref().is_some_and(crate::domain::payment::Resolution::is_carried_out)
        };
        self.resolved += u64::try_from(payments.iter().filter(is_resolved).count()).unwrap_or(0);
        self.captures_expected += u64::try_from(succeeded).unwrap_or(0);
        if captured > 1 {
            self.double_captures += captured - 1;
            self.complaints.push(format!("captured {captured} times: {}", told()));
        }
        if payments.is_empty() {
            self.lost(format!("never taken in: {}", told()));
        } else if captured > 0 && failed {
            self.false_failed += 1;
            self.complaints.push(format!("captured and called failed: {}", told()));
        } else if captured == 0 && (succeeded > 0 || (failed && *end == End::Captured)) {
            self.lost(format!("never captured: {}", told()));
        }
        if payments.len() > 1 {
            self.complaints.push(format!("several payments under one key: {}", told()));
        }
    }

    /// At the end of a cell nothing is left to do but to wait for a retry, or for the customer.
    async fn doubt(&mut self, charge: &Charge, payment: &Payment, store: &Store) -> anyhow::Result<()> {
        let jobs = store.list_jobs(payment.id).await?;
        let rests = payment.status.is_final() || payment.status == Status::RequiresAction;
        let waits = payment.waits_until().is_some() || payment.is_payable();
        let waits = waits && jobs.iter().any(|job| job.state == "live");
        if !(waits || rests && jobs.is_empty()) {
            let told = format!("{} ({}) is {}", payment.id, charge.method, payment.status.name());
            self.stuck(format!("{told} with the jobs {jobs:?}"));
        }
        Ok(())
    }
}

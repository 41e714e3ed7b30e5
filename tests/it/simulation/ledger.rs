//! The ledger: what the sandbox has taken, which is the truth.

use crate::support::world;
use chrono::DateTime;
use dunlin::domain::clock::Time;
use dunlin_jobs::PaymentId;
use dunlin_sandbox::Bank;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
pub(super) struct Capture {
    pub(super) charge: String,
    pub(super) at: Time,
}

/// The captures of each payment, first one first.
pub(super) fn captures(bank: &Bank) -> BTreeMap<String, Vec<Capture>> {
    let page = world::admin(bank, "GET", "captures", "after=0&limit=10000", "");
    let mut captures = BTreeMap::<String, Vec<Capture>>::new();
    for line in page["captures"].as_array().unwrap() {
        let payment = line["metadata"]["dunlin_payment"].as_str().unwrap().to_owned();
        let charge = line["charge"].as_str().unwrap().to_owned();
        let at = DateTime::from_timestamp(line["at"].as_i64().unwrap(), 0).unwrap();
        captures.entry(payment).or_default().push(Capture { charge, at });
    }
    captures
}

/// A movement of what was taken: back to the payer, or, with a negative amount, to us again after a refund that failed.
#[derive(Debug, Clone)]
pub(super) struct GivenBack {
    /// The gateway's id of the refund, and ours.
    pub(super) refund: String,
    pub(super) ours: Option<String>,
    /// In minor units.
    pub(super) amount: i64,
}

/// What became of a charge's money after it was taken.
pub(super) fn given_back(bank: &Bank, charge: &str) -> Vec<GivenBack> {
    let page = world::admin(bank, "GET", "refunds", "after=0&limit=10000", "");
    let its = page["refunds"].as_array().unwrap().iter().filter(|line| line["charge"] == charge);
    its.map(|line| GivenBack {
        refund: line["refund"].as_str().unwrap().to_owned(),
        ours: line["metadata"]["dunlin_refund"].as_str().map(str::to_owned),
        amount: line["amount"].as_i64().unwrap() * if line["direction"] == "back" { -1 } else { 1 },
    })
    .collect()
}

/// The charge by which a payment was taken first, as whoever looks it up sees it.
pub(super) fn charge_of(bank: &Bank, payment: PaymentId) -> Option<String> {
    captures(bank).remove(&payment.to_string()).map(|mut captures| captures.swap_remove(0).charge)
}

//! Disputes: a payer's objection to a charge by way of their bank, and what it does to the payment (S1.20).

use super::{clock::Time, event::EventType, payment::Payment};
use dunlin_jobs::{Currency, PaymentId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A dispute as the gateway shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// The gateway's id of it.
    pub id: String,
    /// The gateway's id of the charge that is disputed.
    pub charge: String,
    pub status: DisputeStatus,
    /// In minor units of the currency.
    pub amount: i64,
    pub currency: Currency,
    pub reason: String,
    /// Until when the merchant may answer.
    pub due_by: Option<Time>,
    pub opened_at: Time,
}

/// Where a dispute stands. An inquiry is a bank's question before it takes the money back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    InquiryNeedsResponse,
    InquiryUnderReview,
    InquiryClosed,
    NeedsResponse,
    UnderReview,
    Won,
    Lost,
    /// It ended before it became one.
    Prevented,
}

/// What a dispute means for the money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The money is still there; giving all of it back ends the inquiry.
    Inquiry,
    /// The bank has the money, and decides.
    Open,
    Closed,
}

/// A warning of a card's network that a charge is thought to be fraud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FraudWarning {
    /// The gateway's id of it.
    pub id: String,
    pub charge: String,
    /// The network's word for the fraud.
    pub kind: String,
    /// Whether a refund could still prevent a dispute.
    pub actionable: bool,
    pub made_at: Time,
}

/// The payment after a dispute has begun, moved or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub payment: Payment,
    pub events: Vec<EventType>,
    /// For the payment's history.
    pub detail: String,
}

impl DisputeStatus {
    pub const ALL: [Self; 8] = [
        Self::InquiryNeedsResponse,
        Self::InquiryUnderReview,
        Self::InquiryClosed,
        Self::NeedsResponse,
        Self::UnderReview,
        Self::Won,
        Self::Lost,
        Self::Prevented,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::InquiryNeedsResponse => "inquiry_needs_response",
            Self::InquiryUnderReview => "inquiry_under_review",
            Self::InquiryClosed => "inquiry_closed",
            Self::NeedsResponse => "needs_response",
            Self::UnderReview => "under_review",
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Prevented => "prevented",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    pub fn stage(self) -> Stage {
        match self {
            Self::InquiryNeedsResponse | Self::InquiryUnderReview => Stage::Inquiry,
            Self::NeedsResponse | Self::UnderReview => Stage::Open,
            Self::InquiryClosed | Self::Won | Self::Lost | Self::Prevented => Stage::Closed,
        }
    }
}

impl Dispute {
    fn is_closed(&self) -> bool {
        self.status.stage() == Stage::Closed
    }
}

impl Payment {
    /// The dispute that a client has to know of: one that is not closed, or else the latest.
    pub fn dispute(&self) -> Option<&Dispute> {
        self.disputes.iter().max_by_key(|dispute| (!dispute.is_closed(), dispute.opened_at))
    }

    /// A dispute of a charge that keeps its money from being moved.
    pub fn open_dispute(&self, charge: &str) -> Option<&Dispute> {
        self.disputes.iter().find(|dispute| dispute.charge == charge && !dispute.is_closed())
    }

    /// Whether the bank of its payer holds money that this payment took: nothing is charged meanwhile.
    pub fn is_disputed(&self) -> bool {
        self.disputes.iter().any(|dispute| dispute.status.stage() == Stage::Open)
    }

    /// In minor units: what banks have taken back of its own charge for good.
    pub fn lost_in_disputes(&self) -> i64 {
        let charge = self.attempt.as_ref().and_then(|attempt| attempt.charge.as_deref());
        let lost = self.disputes.iter().filter(|dispute| {
            dispute.status == DisputeStatus::Lost && Some(dispute.charge.as_str()) == charge
        });
        // In another currency it says nothing of how much is left, so nothing is.
        let amount = |dispute: &Dispute| {
            if dispute.currency == self.money.currency() { dispute.amount } else { self.money.minor() }
        };
        lost.map(amount).sum()
    }

    /// The payment beside a dispute as the gateway shows it now; none if that is known, or older than what is.
    pub fn beside_dispute(&self, seen: &Dispute, now: Time) -> Option<Step> {
        let known = self.disputes.iter().position(|dispute| dispute.id == seen.id);
        let before = known.and_then(|place| self.disputes.get(place));
        // Looks may overtake each other, and no bank opens again what it has closed.
        if before.is_some_and(|before| before == seen || (before.is_closed() && !seen.is_closed())) {
            return None;
        }
        let mut events = match before {
            None => vec![EventType::Disputed, EventType::DisputeCreated],
            Some(before) if before.is_closed() || !seen.is_closed() => vec![EventType::DisputeUpdated],
            Some(_) => vec![EventType::DisputeClosed],
        };
        if before.is_none() && seen.is_closed() {
            events.push(EventType::DisputeClosed);
        }
        let mut payment = self.clone();
        match known {
            Some(place) => payment.disputes[place] = seen.clone(),
            None => payment.disputes.push(seen.clone()),
        }
        payment.version += 1;
        payment.updated_at = now;
        let detail = format!("the dispute {} of {} is {}", seen.id, seen.charge, seen.status.name());
        Some(Step { payment, events, detail })
    }

    /// The payment after something beside it was noted.
    #[must_use]
    pub fn noted(&self, now: Time) -> Self {
        Self { version: self.version + 1, updated_at: now, ..self.clone() }
    }
}

/// A dispute as clients see it beside its payment.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Dispute")]
pub struct View<'a> {
    /// The gateway's id of it.
    pub id: &'a str,
    #[schemars(extend("enum" = DisputeStatus::ALL.map(DisputeStatus::name)))]
    pub status: &'static str,
    /// In minor units of `currency`.
    pub amount: i64,
    pub currency: Currency,
    /// The payer's reason, in the gateway's words.
    pub reason: &'a str,
    /// Until when it may be answered.
    pub due_by: Option<Time>,
}

/// A dispute as its own events tell of it.
#[derive(Debug, Serialize)]
pub struct Told<'a> {
    pub object: &'static str,
    pub payment: PaymentId,
    #[serde(flatten)]
    pub dispute: View<'a>,
    pub gateway: &'a str,
    pub gateway_charge: &'a str,
    pub livemode: bool,
    pub opened_at: Time,
}

impl<'a> From<&'a Dispute> for View<'a> {
    fn from(dispute: &'a Dispute) -> Self {
        View {
            id: &dispute.id,
            status: dispute.status.name(),
            amount: dispute.amount,
            currency: dispute.currency,
            reason: &dispute.reason,
            due_by: dispute.due_by,
        }
    }
}

impl<'a> Told<'a> {
    pub fn of(payment: &'a Payment, dispute: &'a Dispute) -> Self {
        Told {
            object: "dispute",
            payment: payment.id,
            dispute: View::from(dispute),
            gateway: &payment.account,
            gateway_charge: &dispute.charge,
            livemode: payment.livemode,
            opened_at: dispute.opened_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::payment::fixtures::{at, euros, pending};

    fn dispute(id: &str, status: DisputeStatus) -> Dispute {
        Dispute {
            id: id.to_owned(),
            charge: "ch_1".to_owned(),
            status,
            amount: 500,
            currency: euros(1).currency(),
            reason: "fraudulent".to_owned(),
            due_by: None,
            opened_at: at(0),
        }
    }

    fn after(statuses: &[DisputeStatus]) -> (Payment, Vec<EventType>) {
        let mut told = Vec::new();
        let mut payment = pending();
        for status in statuses {
            let Some(step) = payment.beside_dispute(&dispute("dp_1", *status), at(1)) else { continue };
            payment = step.payment;
            told.extend(step.events);
        }
        (payment, told)
    }

    #[test]
    fn a_dispute_is_told_when_it_begins_moves_and_ends() {
        use DisputeStatus::{Lost, NeedsResponse, UnderReview};
        let (payment, told) = after(&[NeedsResponse, UnderReview, UnderReview, Lost]);

        let begun = [EventType::Disputed, EventType::DisputeCreated];
        assert_eq!(told, [&begun[..], &[EventType::DisputeUpdated, EventType::DisputeClosed]].concat());
        assert_eq!((payment.disputes.len(), payment.version), (1, pending().version + 3));
        assert!(!payment.is_disputed());
    }

    #[test]
    fn what_is_closed_is_not_opened_by_a_late_look() {
        let (payment, _) = after(&[DisputeStatus::Won, DisputeStatus::NeedsResponse]);

        assert_eq!(payment.dispute().unwrap().status, DisputeStatus::Won);
    }

    #[test]
    fn the_one_that_is_shown_is_open_or_the_latest() {
        let open = dispute("dp_1", DisputeStatus::NeedsResponse);
        let late = Dispute { opened_at: at(9), ..dispute("dp_2", DisputeStatus::Won) };
        let early = dispute("dp_3", DisputeStatus::Lost);
        let shown = |disputes: &[&Dispute]| {
            let disputes = disputes.iter().map(|dispute| (*dispute).clone()).collect();
            Payment { disputes, ..pending() }.dispute().map(|dispute| dispute.id.clone())
        };

        assert_eq!(shown(&[&late, &open, &early]).as_deref(), Some("dp_1"));
        assert_eq!(shown(&[&late, &early]).as_deref(), Some("dp_2"));
        assert_eq!(shown(&[]), None);
    }

    #[test]
    fn every_status_has_a_name_that_leads_back() {
        for status in DisputeStatus::ALL {
            assert_eq!(DisputeStatus::from_name(status.name()), Some(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.name());
        }
    }
}

//! What tests of the domain begin with.

use super::*;
use chrono::DateTime;

pub(crate) fn at(seconds: i64) -> Time {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

pub(crate) fn euros(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap()).unwrap()
}

/// A payment of 12.50 EUR that waits for its first attempt.
pub(crate) fn pending() -> Payment {
    Payment {
        id: PaymentId::mint(at(0), [1; 10]),
        tenant: TenantId::mint(at(0), [2; 10]),
        livemode: false,
        money: euros(1250),
        method: Method { kind: MethodKind::Card, payment_method: "pm_1".to_owned(), gateway_customer: None },
        method_id: None,
        session: Session::Off,
        start: Start::Now,
        customer: None,
        reference: None,
        description: None,
        metadata: BTreeMap::new(),
        account: "main".to_owned(),
        status: Status::Pending,
        version: 1,
        operation: None,
        attempt: None,
        declines: 0,
        by_hand: ByHand::default(),
        resolution: None,
        failure: None,
        refunded: 0,
        refunding: 0,
        disputes: Vec::new(),
        created_at: at(0),
        updated_at: at(0),
    }
}

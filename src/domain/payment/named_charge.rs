//! Named charges: a charge that a person names as the payment's, as its gateway shows it, and whether it can be that.

use super::Payment;
use dunlin_jobs::Money;

/// A charge as its gateway shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedCharge {
    pub livemode: bool,
    /// What was charged, whatever went back since.
    pub amount: Money,
    pub is_captured: bool,
    /// Whose charge it is by what was written beside it; none where nothing was.
    pub reference: Option<String>,
    /// The operation that made it.
    pub operation: Option<String>,
}

/// Why it cannot be the payment's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    #[error(
        "it is of the other environment: name the charge that the gateway's dashboard shows for this payment"
    )]
    Environment,
    #[error("by what is written beside it, it is another payment's: compare the gateway's dashboard")]
    OtherPayment,
    #[error("it took no money: the payment has not succeeded by it")]
    NotCaptured,
    #[error(
        "it is of {charged}, and the payment of {wanted}: refund it at the gateway, and resolve the payment as canceled"
    )]
    Amount { charged: Money, wanted: Money },
}

impl Payment {
    /// Whether the charge can be what paid for it (S1.15).
    pub fn is_paid_by(&self, charge: &NamedCharge) -> Result<(), NotOurs> {
        if charge.livemode != self.livemode {
            return Err(NotOurs::Environment);
        }
        let is_other = match &charge.reference {
            Some(reference) => *reference != self.id.to_string(),
            // What bears no reference was charged by hand, unless we know an operation and it is of another.
            None => self.operation.is_some() && charge.operation != self.operation,
        };
        if is_other {
            return Err(NotOurs::OtherPayment);
        }
        if !charge.is_captured {
            return Err(NotOurs::NotCaptured);
        }
        if charge.amount != self.money {
            return Err(NotOurs::Amount { charged: charge.amount, wanted: self.money });
        }
        Ok(())
    }

    /// The operation of a charge that is its own: what somebody has charged by hand, and written nothing beside, is of none.
    pub fn operation_of(&self, charge: NamedCharge) -> Option<String> {
        let is_named = charge.reference.is_some_and(|reference| reference == self.id.to_string());
        charge.operation.filter(|operation| is_named || self.operation.as_ref() == Some(operation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::payment::fixtures::{euros, pending};

    fn named() -> NamedCharge {
        NamedCharge {
            livemode: false,
            amount: euros(1250),
            is_captured: true,
            reference: Some(pending().id.to_string()),
            operation: Some("pi_1".to_owned()),
        }
    }

    #[test]
    fn a_charge_of_the_same_money_that_bears_the_payments_id_is_its_own() {
        let known = Payment { operation: Some("pi_1".to_owned()), ..pending() };
        let bare = NamedCharge { reference: None, ..named() };

        assert_eq!(pending().is_paid_by(&named()), Ok(()));
        assert_eq!(known.is_paid_by(&named()), Ok(()));
        assert_eq!(known.is_paid_by(&bare), Ok(()), "it is of the operation that is known");
        assert_eq!(pending().is_paid_by(&bare), Ok(()), "somebody has charged it by hand");
        let other = Payment { operation: Some("pi_2".to_owned()), ..pending() };
        assert_eq!(other.is_paid_by(&named()), Ok(()), "it has more than one operation at the gateway");
        let own = Some("pi_1".to_owned());
        assert_eq!(pending().operation_of(named()), own);
        assert_eq!(known.operation_of(bare.clone()), own);
        assert_eq!(other.operation_of(named()), own);
        assert_eq!(pending().operation_of(bare), None, "nothing shows that its operation is the payment's");
    }

    #[test]
    fn what_differs_is_named() {
        let known = Payment { operation: Some("pi_2".to_owned()), ..pending() };
        let yen = Money::new(1250, "JPY".parse().unwrap()).unwrap();
        let of = |charged| Err(NotOurs::Amount { charged, wanted: euros(1250) });

        for (charge, why) in [
            (NamedCharge { livemode: true, ..named() }, Err(NotOurs::Environment)),
            (NamedCharge { is_captured: false, ..named() }, Err(NotOurs::NotCaptured)),
            (NamedCharge { amount: euros(1249), ..named() }, of(euros(1249))),
            (NamedCharge { amount: yen, ..named() }, of(yen)),
            (NamedCharge { reference: Some("pay_2".to_owned()), ..named() }, Err(NotOurs::OtherPayment)),
        ] {
            assert_eq!(pending().is_paid_by(&charge), why, "{charge:?}");
        }
        let bare = NamedCharge { reference: None, ..named() };
        assert_eq!(known.is_paid_by(&bare), Err(NotOurs::OtherPayment));
    }
}

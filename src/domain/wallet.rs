//! Wallets: the methods of one customer, and the order in which they are tried. The first is the default.

use super::{
    clock::Time,
    customer::Customer,
    payment_method::{PaymentMethod, Place},
};
use dunlin_jobs::MethodId;

/// A customer with the methods that they can be charged by, in the order in which they are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wallet {
    pub customer: Customer,
    /// Those that are attached; and at the end one that was detached just now.
    pub methods: Vec<PaymentMethod>,
}

/// Why a customer's methods stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPossible {
    #[error("{0} is this very payment method of the customer: use that one, or detach it first")]
    Attached(MethodId),
    #[error(
        "the customer has {MOST_METHODS} payment methods, which is all that one may have: detach some first"
    )]
    TooMany,
    #[error("the position must be from 1 to {0}, the number of the customer's payment methods")]
    Position(usize),
    #[error("the payment method is detached, and has no place in the order any more: attach it anew")]
    Detached,
}

/// How many methods a customer may have.
pub const MOST_METHODS: usize = 50;

impl Wallet {
    /// Takes in a method, as the default or as the last one in the order.
    pub fn attach(&mut self, method: PaymentMethod, default: bool) -> Result<(), NotPossible> {
        if let Some(same) = self.methods.iter().find(|other| other.is_same(&method)) {
            return Err(NotPossible::Attached(same.id));
        }
        if self.methods.len() >= MOST_METHODS {
            return Err(NotPossible::TooMany);
        }
        let at = if default { 0 } else { self.methods.len() };
        self.methods.insert(at, method);
        self.number();
        Ok(())
    }

    /// Moves a method to a position, counted from 1; the others make room.
    pub fn place(&mut self, id: MethodId, position: u32) -> Result<(), NotPossible> {
        let index = self.find(id).ok_or(NotPossible::Detached)?;
        let count = self.methods.len();
        let to = usize::try_from(position).ok().and_then(|position| position.checked_sub(1));
        let to = to.filter(|to| *to < count).ok_or(NotPossible::Position(count))?;
        let method = self.methods.remove(index);
        self.methods.insert(to, method);
        self.number();
        Ok(())
    }

    /// Takes a method out of the order; once more is as good as once.
    pub fn detach(&mut self, id: MethodId, now: Time) {
        let Some(index) = self.find(id) else { return };
        let mut method = self.methods.remove(index);
        self.number();
        method.place = Place::Detached(now);
        self.methods.push(method);
    }

    fn find(&self, id: MethodId) -> Option<usize> {
        self.methods.iter().position(|method| method.id == id)
    }

    fn number(&mut self) {
        for (position, method) in (1..).zip(&mut self.methods) {
            method.place = Place::At(position);
        }
        self.customer.default_method = self.methods.first().map(|method| method.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        customer::Profile,
        payment::{Method, MethodKind, fixtures::at},
    };
    use dunlin_jobs::{CustomerId, TenantId};

    fn method(n: u8) -> PaymentMethod {
        PaymentMethod {
            id: MethodId::mint(at(0), [n; 10]),
            customer: CustomerId::mint(at(0), [1; 10]),
            tenant: TenantId::mint(at(0), [2; 10]),
            livemode: false,
            method: Method {
                kind: MethodKind::Card,
                payment_method: format!("pm_{n}"),
                gateway_customer: None,
            },
            account: "main".to_owned(),
            label: None,
            place: Place::At(1),
            created_at: at(0),
        }
    }

    fn wallet(count: u8) -> Wallet {
        let customer = Customer {
            id: method(0).customer,
            tenant: method(0).tenant,
            livemode: false,
            profile: Profile::default(),
            default_method: None,
            version: 1,
            created_at: at(0),
            updated_at: at(0),
        };
        let mut wallet = Wallet { customer, methods: Vec::new() };
        for n in 1..=count {
            wallet.attach(method(n), false).unwrap();
        }
        wallet
    }

    /// The order, by the methods' numbers, once it is certain that the positions and the default say the same.
    fn order(wallet: &Wallet) -> Vec<u8> {
        let attached = || wallet.methods.iter().filter(|method| matches!(method.place, Place::At(_)));
        for (position, method) in (1..).zip(attached()) {
            assert_eq!(method.place, Place::At(position));
        }
        assert_eq!(wallet.customer.default_method, attached().next().map(|method| method.id));
        let number = |method: &PaymentMethod| method.method.payment_method[3..].parse().unwrap();
        attached().map(number).collect()
    }

    #[test]
    fn the_first_method_is_the_default_and_others_follow() {
        let mut wallet = wallet(2);
        assert_eq!(order(&wallet), [1, 2]);

        wallet.attach(method(3), true).unwrap();

        assert_eq!(order(&wallet), [3, 1, 2]);
    }

    #[test]
    fn a_method_is_moved_and_the_others_make_room() {
        let mut wallet = wallet(4);

        for (n, position, expected) in
            [(4, 1, [4, 1, 2, 3]), (4, 3, [1, 2, 4, 3]), (1, 4, [2, 4, 3, 1]), (1, 4, [2, 4, 3, 1])]
        {
            wallet.place(method(n).id, position).unwrap();
            assert_eq!(order(&wallet), expected);
        }
        for wrong in [0, 5, u32::MAX] {
            assert_eq!(wallet.place(method(1).id, wrong), Err(NotPossible::Position(4)));
        }
    }

    #[test]
    fn the_next_one_follows_a_default_that_is_detached() {
        let mut wallet = wallet(3);

        wallet.detach(method(1).id, at(5));

        assert_eq!(order(&wallet), [2, 3]);
        assert_eq!(wallet.methods[2].place, Place::Detached(at(5)));
        let mut one = self::wallet(1);
        one.detach(method(1).id, at(5));
        assert!(order(&one).is_empty());
    }

    #[test]
    fn a_token_is_attached_once_at_each_gateway_and_not_without_end() {
        let mut wallet = wallet(1);

        let same = PaymentMethod { id: method(9).id, ..method(1) };
        assert_eq!(wallet.attach(same.clone(), true), Err(NotPossible::Attached(method(1).id)));
        let elsewhere = PaymentMethod { account: "other".to_owned(), ..same };
        assert_eq!(wallet.attach(elsewhere, true), Ok(()));
        for n in 2..50 {
            wallet.attach(method(n), false).unwrap();
        }
        assert_eq!(wallet.attach(method(50), false), Err(NotPossible::TooMany));
    }
}

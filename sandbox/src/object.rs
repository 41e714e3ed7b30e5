//! An object is anything that the bank keeps under an id, as it was at one moment.

use crate::{
    charge::Charge,
    customer::Customer,
    dispute::{Dispute, Warning},
    endpoint::Endpoint,
    intent::Intent,
    kept_method::KeptMethod,
    refund::Refund,
    setup::Setup,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Object {
    Charge(Arc<Charge>),
    Customer(Arc<Customer>),
    Dispute(Arc<Dispute>),
    Endpoint(Arc<Endpoint>),
    Intent(Arc<Intent>),
    Method(Arc<KeptMethod>),
    Refund(Arc<Refund>),
    Setup(Arc<Setup>),
    Warning(Arc<Warning>),
}

impl Object {
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Charge(charge) => &charge.id,
            Self::Customer(customer) => &customer.id,
            Self::Dispute(dispute) => &dispute.id,
            Self::Endpoint(endpoint) => &endpoint.id,
            Self::Intent(intent) => intent.id(),
            Self::Method(method) => &method.id,
            Self::Refund(refund) => &refund.id,
            Self::Setup(setup) => &setup.id,
            Self::Warning(warning) => &warning.id,
        }
    }

    pub(crate) fn intent(&self) -> Option<&Intent> {
        match self {
            Self::Intent(intent) => Some(intent),
            Self::Charge(_)
            | Self::Customer(_)
            | Self::Dispute(_)
            | Self::Endpoint(_)
            | Self::Method(_)
            | Self::Refund(_)
            | Self::Setup(_)
            | Self::Warning(_) => None,
        }
    }

    pub(crate) fn charge(&self) -> Option<&Charge> {
        match self {
            Self::Charge(charge) => Some(charge),
            Self::Customer(_)
            | Self::Dispute(_)
            | Self::Endpoint(_)
            | Self::Intent(_)
            | Self::Method(_)
            | Self::Refund(_)
            | Self::Setup(_)
            | Self::Warning(_) => None,
        }
    }

    /// When it moves by itself, if ever.
    pub(crate) fn due_at(&self) -> Option<i64> {
        match self {
            Self::Intent(intent) => intent.due_at(),
            Self::Refund(refund) => refund.state.due_at(),
            Self::Charge(charge) => charge.is_to_be_disputed.then_some(charge.created),
            Self::Customer(_)
            | Self::Dispute(_)
            | Self::Endpoint(_)
            | Self::Method(_)
            | Self::Setup(_)
            | Self::Warning(_) => None,
        }
    }
}

macro_rules! from {
    ($($variant:ident($kind:ty)),*) => {
        $(impl From<$kind> for Object {
            fn from(object: $kind) -> Self {
                Self::$variant(Arc::new(object))
            }
        })*
    };
}

from!(
    Charge(Charge),
    Customer(Customer),
    Dispute(Dispute),
    Endpoint(Endpoint),
    Intent(Intent),
    Method(KeptMethod),
    Refund(Refund),
    Setup(Setup),
    Warning(Warning)
);

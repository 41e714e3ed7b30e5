//! Listings: what a gateway shows of the money that others moved there, by charge or all of it (S1.20).

use super::{Call, Reply};
use crate::domain::{
    clock::Time,
    dispute::{Dispute, FraudWarning},
    refund::Seen,
};
use dunlin_jobs::PaymentId;
use std::fmt;

/// What is listed. The names are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    Refunds,
    Disputes,
    /// Of fraud.
    Warnings,
}

impl Topic {
    pub const ALL: [Self; 3] = [Self::Refunds, Self::Disputes, Self::Warnings];

    pub fn name(self) -> &'static str {
        match self {
            Self::Refunds => "refunds",
            Self::Disputes => "disputes",
            Self::Warnings => "warnings",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

/// Which part of a list is asked for; lists begin with the newest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span<'a> {
    pub charge: Option<&'a str>,
    /// Nothing that was made before.
    pub from: Option<Time>,
    /// The thing after which it begins, by the gateway's id.
    pub after: Option<&'a str>,
}

/// What an answer to such a question shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed<T> {
    Page(Page<T>),
    /// The credentials were refused.
    Refused(String),
    /// There is no such place in the list any more.
    Gone(String),
    Nothing(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Those that make no sense, which are left out.
    pub unreadable: usize,
    /// When the first of them was made.
    pub newest: Option<Time>,
    /// The thing after which the next page begins, if there is one.
    pub next_after: Option<String>,
}

/// A gateway that shows what others did there.
pub trait Listings: fmt::Debug + Send + Sync {
    fn list(&self, topic: Topic, span: Span<'_>) -> Call;

    fn read_refunds(&self, reply: &Reply) -> Listed<Seen>;

    fn read_disputes(&self, reply: &Reply) -> Listed<Dispute>;

    fn read_warnings(&self, reply: &Reply) -> Listed<FraudWarning>;

    /// The call that shows a charge.
    fn find_charge(&self, charge: &str) -> Call;

    /// Which payment a charge was made for, where it bears our reference; or why that is not known.
    fn read_charge_payment(&self, reply: &Reply) -> Result<Option<PaymentId>, String>;
}

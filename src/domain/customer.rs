//! Customers: whom a tenant charges, and what it says of them.

use super::{
    clock::Time,
    country::Country,
    email::Email,
    time_zone::TimeZone,
    update::{self, Update},
};
use dunlin_jobs::{Currency, CustomerId, MethodId, TenantId};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    pub id: CustomerId,
    pub tenant: TenantId,
    pub livemode: bool,
    pub profile: Profile,
    /// The first of their methods.
    pub default_method: Option<MethodId>,
    /// Grows by one with every change, of their methods too.
    pub version: u32,
    pub created_at: Time,
    pub updated_at: Time,
}

/// What the tenant says of a customer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// The tenant's own id of them.
    pub external_id: Option<String>,
    pub name: Option<String>,
    pub email: Option<Email>,
    pub country: Option<Country>,
    pub time_zone: Option<TimeZone>,
    /// What they are charged in where a payment does not say.
    pub currency: Option<Currency>,
    pub metadata: BTreeMap<String, String>,
}

/// What is to become of a profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileChange {
    pub external_id: Update<String>,
    pub name: Update<String>,
    pub email: Update<Email>,
    pub country: Update<Country>,
    pub time_zone: Update<TimeZone>,
    pub currency: Update<Currency>,
    /// Entries to write, and entries to take away.
    pub metadata: BTreeMap<String, Option<String>>,
}

impl Profile {
    pub fn change(&mut self, change: ProfileChange) {
        change.external_id.apply(&mut self.external_id);
        change.name.apply(&mut self.name);
        change.email.apply(&mut self.email);
        change.country.apply(&mut self.country);
        change.time_zone.apply(&mut self.time_zone);
        change.currency.apply(&mut self.currency);
        update::merge(&mut self.metadata, change.metadata);
    }
}

/// A customer as clients see them.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Customer")]
pub struct View<'a> {
    id: CustomerId,
    #[schemars(extend("const" = "customer"))]
    object: &'static str,
    /// Your own id of the customer.
    external_id: Option<&'a str>,
    name: Option<&'a str>,
    email: Option<&'a Email>,
    country: Option<Country>,
    time_zone: Option<TimeZone>,
    /// What they are charged in where a payment does not say.
    currency: Option<Currency>,
    /// The first of their payment methods, by which they are charged where a payment does not say.
    default_payment_method: Option<MethodId>,
    metadata: &'a BTreeMap<String, String>,
    livemode: bool,
    /// Grows by one with every change, of their payment methods too.
    version: u32,
    created_at: Time,
    updated_at: Time,
}

impl<'a> From<&'a Customer> for View<'a> {
    fn from(customer: &'a Customer) -> Self {
        let Profile { external_id, name, email, country, time_zone, currency, metadata } = &customer.profile;
        Self {
            id: customer.id,
            object: "customer",
            external_id: external_id.as_deref(),
            name: name.as_deref(),
            email: email.as_ref(),
            country: *country,
            time_zone: *time_zone,
            currency: *currency,
            default_payment_method: customer.default_method,
            metadata,
            livemode: customer.livemode,
            version: customer.version,
            created_at: customer.created_at,
            updated_at: customer.updated_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_changed_field_by_field() {
        let mut profile = Profile {
            name: Some("Ada".to_owned()),
            country: Some("GB".parse().unwrap()),
            metadata: BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]),
            ..Profile::default()
        };

        profile.change(ProfileChange::default());
        profile.change(ProfileChange {
            name: Update::Set("Ada L.".to_owned()),
            country: Update::Clear,
            metadata: BTreeMap::from([("a".to_owned(), None), ("c".to_owned(), Some("3".to_owned()))]),
            ..ProfileChange::default()
        });

        let metadata = BTreeMap::from([("b".to_owned(), "2".to_owned()), ("c".to_owned(), "3".to_owned())]);
        let expected = Profile { name: Some("Ada L.".to_owned()), metadata, ..Profile::default() };
        assert_eq!(profile, expected);
    }
}

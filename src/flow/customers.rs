//! Customers: making, showing and changing them.

use super::{FlowError, Flows, Named, named::recall, payments};
use crate::{
    domain::{
        customer::{Customer, Profile, ProfileChange},
        email::Email,
        update::Update,
        wallet::Wallet,
    },
    store::{CustomerFilter, Owner, StoreError, change::Key},
};
use dunlin_jobs::CustomerId;

impl Flows {
    /// Makes a customer; false where its key has made them before.
    pub async fn create_customer(
        &self,
        owner: Owner,
        profile: Profile,
        key: Option<Key>,
    ) -> Result<(Customer, bool), FlowError> {
        match self.make_customer(owner, profile, key.as_ref()).await {
            Ok(customer) => Ok((customer, true)),
            Err(error) => {
                let Some(key) = key else { return Err(error) };
                let made = self.store.find_customer_made(owner, &key.key).await?;
                let id = recall(made, &key, Named::Customer)?.ok_or(error)?;
                Ok((self.load_customer(owner, id).await?, false))
            }
        }
    }

    async fn make_customer(
        &self,
        owner: Owner,
        profile: Profile,
        key: Option<&Key>,
    ) -> Result<Customer, FlowError> {
        check(&profile)?;
        let now = self.clock().now(owner.livemode);
        let customer = Customer {
            id: CustomerId::mint(now, self.clock().random()),
            tenant: owner.tenant,
            livemode: owner.livemode,
            profile,
            default_method: None,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        match self.store.create_customer(&customer, key).await {
            Ok(()) => Ok(customer),
            Err(error) => Err(self.explain_taken(owner, &customer.profile, error.into()).await),
        }
    }

    pub async fn load_customer(&self, owner: Owner, id: CustomerId) -> Result<Customer, FlowError> {
        self.store.find_owned_customer(owner, id).await?.ok_or(FlowError::NotFound("customer"))
    }

    pub async fn list_customers(
        &self,
        owner: Owner,
        filter: &CustomerFilter,
    ) -> Result<Vec<Customer>, FlowError> {
        Ok(self.store.list_customers(owner, filter).await?)
    }

    /// Changes what is said of a customer.
    pub async fn change_customer(
        &self,
        owner: Owner,
        id: CustomerId,
        change: ProfileChange,
    ) -> Result<Customer, FlowError> {
        let change = match change.external_id {
            Update::Set(text) => {
                let external_id = payments::identifier("external_id", Some(text))?;
                ProfileChange { external_id: external_id.map_or(Update::Clear, Update::Set), ..change }
            }
            Update::Keep | Update::Clear => change,
        };
        let mut wanted = Profile::default();
        let decide = |wallet: &mut Wallet| {
            wallet.customer.profile.change(change);
            wanted = wallet.customer.profile.clone();
            check(&wanted)
        };
        match self.store.change_wallet(owner, id, None, decide).await {
            Ok(Some(wallet)) => Ok(wallet.customer),
            Ok(None) => Err(FlowError::NotFound("customer")),
            Err(error) => Err(self.explain_taken(owner, &wanted, error).await),
        }
    }

    /// A conflict with another customer's external id, told as one.
    async fn explain_taken(&self, owner: Owner, profile: &Profile, error: FlowError) -> FlowError {
        let (FlowError::Store(StoreError::Conflict), Some(external_id)) = (&error, &profile.external_id)
        else {
            return error;
        };
        let filter =
            CustomerFilter { external_id: Some(external_id.clone()), limit: 1, ..Default::default() };
        match self.store.list_customers(owner, &filter).await {
            Ok(found) => found.first().map_or(error, |other| FlowError::Exists {
                code: "customer_exists",
                detail: format!(
                    "{} has this external_id: use that customer, change it, or give this one another",
                    other.id
                ),
                thing: Named::Customer(other.id),
            }),
            Err(error) => error.into(),
        }
    }
}

/// What is wrong with a profile, if anything is: by field, with the remedy.
fn check(profile: &Profile) -> Result<(), FlowError> {
    let short = |field, value: Option<&str>| match value {
        Some(value) => payments::check_short_text(field, value),
        None => Ok(()),
    };
    short("external_id", profile.external_id.as_deref())?;
    if profile.external_id.as_ref().is_some_and(|text| text.parse::<CustomerId>().is_ok()) {
        let detail = "this is an id of dunlin's: send your own, or leave it out".to_owned();
        return Err(FlowError::Invalid { field: "external_id".to_owned(), detail });
    }
    short("name", profile.name.as_deref())?;
    short("email", profile.email.as_ref().map(Email::as_str))?;
    payments::check_metadata(&profile.metadata)
}

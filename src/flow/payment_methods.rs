//! Payment methods: attaching them to customers, their order, and detaching them.

use super::{FlowError, Flows, Named, named::recall, payments};
use crate::{
    domain::{
        payment::Method,
        payment_method::{PaymentMethod, Place},
        wallet::{NotPossible, Wallet},
    },
    store::{Owner, change::Key},
};
use dunlin_jobs::{CustomerId, MethodId};

/// What a caller asks to attach, its shape checked, its meaning not.
#[derive(Debug, Clone)]
pub struct NewMethod {
    pub method: Method,
    /// The gateway account; the environment's first one if none is named.
    pub gateway: Option<String>,
    pub label: Option<String>,
    pub default: bool,
}

impl Flows {
    /// Attaches a method to a customer; false where its key has done so before.
    pub async fn attach_method(
        &self,
        owner: Owner,
        customer: CustomerId,
        new: NewMethod,
        key: Option<Key>,
    ) -> Result<(PaymentMethod, bool), FlowError> {
        match self.attach(owner, customer, new, key.as_ref()).await {
            Ok(method) => Ok((method, true)),
            Err(error) => {
                let Some(key) = key else { return Err(error) };
                let made = self.store.find_method_made(owner, &key.key).await?;
                let id = recall(made, &key, Named::Method)?.ok_or(error)?;
                Ok((self.load_method(owner, id).await?, false))
            }
        }
    }

    async fn attach(
        &self,
        owner: Owner,
        customer: CustomerId,
        new: NewMethod,
        key: Option<&Key>,
    ) -> Result<PaymentMethod, FlowError> {
        let account = self.check(owner, &new)?;
        let now = self.clock().now(owner.livemode);
        let method = PaymentMethod {
            id: MethodId::mint(now, self.clock().random()),
            customer,
            tenant: owner.tenant,
            livemode: owner.livemode,
            method: new.method,
            account,
            label: new.label,
            // Its place is given to it with the others'.
            place: Place::At(1),
            created_at: now,
        };
        let id = method.id;
        let attach = |wallet: &mut Wallet| wallet.attach(method, new.default).map_err(|why| explain(&why));
        find(self.change_methods(owner, customer, key, attach).await?, id)
    }

    pub async fn load_method(&self, owner: Owner, id: MethodId) -> Result<PaymentMethod, FlowError> {
        self.store.find_owned_method(owner, id).await?.ok_or(FlowError::NotFound("payment method"))
    }

    /// The methods that a customer can be charged by, in the order in which they are tried.
    pub async fn list_methods(
        &self,
        owner: Owner,
        customer: CustomerId,
    ) -> Result<Vec<PaymentMethod>, FlowError> {
        self.load_customer(owner, customer).await?;
        Ok(self.store.list_methods(customer).await?)
    }

    /// Moves a method in its customer's order.
    pub async fn place_method(
        &self,
        owner: Owner,
        id: MethodId,
        position: u32,
    ) -> Result<PaymentMethod, FlowError> {
        let method = self.load_method(owner, id).await?;
        let place = |wallet: &mut Wallet| wallet.place(id, position).map_err(|why| explain(&why));
        find(self.change_methods(owner, method.customer, None, place).await?, id)
    }

    /// Takes a method from its customer; once more is as good as once.
    pub async fn detach_method(&self, owner: Owner, id: MethodId) -> Result<PaymentMethod, FlowError> {
        let method = self.load_method(owner, id).await?;
        let now = self.clock().now(owner.livemode);
        let detach = |wallet: &mut Wallet| {
            wallet.detach(id, now);
            Ok(())
        };
        self.change_methods(owner, method.customer, None, detach).await?;
        self.load_method(owner, id).await
    }

    async fn change_methods(
        &self,
        owner: Owner,
        customer: CustomerId,
        key: Option<&Key>,
        decide: impl FnOnce(&mut Wallet) -> Result<(), FlowError> + Send,
    ) -> Result<Wallet, FlowError> {
        let changed = self.store.change_wallet(owner, customer, key, decide).await?;
        changed.ok_or(FlowError::NotFound("customer"))
    }

    /// What is wrong with a method, if anything is; else the gateway account that it is for.
    fn check(&self, owner: Owner, new: &NewMethod) -> Result<String, FlowError> {
        payments::check_method("", &new.method)?;
        if let Some(label) = &new.label {
            payments::check_short_text("label", label)?;
        }
        if new.method.payment_method.parse::<MethodId>().is_ok() {
            let detail = "this is a payment method of dunlin's: send the gateway's token".to_owned();
            return Err(FlowError::Invalid { field: "payment_method".to_owned(), detail });
        }
        Ok(self.account_for(owner, new.gateway.as_deref())?.name.clone())
    }
}

fn find(wallet: Wallet, id: MethodId) -> Result<PaymentMethod, FlowError> {
    let method = wallet.methods.into_iter().find(|method| method.id == id);
    method.ok_or(FlowError::NotFound("payment method"))
}

/// Says why a customer's methods stay as they are: the field that is wrong, or what forbids it.
fn explain(why: &NotPossible) -> FlowError {
    let detail = why.to_string();
    match why {
        NotPossible::Attached(id) => {
            FlowError::Exists { code: "payment_method_attached", detail, thing: Named::Method(*id) }
        }
        NotPossible::TooMany => {
            FlowError::Conflict { code: "too_many_payment_methods", detail, payment: None }
        }
        NotPossible::Position(_) => FlowError::Invalid { field: "position".to_owned(), detail },
        NotPossible::Detached => {
            FlowError::Conflict { code: "payment_method_detached", detail, payment: None }
        }
    }
}

//! Edit: changes what a caller has written beside a payment, at any time and without touching its way.

use super::{
    FlowError, Flows,
    payments::{check_entry, check_text},
};
use crate::{
    domain::{
        payment::{Edit, Event, Payment},
        update::Update,
    },
    store::{KeyHolder, change::Subject},
};
use dunlin_jobs::PaymentId;

impl Flows {
    /// Writes what the edit names; the rest stays, whatever others write meanwhile.
    pub async fn edit_payment(
        &self,
        by: &KeyHolder,
        id: PaymentId,
        edit: Edit,
    ) -> Result<Payment, FlowError> {
        if let Update::Set(text) = &edit.description {
            check_text("description", Some(text))?;
        }
        for (name, value) in &edit.metadata {
            // What is taken away has to be named as well as what is written.
            check_entry(name, value.as_deref().unwrap_or_default())?;
        }
        let payment = self.load_payment(by.owner, id).await?;
        let change = self.change(by, Subject::Event(payment.id, Event::Edit(edit)));
        let committed = self.store.offer(change).await?;
        committed.payment.ok_or(FlowError::NotFound("payment"))
    }
}

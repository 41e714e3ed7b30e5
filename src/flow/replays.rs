//! Replays: a request that cannot be taken now is answered by what its key has made before, if it has. So the answer to a
//! request that is sent again depends on nothing but its key (S2.2, S2.4): not on the configuration of today, nor on what
//! has become of what it names.

use super::{ErrorKind, FlowError, Flows, Named, named::recall};
use crate::{
    domain::{payment::Payment, refund::Refund},
    store::{
        Made, Owner,
        change::{Committed, Key},
    },
};
use dunlin_jobs::PaymentId;
use std::collections::BTreeSet;

/// A request that was not taken, and the key under which something may have been made before.
#[derive(Debug)]
pub(super) struct Unmade {
    pub(super) key: Option<Box<Key>>,
    pub(super) error: FlowError,
}

impl Flows {
    /// What each request made, now or before; those that were refused are looked up together.
    pub(super) async fn recall_payments(
        &self,
        owner: Owner,
        taken: Vec<Result<Committed, Unmade>>,
    ) -> Result<Vec<Result<Committed, FlowError>>, FlowError> {
        let keys: Vec<_> = taken.iter().filter_map(|taken| taken.as_ref().err()?.asked()).cloned().collect();
        if keys.is_empty() {
            return Ok(taken.into_iter().map(|taken| taken.map_err(|unmade| unmade.error)).collect());
        }
        let made = self.store.find_made(owner, &keys).await?;
        let ids: BTreeSet<_> = made.values().map(|(made, _)| made.payment).collect();
        let payments = self.store.find_owned_payments(owner, &ids).await?;
        let recalled = taken.into_iter().map(|taken| {
            let unmade = match taken {
                Ok(committed) => return Ok(committed),
                Err(unmade) => unmade,
            };
            let Some(key) = unmade.asked() else { return Err(unmade.error) };
            let found = made.get(&key.key).map(|(made, fingerprint)| (made.payment, fingerprint.clone()));
            let Some(id) = recall(found, key, Named::Payment)? else { return Err(unmade.error) };
            let payment = payments.iter().find(|payment| payment.id == id).cloned();
            Ok(Committed { payment: Some(payment.ok_or(unmade.error)?), refund: None, fresh: false })
        });
        Ok(recalled.collect())
    }

    /// The payment to which the same was done before under its key; else why it cannot be done.
    pub(super) async fn recall_wish(
        &self,
        owner: Owner,
        key: &Key,
        error: FlowError,
    ) -> Result<(Payment, bool), FlowError> {
        match self.made_before(owner, key, &error).await? {
            Some(made) => Ok((self.load_payment(owner, made.payment).await?, false)),
            None => Err(error),
        }
    }

    /// The refund that its key has made before; else why it cannot be made.
    pub(super) async fn recall_refund(
        &self,
        owner: Owner,
        key: &Key,
        error: FlowError,
    ) -> Result<(Refund, bool), FlowError> {
        match self.made_before(owner, key, &error).await?.and_then(|made| made.refund) {
            Some(refund) => Ok((self.load_refund(owner, refund).await?, false)),
            None => Err(error),
        }
    }

    async fn made_before(
        &self,
        owner: Owner,
        key: &Key,
        error: &FlowError,
    ) -> Result<Option<Made>, FlowError> {
        if !is_refusal(error) {
            return Ok(None);
        }
        let mut made = self.store.find_made(owner, std::slice::from_ref(key)).await?;
        let made = made.remove(&key.key);
        let (fingerprint, made) = made.map(|(made, fingerprint)| (fingerprint, made)).unzip();
        let payment: Option<PaymentId> = made.map(|made: Made| made.payment);
        recall(payment.zip(fingerprint), key, Named::Payment)?;
        Ok(made)
    }
}

impl Unmade {
    /// The key to look up, where the refusal may be that of a replay.
    fn asked(&self) -> Option<&Key> {
        self.key.as_deref().filter(|_| is_refusal(&self.error))
    }
}

/// Whether it is about what was asked: whoever is told to come later asks again under the same key.
fn is_refusal(error: &FlowError) -> bool {
    match error.kind() {
        ErrorKind::Caller | ErrorKind::Conflict => !matches!(error, FlowError::KeyReused { .. }),
        ErrorKind::Later | ErrorKind::Broken => false,
    }
}

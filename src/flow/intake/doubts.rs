//! What may have been taken in before a restore: it is answered by its key where that is on record, and is otherwise for a
//! person, who can look at the gateway whether it was charged (S2.15).

use super::{Fate, Refusal, Wanted, fate_of, refusal};
use crate::{
    domain::{
        clock::Time,
        letter::{RESTORED, why_restored},
    },
    flow::Flows,
    store::Owner,
};

impl Flows {
    /// Leaves what may be taken in, and says of the rest what becomes of it.
    pub(super) async fn set_doubted_apart(
        &self,
        owner: Owner,
        group: Vec<Wanted>,
        fates: &mut [Fate],
    ) -> Vec<Wanted> {
        let doubted = group.iter().filter(|wanted| wanted.restored_at.is_some());
        let keys: Vec<_> = doubted.filter_map(|wanted| wanted.request.key.clone()).collect();
        if keys.is_empty() {
            return group;
        }
        let made = self.store.find_made(owner, &keys).await;
        let fate = |wanted: &Wanted| {
            let at = wanted.restored_at?;
            let key = wanted.request.key.as_ref()?;
            match &made {
                Ok(made) if made.contains_key(&key.key) => None,
                Ok(_) => Some(Fate::Dead(restored(at))),
                Err(error) => Some(fate_of(&error.again().into())),
            }
        };
        let mut left = Vec::with_capacity(group.len());
        for wanted in group {
            match fate(&wanted) {
                Some(fate) => fates[wanted.place] = fate,
                None => left.push(wanted),
            }
        }
        left
    }
}

fn restored(at: Time) -> Refusal {
    refusal(RESTORED, None, &why_restored(at))
}

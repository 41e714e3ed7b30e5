//! The reader of the table: takes envelopes in their order, past those that other readers have in hand.

use super::{AFTER_ERROR, Reading, pause};
use crate::{
    domain::letter::Source,
    flow::intake::{Delivery, Fate},
    store::StoreError,
};
use futures_util::FutureExt;
use std::{panic::AssertUnwindSafe, time::Duration};
use tokio::sync::watch;

#[derive(Debug)]
pub(super) struct Reader {
    reading: Reading,
    stop: watch::Receiver<bool>,
}

/// How a look at the table went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) found: usize,
    late: usize,
    /// The place of the last one that was found.
    pub(super) last: i64,
}

impl Reader {
    pub(super) fn new(reading: Reading, stop: watch::Receiver<bool>) -> Self {
        Self { reading, stop }
    }

    /// Runs until the stop is rung.
    pub(super) async fn run(mut self) {
        while AssertUnwindSafe(self.read()).catch_unwind().await.is_err() {
            tracing::error!("reading the intake panicked; it begins again");
            pause(&mut self.stop, AFTER_ERROR).await;
        }
    }

    async fn read(&mut self) {
        let batch = usize::from(self.reading.settings.batch);
        let mut after = 0;
        while !*self.stop.borrow() {
            let look = look(&self.reading, after).await;
            let (next, wait) = match look {
                // Whatever cannot be taken now must not hold up what lies behind it.
                Ok(look) if look.late == batch => (look.last, AFTER_ERROR),
                Ok(look) if look.late > 0 => (0, AFTER_ERROR),
                Ok(look) if look.found == batch => (look.last, Duration::ZERO),
                Ok(_) => (0, self.reading.poll),
                Err(error) => {
                    tracing::warn!(%error, "the intake could not be read; trying again");
                    (0, AFTER_ERROR)
                }
            };
            after = next;
            pause(&mut self.stop, wait).await;
        }
    }
}

/// Takes what waits, and removes what is done with.
pub(super) async fn look(reading: &Reading, after: i64) -> Result<Look, StoreError> {
    let Reading { flows, settings, max_bytes, .. } = reading;
    let bag = flows.store.take_mail(after, settings.batch).await?;
    let mail: Vec<_> = bag
        .waiting
        .iter()
        .map(|waiting| Delivery { bytes: waiting.envelope.as_bytes(), restored_at: waiting.restored_at })
        .collect();
    let fates = flows.take_in_mail(&mail, *max_bytes).await;
    let (mut done, mut letters) = (Vec::new(), Vec::new());
    for (waiting, fate) in bag.waiting.iter().zip(&fates) {
        match fate {
            Fate::Taken(_) => done.push(waiting.seq),
            Fate::Dead(refusal) => {
                done.push(waiting.seq);
                letters.push(flows.letter(Source::Table, None, waiting.envelope.as_bytes(), refusal));
            }
            Fate::Late => {}
        }
    }
    let found = bag.waiting.len();
    let last = bag.waiting.last().map_or(0, |waiting| waiting.seq);
    let late = found - done.len();
    flows.store.empty_bag(bag, &done, &letters).await?;
    Ok(Look { found, late, last })
}

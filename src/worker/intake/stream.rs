//! The reader of the stream: takes what is new, and what dead readers have left behind.

use super::{AFTER_ERROR, Reading, pause};
use crate::{
    domain::{
        clock::Time,
        letter::{Letter, Source},
    },
    flow::intake::{Delivery, Fate, Refusal},
    redis::{Entry, Stream, StreamError},
};
use chrono::TimeDelta;
use futures_util::FutureExt;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{panic::AssertUnwindSafe, time::Duration};
use tokio::{sync::watch, time::Instant};

/// How often it is looked whether the stream may be read by now.
const NOT_OURS: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Reader {
    reading: Reading,
    stream: Stream,
    stop: watch::Receiver<bool>,
    /// When it is looked again for what was left behind.
    claim_at: Instant,
}

impl Reader {
    pub(super) fn new(reading: Reading, stream: Stream, stop: watch::Receiver<bool>) -> Self {
        Self { reading, stream, stop, claim_at: Instant::now() }
    }

    /// Runs until the stop is rung.
    pub(super) async fn run(mut self) {
        while AssertUnwindSafe(self.read()).catch_unwind().await.is_err() {
            tracing::error!("reading the intake stream panicked; it begins again");
            pause(&mut self.stop, AFTER_ERROR).await;
        }
    }

    async fn read(&mut self) {
        let mut complained = None;
        while !self.is_stopped() {
            match self.round().await {
                Ok(()) => complained = None,
                Err(error) => {
                    let told = error.to_string();
                    // Once for each outage and each reason, however long it lasts.
                    if complained.as_ref() != Some(&told) {
                        tracing::warn!(%error, "{told}; trying again");
                        complained = Some(told);
                    }
                    pause(&mut self.stop, AFTER_ERROR).await;
                }
            }
        }
    }

    async fn round(&mut self) -> Result<(), StreamError> {
        if !self.stream.is_ours() {
            pause(&mut self.stop, NOT_OURS).await;
            return Ok(());
        }
        let store = &self.reading.flows.store;
        // Until it is released everything stays where it is, so that another backup can still be restored instead.
        if let Ok(Some(_)) = store.find_restore().await {
            pause(&mut self.stop, AFTER_ERROR).await;
            return Ok(());
        }
        let batch = self.reading.settings.batch;
        if Instant::now() >= self.claim_at {
            let idle = Duration::from_secs(self.reading.settings.redeliver_after_s);
            // What was delivered before may have been taken in before a restore, of which nothing is known meanwhile.
            let Ok(restored_at) = store.find_last_restore().await else {
                pause(&mut self.stop, AFTER_ERROR).await;
                return Ok(());
            };
            loop {
                let left = self.stream.claim(idle, batch).await?;
                self.take(left, restored_at).await?;
                if self.stream.is_through() || self.is_stopped() || !self.stream.is_ours() {
                    break;
                }
            }
            self.claim_at = Instant::now() + idle / 2;
        }
        let new = self.stream.read(batch).await?;
        self.take(new, None).await
    }

    /// Takes entries in, and removes from the stream what is committed or kept as a letter.
    /// Those of before a restore that were read before may have been taken in.
    async fn take(&mut self, entries: Vec<Entry>, restored_at: Option<Time>) -> Result<(), StreamError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut fates = self.fates(&entries, restored_at).await;
        // While the database is away they are held here, rather than read on and left for a later delivery.
        while fates.iter().all(|fate| *fate == Fate::Late) && !self.is_stopped() {
            pause(&mut self.stop, AFTER_ERROR).await;
            let is_back = self.reading.flows.store.vitals().await.is_ok();
            fates = self.fates(&entries, restored_at).await;
            if is_back {
                break;
            }
        }
        let letters = self.letters(&entries, &fates);
        if let Err(error) = self.reading.flows.store.keep_letters(&letters).await {
            tracing::warn!(%error, "dead letters could not be kept; their envelopes are delivered again");
            fates.iter_mut().filter(|fate| matches!(fate, Fate::Dead(_))).for_each(|fate| *fate = Fate::Late);
        }
        let done = entries.into_iter().zip(&fates).filter(|(_, fate)| **fate != Fate::Late);
        let done: Vec<_> = done.map(|(entry, _)| entry.id).collect();
        self.stream.remove(&done).await
    }

    /// One for each entry.
    async fn fates(&self, entries: &[Entry], restored_at: Option<Time>) -> Vec<Fate> {
        let mail: Vec<_> = entries
            .iter()
            .map(|entry| Delivery {
                bytes: envelope(entry).unwrap_or_default(),
                restored_at: restored_at.filter(|at| is_older(&entry.id, *at)),
            })
            .collect();
        let mut fates = self.reading.flows.take_in_mail(&mail, self.reading.max_bytes).await;
        for (entry, fate) in entries.iter().zip(&mut fates) {
            if envelope(entry).is_none() {
                *fate = Fate::Dead(no_envelope());
            }
        }
        fates
    }

    fn letters(&self, entries: &[Entry], fates: &[Fate]) -> Vec<Letter> {
        let dead = entries.iter().zip(fates).filter_map(|(entry, fate)| match fate {
            // What was removed meanwhile leaves nothing to keep.
            Fate::Dead(refusal) if !entry.fields.is_empty() => Some((entry, refusal)),
            Fate::Dead(_) | Fate::Taken(_) | Fate::Late => None,
        });
        dead.map(|(entry, refusal)| {
            let text = envelope(entry).map_or_else(|| as_json(entry), <[u8]>::to_vec);
            // An emptied stream may give an id again.
            let digest = hex::encode(&Sha256::digest(&text)[..8]);
            self.reading.flows.letter(Source::Stream, Some(format!("{}/{digest}", entry.id)), &text, refusal)
        })
        .collect()
    }

    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }
}

/// By how much Redis's clock may be behind that of whoever restored the database.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);

/// Whether an entry was left before that moment, as far as the clock of Redis in its id tells.
fn is_older(id: &str, at: Time) -> bool {
    let left_at = id.split_once('-').and_then(|(millis, _)| millis.parse::<i64>().ok());
    left_at.is_none_or(|left_at| left_at < (at + CLOCKS_DIFFER).timestamp_millis())
}

/// What stands in the one field that an entry has.
fn envelope(entry: &Entry) -> Option<&[u8]> {
    match &entry.fields[..] {
        [(name, text)] if name == dunlin_jobs::STREAM_FIELD.as_bytes() => Some(text),
        _ => None,
    }
}

fn no_envelope() -> Refusal {
    let reason = format!("the entry has to have one field, `{}`", dunlin_jobs::STREAM_FIELD);
    Refusal { code: "invalid_entry", field: None, reason }
}

/// The fields of an entry that is no envelope, as they came.
fn as_json(entry: &Entry) -> Vec<u8> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let pairs = entry.fields.iter().map(|(name, value)| Value::from(vec![text(name), text(value)]));
    pairs.collect::<Value>().to_string().into_bytes()
}

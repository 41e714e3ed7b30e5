//! Intake: the readers of what producers leave without HTTP. What is taken or dead is acknowledged after its commit;
//! what is only late stays where it is.

mod stream;
mod table;

use crate::{flow::Flows, store::StoreError};
use serde::Deserialize;
use std::time::Duration;
use tokio::{sync::watch, task::JoinHandle};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Whether this process reads it.
    pub enabled: bool,
    /// How many envelopes are taken at a time.
    pub batch: u16,
    /// After this long an envelope of the stream goes to another reader.
    pub redeliver_after_s: u64,
}

impl Settings {
    /// What is wrong with them, if anything is.
    pub fn mistake(&self) -> Option<&'static str> {
        if self.batch == 0 {
            return Some("intake.batch must be more than 0; to read nothing, set intake.enabled = false");
        }
        (self.redeliver_after_s == 0).then_some(
            "intake.redeliver_after_s must be more than 0: a reader needs time for what it has taken",
        )
    }
}

/// What each reader works with.
#[derive(Debug, Clone)]
pub struct Reading {
    pub flows: Flows,
    pub settings: Settings,
    /// The largest envelope that is taken.
    pub max_bytes: usize,
    /// How often the table is looked at.
    pub poll: Duration,
}

/// The running readers of this process.
#[derive(Debug)]
pub struct Readers {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// How long a reader waits after something went wrong.
const AFTER_ERROR: Duration = Duration::from_secs(1);
/// How long a stop waits for the batch in hand. One that is given up is delivered again.
const DRAIN: Duration = Duration::from_secs(20);

impl Readers {
    /// Starts them, where this process is to read.
    pub fn start(reading: Reading) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = Vec::new();
        if reading.settings.enabled {
            if let Some(line) = &reading.flows.redis {
                let stream = line.stream(dunlin_jobs::STREAM_NAME);
                tasks.push(tokio::spawn(stream::Reader::new(reading.clone(), stream, stopped.clone()).run()));
            }
            tasks.push(tokio::spawn(table::Reader::new(reading, stopped).run()));
        }
        Self { stop, tasks }
    }

    /// Reads no more, and finishes what is in hand.
    pub async fn drain(self) {
        self.stop.send_replace(true);
        for mut task in self.tasks {
            if tokio::time::timeout(DRAIN, &mut task).await.is_err() {
                tracing::warn!("envelopes in hand took too long; they are delivered again");
                task.abort();
            }
        }
    }
}

/// Reads what lies in the table, once from its beginning to its end; for tests that hold the clock.
pub async fn read_table(reading: &Reading) -> Result<(), StoreError> {
    let mut after = 0;
    loop {
        let look = table::look(reading, after).await?;
        if look.found < usize::from(reading.settings.batch) {
            return Ok(());
        }
        after = look.last;
    }
}

/// Waits, unless the stop is rung.
async fn pause(stop: &mut watch::Receiver<bool>, time: Duration) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        _ = stop.wait_for(|stopped| *stopped) => {}
    }
}

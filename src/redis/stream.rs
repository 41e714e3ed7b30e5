//! The intake stream: where producers leave envelopes for whichever reader comes first (S5.11).
//!
//! All readers are one consumer of one group. Redis keeps for each entry when it was delivered, so whoever reads knows
//! what a dead reader has left behind, and no names of dead processes pile up.

use super::{Line, describe};
use ::redis::{
    AsyncCommands, AsyncConnectionConfig, Cmd, FromRedisValue, RedisError, Value, aio::MultiplexedConnection,
    cmd, pipe,
};
use std::time::Duration;

const GROUP: &str = "dunlin";
const CONSUMER: &str = "reader";
/// Before the first entry, and behind the last one of a walk through what was delivered.
const START: &str = "0-0";
/// How long a read waits for something new; a stop waits as long for a read.
const BLOCK: Duration = Duration::from_secs(1);

/// A reader's own connection, since one that waits answers nobody else.
#[derive(Debug)]
pub struct Stream {
    line: Line,
    key: String,
    connection: Option<MultiplexedConnection>,
    /// How far the walk through what was delivered has come.
    cursor: String,
}

/// One entry, with its fields as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: String,
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Redis did not do what it was asked, and why.
#[derive(Debug, thiserror::Error)]
#[error("the stream cannot be read: {0}")]
pub struct StreamError(String);

impl Line {
    /// The stream of that name.
    pub fn stream(&self, name: &str) -> Stream {
        Stream { line: self.clone(), key: self.name(name), connection: None, cursor: START.to_owned() }
    }
}

impl Stream {
    /// Whether it may be read: it is there, and not another dunlin's.
    pub fn is_ours(&self) -> bool {
        self.line.is_up()
    }

    /// What nobody has read yet; after a while of nothing, nothing.
    pub async fn read(&mut self, count: u16) -> Result<Vec<Entry>, StreamError> {
        let mut command = cmd("XREADGROUP");
        command.arg("GROUP").arg(GROUP).arg(CONSUMER).arg("COUNT").arg(count);
        command.arg("BLOCK").arg(millis(BLOCK)).arg("STREAMS").arg(&self.key).arg(">");
        let Some(answer) = self.ask(&command).await? else { return Ok(Vec::new()) };
        // One stream was asked for, so there is one or none.
        let streams = items(answer);
        let read = streams.into_iter().flat_map(|stream| items(stream).into_iter().skip(1)).flat_map(entries);
        self.only_ours(read.collect()).await
    }

    /// What was delivered at least so long ago and not acknowledged; the walk goes on with the next call.
    pub async fn claim(&mut self, idle: Duration, count: u16) -> Result<Vec<Entry>, StreamError> {
        let mut command = cmd("XAUTOCLAIM");
        command.arg(&self.key).arg(GROUP).arg(CONSUMER).arg(millis(idle)).arg(&self.cursor);
        command.arg("COUNT").arg(count);
        let answer = self.ask(&command).await?;
        let mut parts = answer.map(items).unwrap_or_default().into_iter();
        self.cursor = parts.next().and_then(text).unwrap_or_else(|| START.to_owned());
        let claimed = parts.next().map(entries).unwrap_or_default();
        self.only_ours(claimed).await
    }

    /// Leaves to their reader what was read while the prefix became another dunlin's: it is delivered there once more.
    async fn only_ours(&mut self, read: Vec<Entry>) -> Result<Vec<Entry>, StreamError> {
        if read.is_empty() {
            return Ok(read);
        }
        let mut connection = self.connect().await?;
        let holder: Result<Option<String>, RedisError> = connection.get(self.line.owner_key()).await;
        let holder = holder.map_err(|error| self.broken(&error))?;
        let is_ours = holder.is_none_or(|holder| *holder == *self.line.identity);
        Ok(if is_ours { read } else { Vec::new() })
    }

    /// Whether the walk through what was delivered has come to its end.
    pub fn is_through(&self) -> bool {
        self.cursor == START
    }

    /// Acknowledges entries and removes them, so that the stream does not grow.
    pub async fn remove(&mut self, ids: &[String]) -> Result<(), StreamError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut both = pipe();
        both.atomic().cmd("XACK").arg(&self.key).arg(GROUP).arg(ids).ignore();
        both.cmd("XDEL").arg(&self.key).arg(ids).ignore();
        let mut connection = self.connect().await?;
        let removed: Result<(), RedisError> = both.query_async(&mut connection).await;
        removed.map_err(|error| self.broken(&error))
    }

    /// Asks the group, and makes it where it is gone, as after a FLUSHALL: then the answer is nothing.
    async fn ask(&mut self, command: &Cmd) -> Result<Option<Value>, StreamError> {
        let mut connection = self.connect().await?;
        match command.query_async(&mut connection).await {
            Ok(Value::Nil) => Ok(None),
            Ok(value) => Ok(Some(value)),
            Err(error) if matches!(error.code(), Some("NOGROUP" | "UNBLOCKED")) => {
                self.make_group(&mut connection).await?;
                Ok(None)
            }
            Err(error) => Err(self.broken(&error)),
        }
    }

    /// From the first entry that is there: what was read is gone, so whatever is there was not.
    async fn make_group(&mut self, connection: &mut MultiplexedConnection) -> Result<(), StreamError> {
        let mut command = cmd("XGROUP");
        command.arg("CREATE").arg(&self.key).arg(GROUP).arg(START).arg("MKSTREAM");
        START.clone_into(&mut self.cursor);
        match command.exec_async(connection).await {
            // Another reader was faster.
            Err(error) if error.code() != Some("BUSYGROUP") => Err(self.broken(&error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn connect(&mut self) -> Result<MultiplexedConnection, StreamError> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.line.timeout))
            .set_response_timeout(Some(BLOCK + self.line.timeout));
        let connection = self.line.client.get_multiplexed_async_connection_with_config(&config).await;
        let connection = connection.map_err(|error| StreamError(describe(&error)))?;
        self.connection = Some(connection.clone());
        Ok(connection)
    }

    /// A connection that failed once is not used again.
    fn broken(&mut self, error: &RedisError) -> StreamError {
        self.connection = None;
        StreamError(describe(error))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn items(value: Value) -> Vec<Value> {
    if let Value::Array(items) = value {
        items
    } else if let Value::Map(pairs) = value {
        // In the newer protocol, streams by their names.
        pairs.into_iter().map(|(name, value)| Value::Array(vec![name, value])).collect()
    } else {
        Vec::new()
    }
}

fn text(value: Value) -> Option<String> {
    String::from_redis_value(value).ok()
}

/// Entries as a reply has them. One that was removed meanwhile has no fields, and is acknowledged with the others.
fn entries(value: Value) -> Vec<Entry> {
    let entry = |value| {
        let mut parts = items(value).into_iter();
        let id = text(parts.next()?)?;
        let words = parts.next().map(items).unwrap_or_default();
        let words: Vec<_> =
            words.into_iter().filter_map(|word| Vec::<u8>::from_redis_value(word).ok()).collect();
        let fields = words.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        Some(Entry { id, fields })
    };
    items(value).into_iter().filter_map(entry).collect()
}

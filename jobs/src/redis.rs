//! Leaving envelopes in a Redis stream. What Redis loses before it is read is lost: whoever cannot bear that uses the
//! table of feature `postgres`, or keeps the envelope until the payment shows.

use crate::{Envelope, STREAM_FIELD, STREAM_NAME};
use redis::{Cmd, Pipeline, RedisError, aio::ConnectionLike};

/// Leaves envelopes in the stream of one dunlin, over a connection of yours.
///
/// An answer that did not come says nothing: send the same envelope again under its id, and it is carried out once.
#[derive(Debug, Clone)]
pub struct Producer<C> {
    connection: C,
    stream: String,
}

/// The prefix of a dunlin that was given no other (`redis.prefix`).
const PREFIX: &str = "dunlin";

impl<C: ConnectionLike> Producer<C> {
    /// A producer for the stream `dunlin:intake`.
    pub fn new(connection: C) -> Self {
        Self::with_prefix(connection, PREFIX)
    }

    /// A producer for a dunlin whose `redis.prefix` is another.
    pub fn with_prefix(connection: C, prefix: &str) -> Self {
        Self { connection, stream: format!("{prefix}:{STREAM_NAME}") }
    }

    /// Leaves an envelope.
    ///
    /// # Errors
    /// What Redis says, or that it does not answer.
    pub async fn enqueue(&mut self, envelope: &Envelope) -> Result<(), RedisError> {
        let _entry: String = self.add(envelope).query_async(&mut self.connection).await?;
        Ok(())
    }

    /// Leaves many envelopes in one exchange with Redis, in their order.
    ///
    /// # Errors
    /// What Redis says, or that it does not answer. Some of them may have arrived: send all of them again.
    pub async fn enqueue_all(&mut self, envelopes: &[Envelope]) -> Result<(), RedisError> {
        if envelopes.is_empty() {
            return Ok(());
        }
        let mut pipeline = Pipeline::with_capacity(envelopes.len());
        for envelope in envelopes {
            pipeline.add_command(self.add(envelope)).ignore();
        }
        pipeline.query_async(&mut self.connection).await
    }

    fn add(&self, envelope: &Envelope) -> Cmd {
        let mut command = redis::cmd("XADD");
        command.arg(&self.stream).arg("*").arg(STREAM_FIELD).arg(envelope.to_json());
        command
    }
}

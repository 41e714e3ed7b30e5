//! Redis, by which many replicas act as one: the line to it, kept up for as long as the process lives. Its loss costs
//! speed and nothing else (S5.1), so whoever asks while it is away is told so at once.

mod owner;
mod pace;
mod stream;
mod wake;

pub use pace::Turn;
pub use stream::{Entry, Stream, StreamError};
pub use wake::Bell;

use ::redis::{
    AsyncConnectionConfig, Client, ErrorKind, RedisError,
    aio::{MultiplexedConnection, PubSub},
};
use owner::Owner;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::watch;

/// How long a process waits between its tries to reach Redis.
const TRY_AGAIN: Duration = Duration::from_millis(500);
/// How often it is looked whether a prefix is another's still.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Empty: there is none.
    pub url: SecretString,
    /// What every key, channel and stream begins with.
    pub prefix: String,
    /// How long connecting and each command may take.
    pub timeout_ms: u64,
}

impl Settings {
    /// Whether there is to be a Redis.
    pub fn is_set(&self) -> bool {
        !self.url.expose_secret().is_empty()
    }

    /// What is wrong with them, if anything is.
    pub fn mistake(&self) -> Option<String> {
        if !self.is_set() {
            return None;
        }
        if self.prefix.is_empty() || self.prefix.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Some("redis.prefix must be a word, such as \"dunlin\"".to_owned());
        }
        if self.timeout_ms == 0 {
            return Some("redis.timeout_ms must be more than 0".to_owned());
        }
        // The rest of the URL may hold a password.
        Client::open(self.url.expose_secret()).err().map(|_| {
            "redis.url must be like redis://USER:PASSWORD@HOST:PORT/NUMBER, or rediss:// for TLS".to_owned()
        })
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// Redis did not do what it was asked: it is away, or too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Redis is away")]
pub struct Away;

/// The line to Redis, for everybody in the process.
#[derive(Clone)]
pub struct Line {
    client: Client,
    prefix: Arc<str>,
    timeout: Duration,
    /// Which database uses it.
    identity: Arc<str>,
    standing: watch::Receiver<Standing>,
}

/// How it stands with Redis.
#[derive(Clone)]
enum Standing {
    Away,
    /// It is there, and what has our prefix is another dunlin's.
    Foreign,
    Up(MultiplexedConnection),
}

impl Line {
    /// Begins to reach it for a database, and keeps reaching it for as long as the process lives.
    pub fn open(settings: &Settings, identity: &str) -> Result<(Self, Arc<Bell>), RedisError> {
        let client = Client::open(settings.url.expose_secret())?;
        let (told, standing) = watch::channel(Standing::Away);
        let (prefix, identity) = (settings.prefix.as_str().into(), Arc::from(identity));
        let line = Self {
            client: client.clone(),
            prefix,
            timeout: settings.timeout(),
            identity: Arc::clone(&identity),
            standing,
        };
        let owner = Owner::new(line.owner_key(), identity);
        let bell = Arc::new(Bell::new(&line));
        let operator =
            Operator { client, standing: told, owner, bell: Arc::clone(&bell), line: line.clone() };
        tokio::spawn(operator.run());
        Ok((line, bell))
    }

    /// Whether it can be asked.
    pub fn is_up(&self) -> bool {
        matches!(*self.standing.borrow(), Standing::Up(_))
    }

    /// Under which prefix it is another dunlin's, if it is.
    pub fn foreign_prefix(&self) -> Option<Arc<str>> {
        matches!(*self.standing.borrow(), Standing::Foreign).then(|| Arc::clone(&self.prefix))
    }

    /// Where it says whose the prefix is.
    fn owner_key(&self) -> String {
        self.name("owner")
    }

    /// A key's, channel's or stream's whole name.
    fn name(&self, of: &str) -> String {
        format!("{}:{of}", self.prefix)
    }

    /// Asks something within the time that a command may take.
    async fn ask<T>(
        &self,
        command: impl AsyncFnOnce(MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, Away> {
        let Standing::Up(connection) = self.standing.borrow().clone() else { return Err(Away) };
        let answer = tokio::time::timeout(self.timeout, command(connection)).await.map_err(|_| Away)?;
        answer.map_err(|error| {
            tracing::debug!(error = describe(&error), "Redis refused a command");
            Away
        })
    }
}

/// Redis under a prefix is another dunlin's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "what has the prefix {0:?} in Redis is another database's: its stream is not read here, replicas poll and count calls to \
     gateways each for itself; set another redis.prefix for one of the two, or, where the other one is gone for good, \
     delete the key {0}:owner there"
)]
pub struct Foreign(pub Arc<str>);

/// Who keeps the line up.
struct Operator {
    client: Client,
    standing: watch::Sender<Standing>,
    owner: Owner,
    bell: Arc<Bell>,
    line: Line,
}

impl Operator {
    async fn run(mut self) {
        let mut complained = None;
        loop {
            let lost = match self.connect().await {
                Ok(connection) => self.keep(connection, &mut complained).await,
                Err(error) => Some(describe(&error)),
            };
            self.standing.send_replace(Standing::Away);
            // Once for each outage and each reason, however long it lasts.
            if let Some(lost) = lost
                && complained.as_ref() != Some(&lost)
            {
                tracing::warn!(
                    reason = lost,
                    "Redis is away ({lost}): nothing is lost, replicas poll and count calls to gateways each for itself"
                );
                complained = Some(lost);
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    /// Keeps it while it lasts, and says why it does not; nothing where another dunlin has taken the prefix.
    async fn keep(
        &mut self,
        mut connection: MultiplexedConnection,
        complained: &mut Option<String>,
    ) -> Option<String> {
        let owned = self.wait_until_ours(&mut connection).await;
        let mailbox = match owned {
            Ok(()) => self.subscribe().await,
            Err(error) => Err(error),
        };
        let mailbox = match mailbox {
            Ok(mailbox) => mailbox,
            Err(error) => return Some(describe(&error)),
        };
        if complained.take().is_some() {
            tracing::info!("Redis is back: replicas wake one another again");
        }
        self.standing.send_replace(Standing::Up(connection.clone()));
        self.bell.listen(connection, mailbox, &mut self.owner).await
    }

    async fn wait_until_ours(&mut self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        let mut is_told = false;
        while !self.owner.claim(connection).await? {
            self.standing.send_replace(Standing::Foreign);
            if !is_told {
                is_told = true;
                tracing::error!("{}", Foreign(Arc::clone(&self.line.prefix)));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        if is_told {
            tracing::info!("the prefix {:?} in Redis is ours now", self.line.prefix);
        }
        Ok(())
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.line.timeout))
            .set_response_timeout(Some(self.line.timeout));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    async fn subscribe(&self) -> Result<PubSub, RedisError> {
        let mailbox = async {
            let mut mailbox = self.client.get_async_pubsub().await?;
            mailbox.subscribe(self.bell.channel()).await?;
            Ok::<_, RedisError>(mailbox)
        };
        let late = |_| RedisError::from((ErrorKind::Io, "it did not answer in time"));
        tokio::time::timeout(self.line.timeout, mailbox).await.map_err(late)?
    }
}

/// What is wrong and what to do about it; never the URL, which may hold a password.
fn describe(error: &RedisError) -> String {
    match error.code() {
        _ if error.kind() == ErrorKind::AuthenticationFailed => {
            "it refuses the user or the password: check redis.url".to_owned()
        }
        Some("WRONGPASS" | "NOAUTH" | "NOPERM") => {
            "it refuses the user or the password: check redis.url".to_owned()
        }
        _ if error.is_connection_refusal() => {
            "nothing answers there: check whether it runs, and redis.url".to_owned()
        }
        _ if error.is_timeout() => "it does not answer in time".to_owned(),
        _ if error.is_connection_dropped() => "the connection was lost".to_owned(),
        _ => error.category().to_owned(),
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("prefix", &self.prefix)
            .field("is_up", &self.is_up())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Settings {
        Settings { url: url.to_owned().into(), prefix: "dunlin".to_owned(), timeout_ms: 500 }
    }

    #[test]
    fn a_wrong_url_is_told_without_its_password() {
        let mistake = settings("http://user:secret@host").mistake().unwrap();

        assert!(mistake.contains("redis.url") && !mistake.contains("secret"), "{mistake}");
        assert_eq!(settings("rediss://user:secret@host:6380/2").mistake(), None);
        assert_eq!(settings("").mistake(), None);
    }

    #[test]
    fn a_prefix_is_a_word() {
        let settings = Settings { prefix: "two words".to_owned(), ..settings("redis://127.0.0.1") };

        assert!(settings.mistake().unwrap().contains("redis.prefix"));
    }
}

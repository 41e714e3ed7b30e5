//! Waking: a commit that leaves new jobs rings in every replica, so that an idle worker need not wait for its poll. A
//! ring that is lost costs at most the poll (S5.3).

use super::{Line, owner::Owner};
use ::redis::{
    AsyncCommands, Msg,
    aio::{MultiplexedConnection, PubSub},
};
use futures_util::StreamExt;
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

/// How often a process says something on the channel itself; who hears nothing for as long has lost the line without
/// hearing of it.
const BEAT: Duration = Duration::from_secs(1);
/// What it says then, which means nothing.
const ALIVE: &str = "alive";

/// Rings in all other processes on the same Redis, and hears them ring.
#[derive(Debug)]
pub struct Bell {
    line: Line,
    /// By which a process knows its own rings.
    name: String,
    heard: Arc<Notify>,
}

impl Bell {
    pub(super) fn new(line: &Line) -> Self {
        Self { line: line.clone(), name: hex::encode(rand::random::<[u8; 8]>()), heard: Arc::default() }
    }

    pub(super) fn channel(&self) -> String {
        self.line.name("wake")
    }

    /// Rings here when another process has rung.
    pub fn heard(&self) -> Arc<Notify> {
        Arc::clone(&self.heard)
    }

    /// Passes every ring of this process on to the others, for ever. Those that fall into a call share the next.
    pub async fn pass_on(&self, rung: Arc<Notify>) {
        let mut next = Box::pin(rung.notified());
        loop {
            next.as_mut().await;
            next.set(rung.notified());
            next.as_mut().enable();
            let (channel, name) = (self.channel(), self.name.as_str());
            // What is lost here costs the others one poll.
            let _ = self.line.ask(async |mut line| line.publish::<_, _, ()>(channel, name).await).await;
        }
    }

    /// Hears the others until the line is lost, and says why it was; nothing where another dunlin has taken the prefix.
    pub(super) async fn listen(
        &self,
        mut connection: MultiplexedConnection,
        mailbox: PubSub,
        owner: &mut Owner,
    ) -> Option<String> {
        // Whatever rang while nobody heard.
        self.heard.notify_waiters();
        let mut messages = mailbox.into_on_message();
        let mut beat = tokio::time::interval(BEAT);
        let mut silent = 0;
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => {
                        silent = 0;
                        self.hear(&message);
                    }
                    None => return Some("the connection was lost".to_owned()),
                },
                _ = beat.tick() => {
                    silent += 1;
                    if silent > 2 {
                        return Some("nothing is heard from it any more".to_owned());
                    }
                    let said = connection.publish::<_, _, ()>(self.channel(), ALIVE).await;
                    let is_ours = match said {
                        Ok(()) => owner.claim(&mut connection).await,
                        Err(error) => Err(error),
                    };
                    match is_ours {
                        Ok(true) => {}
                        Ok(false) => return None,
                        Err(error) => return Some(super::describe(&error)),
                    }
                }
            }
        }
    }

    fn hear(&self, message: &Msg) {
        let said = message.get_payload_bytes();
        if said != ALIVE.as_bytes() && said != self.name.as_bytes() {
            self.heard.notify_waiters();
        }
    }
}

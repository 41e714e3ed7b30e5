//! A message is what passes between a caller and the bank: a request in, a reply or a cut line out.

use serde::Serialize;
use std::time::Duration;

/// What a caller asks, taken apart as far as HTTP goes.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        match serde_json::to_vec(body) {
            Ok(body) => Self { status, headers, body },
            Err(_) => Self { status: 500, headers, body: b"{}".to_vec() },
        }
    }

    /// A reply whose JSON is written already.
    pub(crate) fn text(status: u16, body: Vec<u8>) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// How an exchange ends for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Reply(Reply),
    /// Everything is done already; only the answer takes its time.
    Late(Reply, Duration),
    /// A byte of the body at a time, with a pause before each.
    Drip(Reply, Duration),
    /// The connection ends in the middle of the body.
    Torn(Reply),
    /// The connection is closed, no answer is given.
    Cut,
    /// The connection is reset, no answer is given.
    Reset,
    /// The server takes no connections for a while; without a reply this one is reset.
    Closed(Option<Reply>, Closing),
}

/// How a server refuses connections, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    pub manner: Manner,
    pub pause: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It does not listen.
    Deaf,
    /// It accepts a connection and resets it at once.
    Resetting,
}

impl Outcome {
    /// The whole answer, if one arrives in the end; else the line was cut.
    pub fn into_reply(self) -> Option<Reply> {
        match self {
            Self::Reply(reply) | Self::Late(reply, _) | Self::Drip(reply, _) => Some(reply),
            Self::Closed(reply, _) => reply,
            Self::Torn(_) | Self::Cut | Self::Reset => None,
        }
    }

    pub(crate) fn map(self, change: impl FnOnce(Reply) -> Reply) -> Self {
        match self {
            Self::Reply(reply) => Self::Reply(change(reply)),
            Self::Late(reply, delay) => Self::Late(change(reply), delay),
            Self::Drip(reply, pause) => Self::Drip(change(reply), pause),
            Self::Torn(reply) => Self::Torn(change(reply)),
            Self::Closed(reply, closing) => Self::Closed(reply.map(change), closing),
            Self::Cut => Self::Cut,
            Self::Reset => Self::Reset,
        }
    }
}

//! A pace is how the body of an answer goes out: at once, by drops, or only in part.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{self, Sleep};

#[derive(Debug)]
pub(crate) struct Pace {
    steps: VecDeque<Step>,
    /// Bytes promised and not yet given.
    left: u64,
    pause: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
enum Step {
    Wait(Duration),
    Give(Bytes),
    Tear,
}

/// Long enough for what was given to be on its way.
const BEFORE_TEARING: Duration = Duration::from_millis(20);

impl Pace {
    pub(crate) fn whole(body: Vec<u8>) -> Self {
        let body = Bytes::from(body);
        Self::new(body.len(), [Step::Give(body)])
    }

    /// A byte at a time, with a pause before each.
    pub(crate) fn drip(body: Vec<u8>, pause: Duration) -> Self {
        let body = Bytes::from(body);
        let drops = (0..body.len()).flat_map(|at| [Step::Wait(pause), Step::Give(body.slice(at..=at))]);
        Self::new(body.len(), drops)
    }

    /// The first half, and then the end of the line.
    pub(crate) fn torn(body: Vec<u8>) -> Self {
        let length = body.len();
        let half = Bytes::from(body).slice(..length / 2);
        Self::new(length, [Step::Give(half), Step::Wait(BEFORE_TEARING), Step::Tear])
    }

    fn new(length: usize, steps: impl IntoIterator<Item = Step>) -> Self {
        let left = u64::try_from(length).unwrap_or(u64::MAX);
        Self { steps: steps.into_iter().collect(), left, pause: None }
    }
}

impl Body for Pace {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        loop {
            if let Some(pause) = &mut this.pause {
                ready!(pause.as_mut().poll(context));
                this.pause = None;
            }
            match this.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Wait(pause)) => this.pause = Some(Box::pin(time::sleep(pause))),
                Some(Step::Give(bytes)) => {
                    let given = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                    this.left = this.left.saturating_sub(given);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Step::Tear) => {
                    return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::ConnectionAborted))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.pause.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

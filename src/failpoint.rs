//! Failpoints: named places where a test stops the program, to kill it there or to choose who goes next.
//!
//! They are compiled in, switched on by configuration, and refused in live mode.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::sync::{mpsc, oneshot};

macro_rules! points {
    ($($name:ident $text:literal,)*) => {
        /// A place on a payment's path, in the order in which a payment meets them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Point { $($name,)* }

        impl Point {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|point| point.name() == name)
            }
        }
    };
}

points! {
    Asked "commit.asked",
    BatchTaken "commit.taken",
    BatchWritten "commit.written",
    BatchCommitted "commit.committed",
    Accepted "http.accepted",
    Claimed "job.claimed",
    BeforeIntent "charge.before_intent",
    BeforeSend "charge.before_send",
    AfterSend "charge.after_send",
    Answered "charge.answered",
    AfterCharge "charge.committed",
    BeforeAsk "reconcile.before_ask",
    AfterAsk "reconcile.after_ask",
}

impl Point {
    /// Whether it is the committer that stands there, rather than who asked it.
    pub fn is_the_committers(self) -> bool {
        matches!(self, Self::BatchTaken | Self::BatchWritten | Self::BatchCommitted)
    }
}

/// What is to happen at the points. The default is nothing.
#[derive(Clone, Default)]
pub struct Failpoints(Mode);

#[derive(Clone, Default)]
enum Mode {
    #[default]
    Off,
    /// Say so on standard error at the nth visit, and stay there until the process is killed.
    Hold { point: Point, visits_left: Arc<AtomicU32> },
    /// Ask a scheduler before each step.
    Ask(mpsc::UnboundedSender<Visit>),
}

/// Someone stands at a point and waits; dropping `go` leaves them there for ever.
#[derive(Debug)]
pub struct Visit {
    pub point: Point,
    /// The task that stands there.
    pub task: Option<tokio::task::Id>,
    pub go: oneshot::Sender<CommitFault>,
}

/// What becomes of a COMMIT, where a scheduler has a say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CommitFault {
    #[default]
    None,
    /// It takes effect and its answer is lost.
    LostAfter,
    /// It does not take effect, and that is not told either.
    LostBefore,
}

impl Failpoints {
    pub fn hold(point: Point, nth: u32) -> Self {
        Self(Mode::Hold { point, visits_left: Arc::new(AtomicU32::new(nth)) })
    }

    pub fn ask(scheduler: mpsc::UnboundedSender<Visit>) -> Self {
        Self(Mode::Ask(scheduler))
    }

    /// Passes a point; in production this is one comparison.
    pub async fn at(&self, point: Point) -> CommitFault {
        match &self.0 {
            Mode::Off => CommitFault::None,
            Mode::Hold { point: wanted, visits_left } => {
                if point == *wanted && visits_left.fetch_sub(1, Ordering::SeqCst) == 1 {
                    announce(point);
                    std::future::pending::<()>().await;
                }
                CommitFault::None
            }
            Mode::Ask(scheduler) => {
                let (go, gone) = oneshot::channel();
                let task = tokio::task::try_id();
                if scheduler.send(Visit { point, task, go }).is_err() {
                    std::future::pending::<()>().await;
                }
                match gone.await {
                    Ok(fault) => fault,
                    Err(_) => std::future::pending().await,
                }
            }
        }
    }
}

#[expect(clippy::print_stderr, reason = "the test that kills this process waits for the line")]
fn announce(point: Point) {
    eprintln!("failpoint {} reached", point.name());
}

impl fmt::Debug for Failpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Mode::Off => "off",
            Mode::Hold { .. } => "hold",
            Mode::Ask(_) => "ask",
        })
    }
}

//! Failpoints: named places where a test stops the program, breaks what happens there, or chooses who goes next.
//!
//! They are compiled in, switched on by configuration, and refused in live mode.

use serde::Deserialize;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
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
    Migrating "start.migrating",
    Migrated "start.migrated",
    Planted "start.planted",
    Received "http.received",
    Asked "commit.asked",
    BatchTaken "commit.taken",
    BatchBegun "commit.begun",
    Keyed "commit.keyed",
    Locked "commit.locked",
    HalfWritten "commit.half_written",
    BatchWritten "commit.written",
    BatchCommitted "commit.committed",
    Rung "commit.rung",
    Accepted "http.accepted",
    Claimed "job.claimed",
    Begun "job.begun",
    Looked "charge.looked",
    Rescuing "charge.rescuing",
    BeforeIntent "charge.before_intent",
    BeforeSend "charge.before_send",
    Calling "call.begun",
    UnderWay "call.under_way",
    Headed "call.headers_read",
    Read "call.body_read",
    AfterSend "charge.after_send",
    Answered "charge.answered",
    AfterCharge "charge.committed",
    Renewing "lease.renewing",
    DoubtLooked "reconcile.looked",
    Resending "reconcile.resending",
    BeforeAsk "reconcile.before_ask",
    AfterAsk "reconcile.after_ask",
    Concluding "reconcile.concluding",
    Concluded "reconcile.concluded",
    RefundLooked "refund.looked",
    RefundSending "refund.before_send",
    RefundAnswered "refund.answered",
    RefundDoubted "refund.in_doubt",
    Told "told.received",
    ToldKept "told.kept",
    ToldLooked "told.looked",
    SweepBegun "sweep.begun",
    SweepListed "sweep.listed",
    SweepEnding "sweep.ending",
    Stopping "stop.begun",
    Releasing "stop.releasing",
    Stopped "stop.done",
}

impl Point {
    /// Whether it is the committer that stands there, rather than who asked it.
    pub fn is_the_committers(self) -> bool {
        matches!(self, Self::BatchTaken | Self::BatchWritten | Self::BatchCommitted)
    }

    /// Whether a scheduler is asked there: the steps between which others may come.
    fn is_a_step(self) -> bool {
        self.is_the_committers()
            || matches!(
                self,
                Self::Asked
                    | Self::Accepted
                    | Self::Claimed
                    | Self::BeforeIntent
                    | Self::BeforeSend
                    | Self::AfterSend
                    | Self::Answered
                    | Self::AfterCharge
                    | Self::BeforeAsk
                    | Self::AfterAsk
            )
    }
}

/// What is done at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Stay there until the process is killed.
    Hold,
    /// Stay there for a while, then go on.
    Stall,
    Panic,
    /// What is to happen there fails, and has no effect.
    Fail,
    /// It takes effect, and the answer is lost: of a COMMIT. Elsewhere it fails.
    Lose,
}

/// How long a stall lasts.
const STALL: Duration = Duration::from_millis(500);
/// After this long a call that has no answer yet is under way.
const UNDER_WAY: Duration = Duration::from_millis(5);

/// What is to happen at the points. The default is nothing.
#[derive(Clone, Default)]
pub struct Failpoints(Mode);

#[derive(Clone, Default)]
enum Mode {
    #[default]
    Off,
    /// Say so on standard error at the nth visit, and do the deed.
    Act { point: Point, deed: Deed, visits_left: Arc<AtomicU32> },
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

/// A failpoint made it fail.
#[derive(Debug, thiserror::Error)]
#[error("failpoint {} made it fail", .0.name())]
pub struct Broken(Point);

impl Failpoints {
    pub fn act(point: Point, nth: u32, deed: Deed) -> Self {
        Self(Mode::Act { point, deed, visits_left: Arc::new(AtomicU32::new(nth)) })
    }

    pub fn ask(scheduler: mpsc::UnboundedSender<Visit>) -> Self {
        Self(Mode::Ask(scheduler))
    }

    /// Passes a point where something may fail.
    pub async fn pass(&self, point: Point) -> Result<(), Broken> {
        match self.at(point).await {
            CommitFault::None => Ok(()),
            CommitFault::LostAfter | CommitFault::LostBefore => Err(Broken(point)),
        }
    }

    /// Passes a point; in production this is one comparison.
    pub async fn at(&self, point: Point) -> CommitFault {
        match &self.0 {
            Mode::Off => CommitFault::None,
            Mode::Act { point: wanted, deed, visits_left } => {
                if point == *wanted && visits_left.fetch_sub(1, Ordering::SeqCst) == 1 {
                    return deed.happen(point).await;
                }
                CommitFault::None
            }
            Mode::Ask(_) if !point.is_a_step() => CommitFault::None,
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

    /// Ends only where the failpoint breaks a call that is under way by then: to be awaited beside the call.
    pub async fn break_under_way(&self) -> Broken {
        if matches!(self.0, Mode::Act { point: Point::UnderWay, .. }) {
            tokio::time::sleep(UNDER_WAY).await;
            if let Err(broken) = self.pass(Point::UnderWay).await {
                return broken;
            }
        }
        std::future::pending().await
    }
}

impl Deed {
    async fn happen(self, point: Point) -> CommitFault {
        announce(point);
        match self {
            Self::Hold => std::future::pending().await,
            Self::Stall => {
                tokio::time::sleep(STALL).await;
                CommitFault::None
            }
            Self::Panic => panic!("failpoint {}", point.name()),
            Self::Fail => CommitFault::LostBefore,
            Self::Lose => CommitFault::LostAfter,
        }
    }
}

#[expect(clippy::print_stderr, reason = "the test that started this process waits for the line")]
fn announce(point: Point) {
    eprintln!("failpoint {} reached", point.name());
}

impl fmt::Debug for Failpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Mode::Off => f.write_str("off"),
            Mode::Act { point, deed, .. } => write!(f, "{deed:?} at {}", point.name()),
            Mode::Ask(_) => f.write_str("ask"),
        }
    }
}

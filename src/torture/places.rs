//! Places: where a process is hurt, when it comes there, and how it can be hurt there.

use crate::failpoint::{Deed, Point};

/// When a point is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// At a start over an empty database.
    Starting,
    Charging,
    /// While calls take long.
    Waiting,
    /// While lost answers are asked after.
    Doubting,
    /// After a process died with requests on the wire.
    Rescuing,
    /// While money goes back.
    Refunding,
    /// While the gateway tells of what it has done.
    Telling,
    Stopping,
}

pub(super) type Place = (Point, Moment, &'static [Deed]);

/// A failure at a place means that the process is killed there, panics there, or that what it does there fails.
pub(super) const ANY: &[Deed] = &[Deed::Hold, Deed::Panic, Deed::Fail];
const NOTHING_CAN_FAIL: &[Deed] = &[Deed::Hold, Deed::Panic];
const COMMIT: &[Deed] = &[Deed::Hold, Deed::Panic, Deed::Fail, Deed::Lose];

pub(super) const PLACES: &[Place] = &[
    (Point::Migrating, Moment::Starting, NOTHING_CAN_FAIL),
    (Point::Migrated, Moment::Starting, NOTHING_CAN_FAIL),
    (Point::Planted, Moment::Starting, ANY),
    (Point::SweepBegun, Moment::Starting, ANY),
    (Point::SweepListed, Moment::Starting, ANY),
    (Point::SweepEnding, Moment::Starting, ANY),
    (Point::Received, Moment::Charging, ANY),
    (Point::Asked, Moment::Charging, ANY),
    (Point::BatchTaken, Moment::Charging, NOTHING_CAN_FAIL),
    (Point::BatchBegun, Moment::Charging, ANY),
    (Point::Keyed, Moment::Charging, ANY),
    (Point::Locked, Moment::Charging, ANY),
    (Point::HalfWritten, Moment::Charging, ANY),
    (Point::BatchWritten, Moment::Charging, COMMIT),
    (Point::BatchCommitted, Moment::Charging, NOTHING_CAN_FAIL),
    (Point::Rung, Moment::Charging, NOTHING_CAN_FAIL),
    (Point::Accepted, Moment::Charging, ANY),
    (Point::Claimed, Moment::Charging, ANY),
    (Point::Begun, Moment::Charging, ANY),
    (Point::Looked, Moment::Charging, ANY),
    (Point::BeforeIntent, Moment::Charging, ANY),
    (Point::BeforeSend, Moment::Charging, ANY),
    (Point::Calling, Moment::Charging, ANY),
    (Point::UnderWay, Moment::Waiting, ANY),
    (Point::Headed, Moment::Charging, ANY),
    (Point::Read, Moment::Charging, ANY),
    (Point::AfterSend, Moment::Charging, ANY),
    (Point::Answered, Moment::Charging, ANY),
    (Point::AfterCharge, Moment::Charging, ANY),
    (Point::Renewing, Moment::Waiting, ANY),
    (Point::Rescuing, Moment::Rescuing, ANY),
    (Point::DoubtLooked, Moment::Doubting, ANY),
    (Point::Resending, Moment::Doubting, ANY),
    (Point::BeforeAsk, Moment::Doubting, ANY),
    (Point::AfterAsk, Moment::Doubting, ANY),
    (Point::Concluding, Moment::Doubting, ANY),
    (Point::Concluded, Moment::Doubting, ANY),
    (Point::RefundLooked, Moment::Refunding, ANY),
    (Point::RefundSending, Moment::Refunding, ANY),
    (Point::RefundAnswered, Moment::Refunding, ANY),
    (Point::RefundDoubted, Moment::Refunding, ANY),
    (Point::Told, Moment::Telling, ANY),
    (Point::ToldKept, Moment::Telling, ANY),
    (Point::ToldLooked, Moment::Telling, ANY),
    (Point::Stopping, Moment::Stopping, NOTHING_CAN_FAIL),
    (Point::Releasing, Moment::Stopping, NOTHING_CAN_FAIL),
    (Point::Stopped, Moment::Stopping, NOTHING_CAN_FAIL),
];

/// Where a process dies with a request on the wire, or as good as.
pub(super) const ON_THE_WIRE: [Point; 5] =
    [Point::BeforeSend, Point::Calling, Point::Headed, Point::Read, Point::Answered];

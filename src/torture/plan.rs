//! Plans: what a seed chooses for its cell. The same seed over the same databases makes the same plan.

use crate::failpoint::{Deed, Point};
use chrono::TimeDelta;

/// Everything that is decided about a cell before it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) seed: u64,
    /// Which of the databases.
    pub(super) database: usize,
    /// What befalls one process after the other; the last process is left alone.
    pub(super) blows: Vec<Blow>,
    pub(super) charges: Vec<Charge>,
    /// Whether the charges come in one request.
    pub(super) in_one_batch: bool,
}

/// What befalls a process: the deed at the nth visit of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blow {
    pub(super) point: Point,
    pub(super) deed: Deed,
    pub(super) nth: u32,
    pub(super) moment: Moment,
    /// How much test time passes before the next process is started.
    pub(super) downtime: TimeDelta,
}

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
    Stopping,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Charge {
    /// The caller's reference and key.
    pub(super) reference: String,
    pub(super) method: &'static str,
    pub(super) end: End,
}

/// What must come of a charge, sooner or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Captured,
    Refused,
}

/// A failure at a place means that the process is killed there, panics there, or that what it does there fails.
const ANY: &[Deed] = &[Deed::Hold, Deed::Panic, Deed::Fail];
const NOTHING_CAN_FAIL: &[Deed] = &[Deed::Hold, Deed::Panic];
const COMMIT: &[Deed] = &[Deed::Hold, Deed::Panic, Deed::Fail, Deed::Lose];

const PLACES: &[(Point, Moment, &[Deed])] = &[
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
    (Point::Stopping, Moment::Stopping, NOTHING_CAN_FAIL),
    (Point::Releasing, Moment::Stopping, NOTHING_CAN_FAIL),
    (Point::Stopped, Moment::Stopping, NOTHING_CAN_FAIL),
];

/// Where a process dies with a request on the wire, or as good as.
const ON_THE_WIRE: [Point; 5] =
    [Point::BeforeSend, Point::Calling, Point::Headed, Point::Read, Point::Answered];

const DOUBTFUL: [(&str, End); 4] = [
    ("pm_sandbox_lost_before", End::Captured),
    ("pm_sandbox_lost_after", End::Captured),
    ("pm_sandbox_error_before", End::Captured),
    ("pm_sandbox_error_after", End::Captured),
];

/// Answered before the call is given up, and after.
const SLOW: [(&str, End); 2] =
    [("pm_sandbox_slow_400", End::Captured), ("pm_sandbox_slow_700", End::Captured)];

const OTHERS: [(&str, End); 10] = [
    ("pm_card_visa", End::Captured),
    ("pm_card_visa", End::Captured),
    ("pm_card_visa", End::Captured),
    ("pm_card_mastercard", End::Captured),
    ("pm_sandbox_insufficient_funds_1", End::Captured),
    ("pm_sandbox_try_again_later_1", End::Captured),
    ("pm_sandbox_do_not_honor_1", End::Captured),
    ("pm_sandbox_lost_after_decline", End::Refused),
    ("pm_card_visa_chargeDeclinedStolenCard", End::Refused),
    ("pm_card_authenticationRequired", End::Refused),
];

/// For how long nobody may be there: longer than the gateway remembers a key, among others.
const DOWNTIMES: [TimeDelta; 6] = [
    TimeDelta::zero(),
    TimeDelta::zero(),
    TimeDelta::zero(),
    TimeDelta::hours(1),
    TimeDelta::hours(26),
    TimeDelta::days(4),
];

impl Plan {
    /// Seeds that follow each other go through all places and deeds, then through the databases; the rest of a
    /// plan is as the dice have it.
    pub(super) fn of(seed: u64, databases: usize) -> Self {
        let pairs: Vec<_> =
            PLACES.iter().flat_map(|place| place.2.iter().map(move |deed| (place, *deed))).collect();
        let index = usize::try_from(seed % 1_000_000_007).unwrap_or(0);
        let (place, deed) = pairs[index % pairs.len()];
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d);
        let charges = dice.charges(seed, place.1);
        let main = dice.blow(*place, deed, charges.len());
        let mut blows = vec![main];
        if main.moment == Moment::Rescuing {
            let point = dice.pick(&ON_THE_WIRE);
            blows.insert(0, dice.blow((point, Moment::Charging, ANY), Deed::Hold, charges.len()));
        } else if dice.throw(4) == 0 {
            let (place, deed) = dice.pick(&pairs);
            if place.1 == Moment::Charging {
                blows.push(dice.blow(*place, deed, charges.len()));
            }
        }
        let in_one_batch = dice.throw(4) == 0;
        Self { seed, database: index / pairs.len() % databases.max(1), blows, charges, in_one_batch }
    }

    /// Whether its first process must find an empty database.
    pub(super) fn begins_empty(&self) -> bool {
        self.blows.iter().any(|blow| blow.moment == Moment::Starting)
    }
}

/// `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let sides = u64::try_from(sides).unwrap_or(1).max(1);
        usize::try_from((z ^ (z >> 31)) % sides).unwrap_or(0)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.throw(from.len())]
    }

    /// Three to six, with what the moment needs among them.
    fn charges(&mut self, seed: u64, moment: Moment) -> Vec<Charge> {
        let count = 3 + self.throw(4);
        let needed = match moment {
            Moment::Doubting => &DOUBTFUL[..],
            Moment::Waiting | Moment::Stopping => &SLOW,
            Moment::Rescuing => &OTHERS[..1],
            Moment::Starting | Moment::Charging => &[],
        };
        let mut charges = Vec::with_capacity(count);
        for n in 0..count {
            let any = match self.throw(14) {
                0..=2 => &DOUBTFUL[..],
                3 => &SLOW,
                _ => &OTHERS,
            };
            let (method, end) = self.pick(if n < 2 && !needed.is_empty() { needed } else { any });
            charges.push(Charge { reference: format!("{seed}-{n}"), method, end });
        }
        charges
    }

    fn blow(&mut self, (point, moment, _): (Point, Moment, &[Deed]), deed: Deed, charges: usize) -> Blow {
        let most = match moment {
            Moment::Starting | Moment::Stopping | Moment::Rescuing => 1,
            Moment::Waiting | Moment::Doubting => 2,
            Moment::Charging => charges,
        };
        let nth = u32::try_from(1 + self.throw(most)).unwrap_or(1);
        Blow { point, deed, nth, moment, downtime: self.pick(&DOWNTIMES) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_repeats_its_plan() {
        assert_eq!(Plan::of(17, 2), Plan::of(17, 2));
        assert_ne!(Plan::of(17, 2).charges, Plan::of(18, 2).charges);
    }

    #[test]
    fn every_point_has_its_place() {
        let places: BTreeSet<_> = PLACES.iter().map(|place| place.0.name()).collect();
        let points: BTreeSet<_> = Point::ALL.iter().map(|point| point.name()).collect();

        assert_eq!(places, points);
        assert!(points.len() >= 30);
    }

    #[test]
    fn five_hundred_seeds_meet_every_place_with_every_deed_on_both_databases() {
        let met: BTreeSet<_> = (1..=500)
            .map(|seed| Plan::of(seed, 2))
            .flat_map(|plan| plan.blows.into_iter().map(move |blow| (plan.database, blow)))
            .map(|(database, blow)| (database, blow.point.name(), format!("{:?}", blow.deed)))
            .collect();

        let pairs: usize = PLACES.iter().map(|place| place.2.len()).sum();
        assert_eq!(met.len(), 2 * pairs);
    }
}

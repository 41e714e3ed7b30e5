//! Plans: what a seed chooses for its cell. The same seed over the same databases makes the same plan.

use super::{
    customer::Customer,
    menu::{DOUBTFUL, MISHAPS, OTHERS, PRESENT, RATES, REFUND_FAULTS, RETURNS, SLOW},
    office::{ELSEWHERE, Elsewhere},
    places::{ANY, Moment, ON_THE_WIRE, PLACES, Place},
};
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
    pub(super) trouble: Trouble,
    /// Whether the gateway tells of what it has done.
    pub(super) told: bool,
    /// What Redis goes through, where there is one.
    pub(super) loss: Loss,
}

/// How often Redis loses what it holds, all along the cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    None,
    /// It forgets everything, again and again.
    Flushed,
    /// It is stopped and started again, and is away in between.
    Restarted,
}

/// What goes wrong at the gateway, beside what its cards bring about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    /// The first requests for refunds go wrong: a fault, and how often.
    Refunds(Vec<(&'static str, usize)>),
    /// A share of all requests goes wrong in one of these ways.
    Chance {
        rate: &'static str,
        menu: &'static [&'static str],
    },
    /// Until the last process no charge is answered and no question either, so that people have to say what became
    /// of them.
    Silence,
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Charge {
    /// The caller's reference and key.
    pub(super) reference: String,
    pub(super) method: &'static str,
    pub(super) end: End,
    /// Who is there while they pay, and what they do.
    pub(super) customer: Option<Customer>,
    /// What is asked back once it is captured, one after the other.
    pub(super) returns: Vec<Return>,
    /// What others do with it at the gateway once it is captured.
    pub(super) elsewhere: Option<Elsewhere>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Return {
    /// The caller's reference and key.
    pub(super) reference: String,
    /// In minor units; without it, all that is left.
    pub(super) amount: Option<i64>,
    /// Whether nothing is left by then, so that it must be refused.
    pub(super) is_too_much: bool,
}

/// What each charge is for, in minor units.
pub(super) const AMOUNT: i64 = 1250;

/// What must come of a charge, sooner or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Captured,
    Refused,
    /// As its customer has it, who may come too late.
    Either,
}

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
        let mut dice = Dice::of(seed);
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
        let mut charges = charges;
        if !in_one_batch && dice.throw(3) == 0 {
            charges.push(dice.present(&format!("{seed}-there")));
        }
        let trouble = if main.moment == Moment::Charging && dice.throw(8) == 0 {
            Trouble::Silence
        } else {
            dice.trouble(main)
        };
        let told = main.moment == Moment::Telling || dice.throw(4) == 0;
        if told {
            dice.have_moved_elsewhere(&mut charges);
        }
        let database = index / pairs.len() % databases.max(1);
        let loss = dice.pick(&[Loss::None, Loss::Flushed, Loss::Restarted]);
        Self { seed, database, blows, charges, in_one_batch, trouble, told, loss }
    }

    /// Whether its first process must find an empty database.
    pub(super) fn begins_empty(&self) -> bool {
        self.blows.iter().any(|blow| blow.moment == Moment::Starting)
    }
}

/// `SplitMix64`.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let sides = u64::try_from(sides).unwrap_or(1).max(1);
        usize::try_from((z ^ (z >> 31)) % sides).unwrap_or(0)
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.throw(from.len())]
    }

    /// Three to six, with what the moment needs among them.
    fn charges(&mut self, seed: u64, moment: Moment) -> Vec<Charge> {
        let count = 3 + self.throw(4);
        let needed = match moment {
            Moment::Doubting => &DOUBTFUL[..],
            Moment::Waiting | Moment::Stopping => &SLOW,
            Moment::Rescuing | Moment::Refunding | Moment::Telling => &OTHERS[..1],
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
            let reference = format!("{seed}-{n}");
            let is_given_back = n < 2 && moment == Moment::Refunding || self.throw(4) == 0;
            let returns = if is_given_back { self.returns(&reference) } else { Vec::new() };
            charges.push(Charge { reference, method, end, customer: None, returns, elsewhere: None });
        }
        charges
    }

    /// A charge whose customer is there.
    pub(super) fn present(&mut self, reference: &str) -> Charge {
        let (method, customer) = self.pick(&PRESENT);
        let (reference, customer) = (reference.to_owned(), Some(customer));
        Charge { reference, method, end: End::Either, customer, returns: Vec::new(), elsewhere: None }
    }

    pub(super) fn returns(&mut self, charge: &str) -> Vec<Return> {
        let mut left = AMOUNT;
        let amounts = self.pick(&RETURNS).iter().enumerate();
        let returns = amounts.map(|(n, amount)| {
            let is_too_much = left < amount.unwrap_or(1);
            left -= amount.unwrap_or(left);
            Return { reference: format!("{charge}-back-{n}"), amount: *amount, is_too_much }
        });
        returns.collect()
    }

    /// Only of what the gateway tells can the processes know within minutes.
    fn have_moved_elsewhere(&mut self, charges: &mut [Charge]) {
        for charge in charges.iter_mut().filter(|charge| charge.customer.is_none()) {
            let elsewhere = self.pick(&ELSEWHERE);
            if self.throw(3) == 0 && elsewhere.leaves_enough_for(&charge.returns) {
                charge.elsewhere = Some(elsewhere);
            }
        }
    }

    fn trouble(&mut self, main: Blow) -> Trouble {
        let needs_doubt = main.point == Point::RefundDoubted;
        match self.throw(4) {
            0 if !needs_doubt => Trouble::Chance { rate: self.pick(&RATES), menu: &MISHAPS },
            1 if !needs_doubt && main.moment != Moment::Refunding => Trouble::None,
            _ => {
                let first = if needs_doubt { "cut_after" } else { self.pick(&REFUND_FAULTS) };
                Trouble::Refunds(vec![
                    (first, 1 + self.throw(2)),
                    (self.pick(&REFUND_FAULTS), 1 + self.throw(2)),
                ])
            }
        }
    }

    fn blow(&mut self, (point, moment, _): Place, deed: Deed, charges: usize) -> Blow {
        let most = match moment {
            Moment::Starting | Moment::Stopping | Moment::Rescuing => 1,
            Moment::Waiting | Moment::Doubting | Moment::Refunding | Moment::Telling => 2,
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
        assert_eq!(places.len(), 47);
    }

    #[test]
    fn five_hundred_seeds_meet_every_place_with_every_deed_on_three_databases() {
        let met: BTreeSet<_> = (1..=500)
            .map(|seed| Plan::of(seed, 3))
            .flat_map(|plan| plan.blows.into_iter().map(move |blow| (plan.database, blow)))
            .map(|(database, blow)| (database, blow.point.name(), format!("{:?}", blow.deed)))
            .collect();

        let pairs: usize = PLACES.iter().map(|place| place.2.len()).sum();
        assert_eq!(met.len(), 3 * pairs);
    }
}

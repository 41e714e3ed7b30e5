//! Listings: how far a gateway's lists have been read. New things stand at the front of a list, but what changes in it
//! may be of any age: so its front is read often, and all of it once a day (S5.8).

use super::clock::Time;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// How far back of what was read the front is read again: a list may show things late.
const OVERLAP: TimeDelta = TimeDelta::days(1);
/// How often all of it is read.
const WHOLE: TimeDelta = TimeDelta::days(1);

/// How far a list has been read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The newest thing that a pass over the front has begun with, and has come back from.
    floor: Option<Time>,
    front: Option<Pass>,
    whole: Option<Pass>,
    /// When all of it was last begun with.
    whole_at: Option<Time>,
}

/// One way through a list, from the newest on; it may take several runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// Nothing older is read.
    pub floor: Option<Time>,
    /// The thing after which it goes on.
    pub after: Option<String>,
    newest: Option<Time>,
}

/// Which way through the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Front,
    Whole,
}

/// What a page tells about how to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turned {
    /// When its first thing was made.
    pub newest: Option<Time>,
    /// The thing after which the next page begins, if there is one.
    pub next_after: Option<String>,
}

impl Progress {
    /// The pass to go on with, begun if it is due.
    pub fn pass(&mut self, part: Part, now: Time) -> Option<Pass> {
        match part {
            Part::Front => {
                let floor = self.floor.map(|floor| floor - OVERLAP);
                if floor.is_none() && self.front.is_none() {
                    // The first front there is has everything behind it.
                    self.whole_at.get_or_insert(now);
                }
                let begin = || Pass { floor, ..Pass::default() };
                Some(self.front.get_or_insert_with(begin).clone())
            }
            Part::Whole => {
                if self.whole.is_none() && self.whole_at.is_none_or(|at| now - at >= WHOLE) {
                    self.whole_at = Some(now);
                    self.whole = Some(Pass::default());
                }
                self.whole.clone()
            }
        }
    }

    /// Notes that a page was read and dealt with.
    pub fn turn(&mut self, part: Part, turned: Turned) {
        let slot = match part {
            Part::Front => &mut self.front,
            Part::Whole => &mut self.whole,
        };
        let Some(pass) = slot else { return };
        pass.newest = pass.newest.or(turned.newest);
        if turned.next_after.is_some() {
            pass.after = turned.next_after;
            return;
        }
        let newest = pass.newest;
        *slot = None;
        if part == Part::Front {
            self.floor = self.floor.max(newest);
        }
    }

    /// Begins anew with a pass that cannot go on: the thing that it stands at is gone.
    pub fn begin_anew(&mut self, part: Part) {
        match part {
            Part::Front => self.front = None,
            Part::Whole => self.whole = Some(Pass::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::payment::fixtures::at;

    const DAY: i64 = 86_400;

    fn page(newest: i64, next_after: Option<&str>) -> Turned {
        Turned { newest: Some(at(newest)), next_after: next_after.map(str::to_owned) }
    }

    #[test]
    fn the_first_front_is_all_of_the_list() {
        let mut progress = Progress::default();

        assert_eq!(progress.pass(Part::Front, at(0)), Some(Pass::default()));
        assert_eq!(progress.pass(Part::Whole, at(0)), None);
        progress.turn(Part::Front, page(-5, None));

        let next = progress.pass(Part::Front, at(900)).unwrap();
        assert_eq!((next.floor, next.after), (Some(at(-5 - DAY)), None));
    }

    #[test]
    fn a_front_that_takes_several_runs_moves_its_floor_when_it_ends() {
        let mut progress = Progress::default();
        progress.pass(Part::Front, at(0));

        progress.turn(Part::Front, page(-5, Some("re_9")));
        assert_eq!(progress.pass(Part::Front, at(900)).unwrap().after.as_deref(), Some("re_9"));
        progress.turn(Part::Front, page(-700, None));

        assert_eq!(progress.pass(Part::Front, at(1800)).unwrap().floor, Some(at(-5 - DAY)));
    }

    #[test]
    fn all_of_it_is_read_once_a_day_without_a_floor() {
        let mut progress = Progress::default();
        progress.pass(Part::Front, at(0));
        progress.turn(Part::Front, page(-5, None));

        assert_eq!(progress.pass(Part::Whole, at(DAY - 1)), None);
        assert_eq!(progress.pass(Part::Whole, at(DAY)), Some(Pass::default()));
        progress.turn(Part::Whole, page(-5, Some("re_9")));
        assert_eq!(progress.pass(Part::Whole, at(3 * DAY)).unwrap().after.as_deref(), Some("re_9"));
        progress.turn(Part::Whole, page(-9, None));
        assert_eq!(progress.pass(Part::Whole, at(DAY + 1)), None);
    }

    #[test]
    fn an_empty_list_leaves_no_floor() {
        let mut progress = Progress::default();
        progress.pass(Part::Front, at(0));
        progress.turn(Part::Front, Turned { newest: None, next_after: None });

        assert_eq!(progress.pass(Part::Front, at(900)).unwrap().floor, None);
    }

    #[test]
    fn a_pass_whose_place_is_gone_begins_anew() {
        let mut progress = Progress::default();
        progress.pass(Part::Front, at(0));
        progress.turn(Part::Front, page(-5, Some("re_9")));
        progress.begin_anew(Part::Front);

        assert_eq!(progress.pass(Part::Front, at(900)).unwrap().after, None);
    }
}

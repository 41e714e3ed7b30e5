//! The tally: what was seen, over one seed and over all.

/// Counts by name.
macro_rules! tally {
    ($($name:ident)*) => {
        /// What was seen.
        #[derive(Debug, Default)]
        pub(crate) struct Tally { $(pub(super) $name: usize,)* }

        impl Tally {
            pub(super) fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

tally! {
    payments succeeded failed in_review several_attempts canceled detached
    crashes lost_commits acted
    resolved approved found_paid mistaken
    retried_by_hand canceled_by_hand jobs_moved
    wrong_clocks set_back storms told paid_late
    given_back_elsewhere refunds_ordered disputed
    conceded
}

impl Tally {
    /// Over many seeds everything has happened.
    pub(super) fn assert_varied(&self) {
        if self.payments > 200 {
            assert!(self.succeeded > 0 && self.failed > 0 && self.several_attempts > 0, "{self:?}");
            assert!(self.crashes > 0 && self.lost_commits > 0, "{self:?}");
            assert!(self.acted > 0 && self.canceled > 0 && self.detached > 0, "{self:?}");
            assert!(self.approved > 0 && self.found_paid > 0 && self.mistaken > 0, "{self:?}");
            assert!(self.retried_by_hand > 0 && self.canceled_by_hand > 0 && self.jobs_moved > 0, "{self:?}");
            assert!(self.wrong_clocks > 0 && self.set_back > 0 && self.storms > 0, "{self:?}");
            assert!(self.told > 0 && self.paid_late > 0, "{self:?}");
            assert!(self.given_back_elsewhere > 0 && self.refunds_ordered > 0, "{self:?}");
            assert!(self.disputed > 0, "{self:?}");
            // Setting payments aside would be an easy way of never charging twice.
            assert!(self.in_review * 20 < self.payments, "{self:?}");
        }
    }
}

//! The table of refunds: for each status and each thing that can happen, what follows. Pure and total.

use super::RefundStatus;

/// The names of what can happen; [`super::Event`] carries the facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Send,
    NotSent,
    Lost,
    Answered,
    Rejected,
    Absent,
    Review,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It goes out, under its own key.
    Go,
    /// It is proven not sent.
    Wait,
    /// It may have been executed: ask, never send anew.
    Doubt,
    /// The gateway's answer decides.
    Conclude,
    /// The gateway refused the request: it failed.
    Reject,
    /// A person has to look.
    Hold,
    Refuse,
    /// Refused, and no right program brings these two together: a person is told (S1.23).
    Impossible,
}

impl Kind {
    pub const ALL: [Self; 7] =
        [Self::Send, Self::NotSent, Self::Lost, Self::Answered, Self::Rejected, Self::Absent, Self::Review];

    /// The name that history keeps.
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "refund_send",
            Self::NotSent => "refund_not_sent",
            Self::Lost => "refund_lost",
            Self::Answered => "refund_answered",
            Self::Rejected => "refund_rejected",
            Self::Absent => "refund_absent",
            Self::Review => "refund_review",
        }
    }
}

/// The table.
pub fn verdict(status: RefundStatus, kind: Kind) -> Verdict {
    use RefundStatus::{Failed, Pending, Processing, Sending, Succeeded, Unknown};
    match (status, kind) {
        (Pending, Kind::Send) => Verdict::Go,
        (Sending, Kind::NotSent) | (Unknown, Kind::Absent) => Verdict::Wait,
        // A send that is not proven unsent after all is a doubt, however the refund came to wait.
        (Pending | Sending, Kind::Lost) => Verdict::Doubt,
        // What the gateway says of a refund is a fact, also of one that seemed to be over.
        (Pending | Sending | Unknown | Processing | Succeeded | Failed, Kind::Answered) => Verdict::Conclude,
        // Before anything has left, it is our own adapter that cannot express it.
        (Pending | Sending | Unknown, Kind::Rejected) => Verdict::Reject,
        (Pending | Sending | Unknown | Processing, Kind::Review) => Verdict::Hold,
        (Sending | Unknown | Processing | Succeeded | Failed, Kind::Send)
        | (Unknown | Processing | Succeeded | Failed, Kind::NotSent | Kind::Lost)
        | (Processing | Succeeded | Failed, Kind::Absent | Kind::Rejected)
        | (Succeeded | Failed, Kind::Review) => Verdict::Refuse,
        // Whoever says so has the lease of the refund's one job, which alone could have moved it on.
        (Pending, Kind::NotSent) | (Pending | Sending, Kind::Absent) => Verdict::Impossible,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[test]
    fn every_pair_of_status_and_event_has_its_verdict() {
        let mut table = String::new();
        for status in RefundStatus::ALL {
            for kind in Kind::ALL {
                let (status, kind) =
                    (format!("{status:?}"), format!("{kind:?}: {:?}", verdict(status, kind)));
                writeln!(table, "{status:<12} {kind}").unwrap();
            }
        }

        insta::assert_snapshot!(table);
    }

    #[test]
    fn a_request_goes_out_only_while_none_can_be_on_its_way() {
        for status in RefundStatus::ALL {
            let goes = verdict(status, Kind::Send) == Verdict::Go;
            assert_eq!(goes, status == RefundStatus::Pending, "{status:?}");
        }
    }
}
